"""Time windows of a run in epoch seconds: the whole run, and the part in which every slot was busy."""

from __future__ import annotations

import numpy as np

from capacity.runs.recorded_run import RecordedRun


def run_window(recorded: RecordedRun) -> tuple[float, float]:
    """Return start and end of the whole run, in epoch seconds.

    The start is the earliest and the end the latest of these times: uploads, last changes of the videos' states, and
    ends of executions. Without any of them, both are the creation time of the run.
    """
    moments = np.concatenate([recorded.uploaded_at, recorded.updated_at, recorded.executions.ended_at])
    finite = moments[np.isfinite(moments)]
    return (float(finite.min()), float(finite.max())) if finite.size else (recorded.run.created_at,) * 2


def working_window(recorded: RecordedRun) -> tuple[float, float]:
    """Return start and end of the time in which every slot was busy, in epoch seconds.

    The start is when the first execution starts. The end is when the last execution starts. If a run has fewer than two
    executions per slot, this window would be too short. The end is then when all executions have ended. Without
    executions, start and end are 0.
    """
    starts, ends = recorded.executions.started_at, recorded.executions.ended_at
    if not starts.size:
        return 0.0, 0.0
    generations = starts.size >= 2 * recorded.run.slots
    return float(starts.min()), float(starts.max() if generations else ends.max())
