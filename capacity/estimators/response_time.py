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
    """Parts of the mean response time, in seconds: queue wait, stages, and other service time.

    `other_seconds` is the service time that no stage covers. `fully_measured` is False if `other_seconds` is too long
    to ignore.
    """

    response_seconds: float
    wait_seconds: float
    service_seconds: float
    stage_seconds: Mapping[str, float]
    other_seconds: float
    fully_measured: bool


def decompose(uploaded_at: Floats, started_at: Floats, ended_at: Floats, stages: Mapping[str, Floats]) -> Decomposition:
    """Split the mean response time into queue wait, the mean of each stage, and the rest.

    All arrays have one entry per video, in seconds. `stages` maps the name of each stage to its durations. Videos
    without an upload, start or end time are ignored. A video without a duration of a stage counts as 0 s in the mean of
    that stage. NaN in the result means that no time is known.
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
    """Count the entries whose time in `later` is over 0.05 s before their time in `earlier`.

    Such an entry shows that the clocks of two machines disagree. Both arrays are in seconds. NaN means unknown and is
    not counted.
    """
    return int(np.count_nonzero(later < earlier - CLOCK_RESOLUTION_SECONDS))
