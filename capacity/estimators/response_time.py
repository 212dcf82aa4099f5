"""Where does the response time (upload to final state) go? Queue wait, stages and the rest."""

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

    All arrays have one entry per video, in seconds. Only videos with upload, start and end are used. NaN in a stage
    counts as 0 s.
    """
    complete = np.isfinite(uploaded_at) & np.isfinite(started_at) & np.isfinite(ended_at)
    if not complete.any():
        nan = float("nan")
        return Decomposition(nan, nan, nan, dict.fromkeys(stages, nan), nan, False)
    wait = float((started_at - uploaded_at)[complete].mean())
    service = float((ended_at - started_at)[complete].mean())
    means = {name: float(np.nan_to_num(seconds[complete]).mean()) for name, seconds in stages.items()}
    other = service - sum(means.values())
    allowed = max(UNMEASURED_SHARE * service, UNMEASURED_SECONDS)
    return Decomposition(wait + service, wait, service, means, other, abs(other) < allowed)


def reversed_times(earlier: Floats, later: Floats) -> int:
    """Count the pairs in which `later` comes before `earlier` by more than the resolution of the clocks.

    Both arrays are in seconds and have one entry per video or execution. NaN means unknown.
    """
    return int(np.count_nonzero(later < earlier - CLOCK_RESOLUTION_SECONDS))
