"""Record that identifies a slot: its process, the main process of its worker, and the number of the slot."""

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
