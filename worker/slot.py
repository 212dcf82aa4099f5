"""Slot: one place of a worker, which runs one task at a time."""

from __future__ import annotations

from dataclasses import dataclass

from aforo.process_identity import WorkerProcess


@dataclass(frozen=True)
class Slot:
    """One place of a worker: its process, the worker's main process, and the slot's number.

    The number is that of `aforo.telemetry.slot_number`. The replacement of a dead child has the number of that child.
    """

    process: WorkerProcess
    worker: WorkerProcess
    number: int
