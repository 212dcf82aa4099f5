"""Slot: one place of a worker, which runs one task at a time."""

from __future__ import annotations

from dataclasses import dataclass

from worker.process_identity import WorkerProcess


@dataclass(frozen=True)
class Slot:
    """The process that runs the task, its worker's main process, and the slot's number in that worker.

    The number is that of `aforo.telemetry.slot_number`: a replacement of a dead child has the number of that child.
    """

    process: WorkerProcess
    worker: WorkerProcess
    number: int
