"""Compare the bottleneck that `report` names with twelve injected limits, and print the confusion table.

Needs root, cgroup v1 and PostgreSQL. All cases take 20 minutes.

    PYTHONPATH=. .venv/bin/python benchmarks/bottlenecks.py [cpu disk download …]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from core.run import Host
from testing import hardware_limits
from testing.limit_cases import CASES, Diagnosis, diagnose
from testing.native_stack import Stack, copied_stack


def main() -> None:
    """Run the given cases, or all cases."""
    if (reason := hardware_limits.missing_requirement()) is not None:
        raise SystemExit(f"error: {reason}")
    names = sys.argv[1:] or list(CASES)
    if unknown := [name for name in names if name not in CASES]:
        raise SystemExit(f"error: case ({unknown[0]}); there is none of that name; give some of {', '.join(CASES)}")
    with tempfile.TemporaryDirectory(prefix="limits-") as folder:
        base = copied_stack(Path(folder))
        diagnoses = [each for name in names if (each := _diagnosed(name, base)) is not None]
    host, correct = Host.this(), sum(each.with_comparable.cause is each.case.label for each in diagnoses)
    print(f"\n{correct} of {len(diagnoses)} named correctly on {host.cpu_model}, {host.cpu_count} cores, {host.system}")
    print(
        "| Injected | c | Verdict alone | Verdict with comparable run | Evidence | Flags |\n|---|---|---|---|---|---|"
    )
    for each in diagnoses:
        print(_line(each))


def _diagnosed(name: str, base: Stack) -> Diagnosis | None:
    """Return and print the result of a case.

    If a program of the case failed, print the reason and return None.
    """
    try:
        diagnosis = diagnose(CASES[name], base)
    except AssertionError as error:
        print(f"{name}: not run: {error}", file=sys.stderr, flush=True)
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
