"""Compute two time windows of a run: the whole run, and the part in which every slot was busy."""

from __future__ import annotations

import numpy as np

from capacity.runs.recorded_run import RecordedRun


def run_window(recorded: RecordedRun) -> tuple[float, float]:
    """Return start and end of the whole run, in epoch seconds.

    The window covers all uploads, state changes of videos, and ends of executions. Without any of them, both times are
    the creation time of the run.
    """
    moments = np.concatenate([recorded.uploaded_at, recorded.updated_at, recorded.executions.ended_at])
    finite = moments[np.isfinite(moments)]
    return (float(finite.min()), float(finite.max())) if finite.size else (recorded.run.created_at,) * 2


def working_window(recorded: RecordedRun) -> tuple[float, float]:
    """Return start and end of the time in which every slot was busy, in epoch seconds.

    The window reaches from the first to the last start of an execution. With fewer than two executions per slot, the
    window ends when all executions have ended. Without executions, both times are 0.
    """
    starts, ends = recorded.executions.started_at, recorded.executions.ended_at
    if not starts.size:
        return 0.0, 0.0
    generations = starts.size >= 2 * recorded.run.slots
    return float(starts.min()), float(starts.max() if generations else ends.max())
