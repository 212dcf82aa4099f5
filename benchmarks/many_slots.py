"""Count duplicates, dead-lettered messages and pending deletes of a worker with many slots and short tasks.

The tasks do nothing, so a worker with 64 slots finishes messages faster than it can delete them one at a time. A delete
that comes too late causes a duplicate. Three sides drain a queue with a short visibility timeout, one after the other:

- our transport
- our transport behind a proxy that delays each delete, as a control with fewer messages
- stock kombu, as a control with fewer messages

    PYTHONPATH=. .venv/bin/python benchmarks/many_slots.py [--slots 64] [--messages 20000] [--control-messages 2000]
    PYTHONPATH=. .venv/bin/python benchmarks/many_slots.py --quick
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness import Queue, emulator, machine
from benchmarks.noop import worker
from benchmarks.programs import scrape
from testing.fault_proxy import Fault, FaultProxy
from testing.polling import until
from testing.ports import free_port
from testing.queues import QueueFactory, TestQueue

DELETES = ("DeleteMessage", "DeleteMessageBatch")
PENDING = "aforo_worker_pending_deletes"
FAILED = 'aforo_worker_handled_errors_total{operation="delete"}'
LONGEST_SECONDS = 1800


@dataclass(frozen=True)
class Drain:
    """What the worker of one side did with the messages of its queue.

    `done` counts the tasks that ran, and `executions` how often they ran. `seconds` is the time from the first to the
    last execution. `most_pending_deletes` and `failed_delete_calls` are None for a worker without metrics.
    """

    messages: int
    done: int
    executions: int
    dead_lettered: int
    seconds: float
    most_pending_deletes: int | None
    failed_delete_calls: int | None

    def __str__(self) -> str:
        return (
            f"{self.messages} messages, {self.done} done, {self.executions - self.done} duplicates, "
            f"{self.dead_lettered} dead-lettered; at most {self.most_pending_deletes} pending deletes, "
            f"{self.failed_delete_calls} failed delete calls; {self.executions / self.seconds:.0f} tasks/s"
        )


def main() -> None:
    """Drain a queue with each of three workers, and print what each of them left undone or did twice.

    The workers use our transport, our transport with delayed deletes, and stock kombu. The figures are duplicates,
    dead-lettered messages and pending deletes.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--control-messages", type=int, default=2000)
    parser.add_argument("--visibility", type=int, default=6, help="Visibility timeout in seconds")
    parser.add_argument("--receives", type=int, default=3, help="Receives after which SQS dead-letters a message")
    parser.add_argument("--delete-seconds", type=float, default=1.0, help="Delay of each delete in the control")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    if options.quick:
        options.slots, options.messages, options.control_messages = 8, 300, 60
    print(machine())
    print(f"{options.slots} slots, visibility timeout {options.visibility} s, {options.receives} receives at most")
    with emulator() as endpoint, tempfile.TemporaryDirectory() as name:
        drains = Drains(endpoint, Path(name), options)
        print(f"ours: {drains.drain(endpoint, options.messages)}", flush=True)
        with FaultProxy(endpoint) as proxy:
            for action in DELETES:
                proxy.inject(Fault("latency", seconds=options.delete_seconds), action)
            slowed = drains.drain(proxy.url, options.control_messages)
        print(f"ours, each delete {options.delete_seconds:g} s later: {slowed}", flush=True)
        print(f"stock kombu: {drains.drain(endpoint, options.control_messages, is_hardened=False)}", flush=True)


@dataclass(frozen=True)
class Drains:
    """Runs workers that drain queues of one emulator. Each call of `drain` creates a new queue.

    `options` has the options of the command line.
    """

    endpoint_url: str
    folder: Path
    options: argparse.Namespace

    def drain(self, worker_endpoint_url: str, messages: int, *, is_hardened: bool = True) -> Drain:
        """Run a worker on a new queue with `messages` messages until the queue is empty. Return the result.

        The worker reaches SQS at `worker_endpoint_url`. `is_hardened` selects our transport, otherwise stock kombu is
        used.
        """
        queue = QueueFactory(self.endpoint_url)(self.options.visibility, self.options.receives)
        target = Queue(queue.url, queue.name, worker_endpoint_url)
        port = free_port()
        variables = {"NOOP_HARDENED": "1", "NOOP_PORT": str(port)} if is_hardened else {}
        slots = ("--pool", "prefork", "--concurrency", str(self.options.slots))
        with worker(target, self.folder, messages, *slots, **variables) as noop_worker:
            pending = pending_until_empty(queue, port)
            failed = value_of(FAILED, port)
            ids, moments = noop_worker.task_ids(), noop_worker.moments()
        figures = (max(pending), failed) if is_hardened else (None, None)
        seconds = moments[-1] - moments[0]
        return Drain(messages, len({*ids}), len(ids), queue.counts()["dead"], seconds, *figures)


def pending_until_empty(queue: TestQueue, port: int) -> list[int]:
    """Return the worker's numbers of pending deletes, every half second until the queue holds no message."""
    pending = []

    def is_empty() -> bool:
        pending.append(value_of(PENDING, port))
        counts = queue.counts()
        return not counts["visible"] + counts["in_flight"]

    until(is_empty, "the queue is empty", LONGEST_SECONDS, every=0.5)
    return pending


def value_of(sample: str, port: int) -> int:
    """Return a value of the worker's /metrics, or 0 if it has none."""
    values = (line.split()[-1] for line in scrape(port).splitlines() if line.startswith(f"{sample} "))
    return int(float(next(values, "0")))


if __name__ == "__main__":
    main()
