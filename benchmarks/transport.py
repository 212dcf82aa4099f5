"""Compare the no-op tasks per second of a worker on our SQS transport and on stock kombu.

Both sides run the same app on queues of one emulator. The sides take turns. Each turn lasts `--seconds` after the first
task of the side.

    PYTHONPATH=. .venv/bin/python benchmarks/transport.py [--seconds 10] [--repeats 3]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from benchmarks.harness import Queue, emulator, machine, paired_ratio, spread
from benchmarks.noop import worker

#: slots, prefetch multiplier
CASES = ((1, 1), (2, 1), (1, 4), (2, 4))
MOST_TASKS_PER_SECOND = 600


def main() -> None:
    """Print the tasks per second of both transports, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(machine())
    with emulator() as endpoint_url, tempfile.TemporaryDirectory() as folder:
        for slots, prefetch in CASES:
            rates: dict[bool, list[float]] = {True: [], False: []}
            for repeat in range(arguments.repeats):
                for hardened in (True, False) if repeat % 2 else (False, True):
                    queue = Queue.make(endpoint_url, f"t{slots}-{prefetch}-{repeat}-{int(hardened)}")
                    rates[hardened].append(rate(queue, Path(folder), slots, prefetch, hardened, arguments.seconds))
            print(f"{slots} slots, prefetch {prefetch}: ours {spread(rates[True], '.1f')} tasks/s,", end=" ")
            print(f"stock {spread(rates[False], '.1f')}; ratio {paired_ratio(rates[True], rates[False])}", flush=True)


def rate(queue: Queue, folder: Path, slots: int, prefetch: int, hardened: bool, seconds: float) -> float:
    """Run a worker on a full queue, and return its tasks per second in the `seconds` after the first task.

    `hardened` selects our transport, otherwise stock kombu is used.
    """
    options = {"NOOP_HARDENED": str(int(hardened)), "NOOP_PREFETCH": str(prefetch)}
    tasks = int(seconds * MOST_TASKS_PER_SECOND)
    with worker(queue, folder, tasks, "--concurrency", str(slots), **options) as noop_worker:
        time.sleep(seconds + 1)
        moments = noop_worker.moments()
    counted = [moment for moment in moments if moment - moments[0] <= seconds]
    assert len(counted) < tasks, "the queue ran empty"
    return (len(counted) - 1) / seconds


if __name__ == "__main__":
    main()
