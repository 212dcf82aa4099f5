"""Identity of a slot: one process or thread of a worker, which runs one task at a time."""

from __future__ import annotations

from dataclasses import dataclass

from aforo.process_identity import WorkerProcess


@dataclass(frozen=True)
class Slot:
    """One slot of a worker: its own process, the worker's main process, and the slot's number.

    `number` comes from `aforo.telemetry.slot_number`. The replacement of a dead child process gets the number of that
    child.
    """

    process: WorkerProcess
    worker: WorkerProcess
    number: int
