"""Compare the bottleneck that `report` names with six injected limits, and print the confusion table.

Needs root and cgroup v1. `PYTHONPATH=. .venv/bin/python benchmarks/bottlenecks.py [cpu disk …]`, all six in 10 minutes.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from capacity.diagnosis.bottleneck import Cause
from core.run import Host
from testing import hardware_limits
from testing.limit_cases import CASES, Judged, judge
from testing.native_stack import Stack, copied_stack


def main() -> None:
    """Run the given cases, or all."""
    if (reason := hardware_limits.why_not()) is not None:
        raise SystemExit(f"error: {reason}")
    wanted = [Cause(name) for name in sys.argv[1:]] or list(CASES)
    with tempfile.TemporaryDirectory(prefix="limits-") as folder:
        base = copied_stack(Path(folder))
        judged = [each for label in wanted if (each := _judged(label, base)) is not None]
    host, right = Host.this(), sum(each.with_sibling.cause is each.case.label for each in judged)
    print(f"\n{right} of {len(judged)} named right on {host.cpu_model}, {host.cpu_count} cores, {host.system}")
    print("| Injected | c | Verdict alone | Verdict with sibling | Evidence | Flags |\n|---|---|---|---|---|---|")
    for each in judged:
        print(_line(each))


def _judged(label: Cause, base: Stack) -> Judged | None:
    """Return and print the result of a case; None, with the reason printed, if its programs failed."""
    try:
        judged = judge(CASES[label], base)
    except AssertionError as error:
        print(f"{label}: not run: {error}", file=sys.stderr, flush=True)
        return None
    print(_line(judged), file=sys.stderr, flush=True)
    return judged


def _line(judged: Judged) -> str:
    case, alone, found = judged.case, judged.alone, judged.with_sibling
    cells = (
        case.label,
        f"{case.slots}, beside {case.sibling_slots}",
        f"{alone.cause} ({alone.confidence})",
        f"{found.cause} ({found.confidence})",
        "; ".join(found.evidence),
        ", ".join(found.flags) or "none",
    )
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
