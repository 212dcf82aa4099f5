"""Compare the bottleneck that `report` names with the injected limit, and print the confusion table.

Needs root, cgroup v1 and PostgreSQL. All twelve cases take 20 minutes. With --example, the worker is that of
`examples/own_app`, and its four cases take 10 minutes.

    PYTHONPATH=. .venv/bin/python benchmarks/bottlenecks.py [--example] [cpu disk download …]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from core.run import Host
from testing import hardware_limits
from testing.limit_cases import CASES, EXAMPLE_CASES, Case, Configure, Diagnosis, diagnose, example_stack
from testing.native_stack import Stack, copied_stack


def main() -> None:
    """Run the cases that the command line names, or all cases. Print one table row per case."""
    if (reason := hardware_limits.missing_requirement()) is not None:
        raise SystemExit(f"error: {reason}")
    is_example, names = "--example" in sys.argv, [word for word in sys.argv[1:] if word != "--example"]
    cases = EXAMPLE_CASES if is_example else CASES
    if unknown := [name for name in names if name not in cases]:
        raise SystemExit(f"error: case ({unknown[0]}); there is none of that name; give some of {', '.join(cases)}")
    with tempfile.TemporaryDirectory(prefix="limits-") as folder:
        base, configure = _worker_under_test(Path(folder), is_example)
        ended = (_diagnosed(cases[name], base, configure) for name in names or cases)
        diagnoses = [each for each in ended if each is not None]
    host, correct = Host.this(), sum(each.with_comparable.cause is each.case.label for each in diagnoses)
    print(f"\n{correct} of {len(diagnoses)} named correctly on {host.cpu_model}, {host.cpu_count} cores, {host.system}")
    print(
        "| Injected | c | Verdict alone | Verdict with comparable run | Evidence | Flags |\n|---|---|---|---|---|---|"
    )
    for each in diagnoses:
        print(_line(each))


def _worker_under_test(folder: Path, is_example: bool) -> tuple[Stack, Configure]:
    """Return a stack in `folder`, and the function that gives settings to its worker."""
    return example_stack(folder) if is_example else (copied_stack(folder), dict)


def _diagnosed(case: Case, base: Stack, configure: Configure) -> Diagnosis | None:
    """Return and print the result of a case.

    If a program of the case failed, print the reason and return None.
    """
    try:
        diagnosis = diagnose(case, base, configure)
    except AssertionError as error:
        print(f"{case.name}: not run: {error}", file=sys.stderr, flush=True)
        return None
    print(_line(diagnosis), file=sys.stderr, flush=True)
    return diagnosis


def _line(diagnosis: Diagnosis) -> str:
    case, alone, whole = diagnosis.case, diagnosis.alone, diagnosis.with_comparable
    cells = (
        case.name,
        f"{case.slots}, compared with {case.comparable_slots}",
        f"{alone.cause} ({alone.confidence})",
        f"{whole.cause} ({whole.confidence})",
        "; ".join(whole.evidence),
        ", ".join(whole.flags) or "none",
    )
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
