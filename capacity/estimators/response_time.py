"""Split the response time (upload to final state) into queue wait, stages, and unmeasured time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from capacity.estimators.interval import Floats

UNMEASURED_SHARE = 0.02
UNMEASURED_SECONDS = 0.5
#: clocks are compared over the network: a smaller difference may be the time of the request
CLOCK_RESOLUTION_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Decomposition:
    """Parts of the mean response time, in seconds.

    Response time is queue wait plus service time. Service time is the sum of the stages plus `other_seconds`, which no
    stage covers. `fully_measured` is false if that rest is too long to ignore.
    """

    response_seconds: float
    wait_seconds: float
    service_seconds: float
    stage_seconds: Mapping[str, float]
    other_seconds: float
    fully_measured: bool


def decompose(uploaded_at: Floats, started_at: Floats, ended_at: Floats, stages: Mapping[str, Floats]) -> Decomposition:
    """Split the mean response time into queue wait, the mean of each stage, and the rest.

    All arrays have one entry per video, in seconds. `stages` maps the name of each stage to its durations. A video
    without an upload, start or end time is ignored. If a stage has no duration (NaN) for a video, 0 s is used. If a
    stage has no duration for any video, its mean is NaN, and its time is part of the rest. If all videos are ignored,
    all times in the result are NaN.
    """
    complete = np.isfinite(uploaded_at) & np.isfinite(started_at) & np.isfinite(ended_at)
    if not complete.any():
        nan = float("nan")
        return Decomposition(nan, nan, nan, dict.fromkeys(stages, nan), nan, False)
    wait = float((started_at - uploaded_at)[complete].mean())
    service = float((ended_at - started_at)[complete].mean())
    means = {name: _mean_of_known(seconds[complete]) for name, seconds in stages.items()}
    other = service - sum(mean for mean in means.values() if np.isfinite(mean))
    allowed = max(UNMEASURED_SHARE * service, UNMEASURED_SECONDS)
    return Decomposition(wait + service, wait, service, means, other, abs(other) < allowed)


def _mean_of_known(seconds: Floats) -> float:
    return float(np.nan_to_num(seconds).mean()) if np.isfinite(seconds).any() else float("nan")


def reversed_times(earlier: Floats, later: Floats) -> int:
    """Count the entries whose time in `later` is before their time in `earlier`.

    Such an entry shows that the clocks of two machines disagree. Both arrays are in seconds, with one entry per video
    or execution. Only differences above 0.05 s are counted, because two clocks cannot be compared more exactly. An
    entry with NaN, an unknown time, is not counted.
    """
    return int(np.count_nonzero(later < earlier - CLOCK_RESOLUTION_SECONDS))
