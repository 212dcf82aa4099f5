"""Compare the bottleneck that `report` names with six injected limits, and print the confusion table.

Needs root and cgroup v1. All six cases take 10 minutes.

    PYTHONPATH=. .venv/bin/python benchmarks/bottlenecks.py [cpu disk …]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from capacity.diagnosis.bottleneck import Cause
from core.run import Host
from testing import hardware_limits
from testing.limit_cases import CASES, Diagnosis, diagnose
from testing.native_stack import Stack, copied_stack


def main() -> None:
    """Run the given cases, or all cases."""
    if (reason := hardware_limits.missing_requirement()) is not None:
        raise SystemExit(f"error: {reason}")
    causes = [Cause(name) for name in sys.argv[1:]] or list(CASES)
    with tempfile.TemporaryDirectory(prefix="limits-") as folder:
        base = copied_stack(Path(folder))
        diagnoses = [each for label in causes if (each := _diagnosed(label, base)) is not None]
    host, correct = Host.this(), sum(each.with_comparable.cause is each.case.label for each in diagnoses)
    print(f"\n{correct} of {len(diagnoses)} named correctly on {host.cpu_model}, {host.cpu_count} cores, {host.system}")
    print(
        "| Injected | c | Verdict alone | Verdict with comparable run | Evidence | Flags |\n|---|---|---|---|---|---|"
    )
    for each in diagnoses:
        print(_line(each))


def _diagnosed(label: Cause, base: Stack) -> Diagnosis | None:
    """Return and print the result of a case.

    If a program of the case failed, print the reason and return None.
    """
    try:
        diagnosis = diagnose(CASES[label], base)
    except AssertionError as error:
        print(f"{label}: not run: {error}", file=sys.stderr, flush=True)
        return None
    print(_line(diagnosis), file=sys.stderr, flush=True)
    return diagnosis


def _line(diagnosis: Diagnosis) -> str:
    case, alone, whole = diagnosis.case, diagnosis.alone, diagnosis.with_comparable
    cells = (
        case.label,
        f"{case.slots}, compared with {case.comparable_slots}",
        f"{alone.cause} ({alone.confidence})",
        f"{whole.cause} ({whole.confidence})",
        "; ".join(whole.evidence),
        ", ".join(whole.flags) or "none",
    )
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
