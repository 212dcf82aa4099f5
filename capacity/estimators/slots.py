"""Find the slot of each execution of a run, and the next execution on the same slot.

Some workers record slot numbers. Others record process ids, thread ids, or one id for all slots. Only slot numbers can
show that a slot never worked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capacity.estimators.interval import Booleans, Floats, Integers


@dataclass(frozen=True, slots=True)
class Executions:
    """Executions of a run: deliveries of a task that reached a slot.

    Each field is an array with one entry per execution. Times are in seconds. `counted` is True for the execution that
    completed its video. `slot` and `worker` are numbers for the slot and the worker, or None if unknown.
    """

    started_at: Floats
    ended_at: Floats
    counted: Booleans
    slot: Integers | None = None
    uploaded_at: Floats | None = None
    worker: Integers | None = None

    def finished(self) -> Executions:
        """Return the executions that have start and end times, sorted by start."""
        finite = np.flatnonzero(np.isfinite(self.started_at) & np.isfinite(self.ended_at))
        order = finite[np.lexsort((self.ended_at[finite], self.started_at[finite]))]
        return Executions(
            self.started_at[order],
            self.ended_at[order],
            self.counted[order],
            None if self.slot is None else self.slot[order],
            None if self.uploaded_at is None else self.uploaded_at[order],
            None if self.worker is None else self.worker[order],
        )


def successors(finished: Executions, slots: int, slots_per_worker: int) -> Integers:
    """Return, for each execution, the position of the next execution on the same slot; -1 for none.

    `finished` is sorted by start. `slots` is the number of slots of all workers, and `slots_per_worker` that of one
    worker. If recorded slots are missing, each execution is given to the slot that has been idle longest.
    """
    successor = np.full(finished.started_at.size, -1, dtype=np.int64)
    slot = known_slots(finished, slots_per_worker)
    if slot is None or np.unique(slot).size < slots:
        by_end = np.argsort(finished.ended_at, kind="stable")
        taken = np.arange(slots, by_end.size)
        successor[by_end[: taken.size]] = taken
        return successor
    before, after = _neighbours(slot)
    successor[before] = after
    return successor


def working_slots(executions: Executions, slots: int, slots_per_worker: int) -> int:
    """Return how many slots were still working when the last execution started.

    A slot counts as stopped if it was idle for too long while the last video waited: longer than the mean service time
    plus the longest idle time between two executions on one slot. If the slots of the executions are unknown (the
    function `known_slots` returns None), the result is `slots`.
    """
    finished = executions.finished()
    slot = known_slots(finished, slots_per_worker)
    if slot is None:
        return slots
    before, after = _neighbours(slot)
    gap = float((finished.started_at[after] - finished.ended_at[before]).max(initial=0.0))
    # a slot that is idle for longer counts as stopped
    patience = float((finished.ended_at - finished.started_at).mean()) + gap
    free_at = np.array([finished.ended_at[slot == one].max() for one in np.unique(slot)])
    if finished.uploaded_at is not None:
        free_at = np.fmax(free_at, finished.uploaded_at[-1])
    return min(slots, int((finished.started_at[-1] - free_at <= patience).sum()))


def most_workers_at_once(executions: Executions) -> int:
    """Return the highest number of workers that worked at the same time; 0 if the workers are unknown.

    A worker works from the start of its first execution to the end of its last one.
    """
    finished = executions.finished()
    if finished.worker is None:
        return 0
    chosen = [finished.worker == one for one in np.unique(finished.worker)]
    begun_at = np.sort([finished.started_at[each].min() for each in chosen])
    ended_at = np.sort([finished.ended_at[each].max() for each in chosen])
    ended_before = np.searchsorted(ended_at, begun_at, side="right")
    return int((np.arange(1, begun_at.size + 1) - ended_before).max(initial=0))


def known_slots(finished: Executions, slots_per_worker: int) -> Integers | None:
    """Return the recorded slot of each execution, or None if the recorded values do not identify slots.

    The values do not identify slots if a worker has more values than slots, or one value for executions that overlap.
    """
    if finished.slot is None or not finished.slot.size:
        return None
    worker = np.zeros_like(finished.slot) if finished.worker is None else finished.worker
    for one in np.unique(worker):
        codes = np.unique(finished.slot[worker == one])
        # more values than slots: ids of replaced processes; one value with overlaps: one id for all slots
        if codes.size > slots_per_worker or (codes.size == 1 < slots_per_worker and _overlap(finished, worker == one)):
            return None
    return finished.slot


def _overlap(finished: Executions, chosen: Booleans) -> bool:
    """Return True if an execution starts before an earlier one has ended."""
    latest_end = np.maximum.accumulate(finished.ended_at[chosen])[:-1]
    return bool((finished.started_at[chosen][1:] < latest_end).any())


def _neighbours(slot: Integers) -> tuple[Integers, Integers]:
    """Return the positions of neighbouring executions of the same slot: each one, and the next."""
    by_slot = np.argsort(slot, kind="stable")
    same = slot[by_slot][:-1] == slot[by_slot][1:]
    return by_slot[:-1][same], by_slot[1:][same]
