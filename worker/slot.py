"""Identity of a slot: one process or thread of a worker, which runs one task at a time."""

from __future__ import annotations

from dataclasses import dataclass

from aforo.process_identity import WorkerProcess


@dataclass(frozen=True)
class Slot:
    """One slot of a worker: its own process, the worker's main process, and the slot's number.

    The field `process` is the slot's own process, and `worker` is the main process. If the slot's process dies, the new
    process gets the same `number`.
    """

    process: WorkerProcess
    worker: WorkerProcess
    number: int
