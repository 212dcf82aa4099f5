"""Time windows of a recorded run."""

from __future__ import annotations

import numpy as np

from capacity.runs.recorded_run import RecordedRun


def run_window(recorded: RecordedRun) -> tuple[float, float]:
    """Return the times of the first upload and of the last recorded event."""
    moments = np.concatenate([recorded.uploaded_at, recorded.updated_at, recorded.executions.ended_at])
    finite = moments[np.isfinite(moments)]
    return (float(finite.min()), float(finite.max())) if finite.size else (recorded.run.created_at,) * 2


def working_window(recorded: RecordedRun) -> tuple[float, float]:
    """Return the time window with every slot busy.

    The window goes from the first start to the last start, or to the last end in a short run.
    """
    starts, ends = recorded.executions.started_at, recorded.executions.ended_at
    if not starts.size:
        return 0.0, 0.0
    generations = starts.size >= 2 * recorded.run.slots
    return float(starts.min()), float(starts.max() if generations else ends.max())
