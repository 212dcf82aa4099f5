"""Compute the mean cost of one video in a run, and select the runs with which to compare it.

The cost is seconds per stage, and CPU seconds of ffmpeg. The diagnosis of a run compares its cost with the cost in
other runs of the same videos under the same conditions.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from capacity.analysis.measured_run import MeasuredRun
from capacity.estimators.interval import Floats
from capacity.runs.result_row import ResultRow
from core.models import RunRow
from core.run import Mode, RunStatus
from core.video import Stage

#: fewest other runs of a machine whose median says what is usual there
FEWEST_CALIBRATIONS = 5
#: the worker's stages by the names that the bottleneck criteria use
CRITERION_STAGES: Mapping[str, tuple[Stage, ...]] = {
    "download": (Stage.FETCH,),
    "probe": (Stage.PROBE,),
    "transcode": (Stage.TRANSCODE,),
    "upload": (Stage.PUBLISH,),
    "db": (Stage.CLAIM, Stage.FINISH),
}


@dataclass(frozen=True)
class VideoCost:
    """Mean cost of one video in a run: seconds per stage, and CPU seconds of ffmpeg.

    An unknown number of seconds is NaN. `slots` is the number of slots of the run. `capacity_per_minute` is X_sat of
    the run in videos per minute, or None if unknown. `is_invalid` means that the run is invalid.
    """

    slots: int
    capacity_per_minute: float | None
    stage_seconds: Mapping[str, float]
    ffmpeg_cpu_seconds: float
    is_invalid: bool = False


UNMEASURED = VideoCost(1, None, dict.fromkeys(CRITERION_STAGES, float("nan")), float("nan"))


def video_cost(measured: MeasuredRun) -> VideoCost:
    """Return the mean cost of one video in this run: seconds per stage, and CPU seconds of ffmpeg.

    Failed, repeated and retried executions do not count. If a video has several tasks, the result is a mean over these
    tasks. A cost that was not recorded is NaN.
    """
    recorded, row = measured.recorded, measured.row
    ended = recorded.executions.counted | recorded.is_part
    means = {stage: _mean(recorded.stage_seconds[stage][ended]) for stage in Stage}
    stages = {name: _known_sum(means[stage] for stage in parts) for name, parts in CRITERION_STAGES.items()}
    cpu_seconds = _mean(recorded.ffmpeg_cpu_seconds[ended])
    return VideoCost(row.slots, row.x_sat_per_minute, stages, cpu_seconds, row.validity.is_invalid)


def comparable_costs(row: ResultRow, others: Iterable[tuple[ResultRow, VideoCost]]) -> list[VideoCost]:
    """Return the costs of the runs that are comparable with the run of `row`.

    Valid and indicative runs come before invalid ones, and then the nearest in time first. `others` has pairs: the
    figures of a run, and its cost. Comparable runs are finished bursts of the same videos, under the same conditions,
    on equally many nodes. If the run of `row` is such a burst and is in `others`, it is in the result too.
    """
    near = [
        ((cost.is_invalid, abs(other.created_at - row.created_at)), cost)
        for other, cost in others
        if _are_comparable(row, other)
    ]
    return [cost for _, cost in sorted(near, key=lambda pair: pair[0])]


def usual_calibration_seconds(run: RunRow, others: Iterable[RunRow]) -> float | None:
    """Return how long the CPU calibration usually takes on the machine of `run`, in seconds.

    The result is the median over the other runs on this machine. Only the calibration before each run counts. None
    means that fewer than five calibrations are known.
    """
    same_host = [other for other in others if other.id != run.id and _host(other) == _host(run)]
    # the key keeps the old name of the CPU calibration, so that old runs can be read
    times = [seconds for other in same_host if (seconds := other.environment.get("canary_before_seconds")) is not None]
    return statistics.median(times) if len(times) >= FEWEST_CALIBRATIONS else None


def _are_comparable(row: ResultRow, other: ResultRow) -> bool:
    """Return True if `other` is a burst that differs from the run in its slots per node only.

    Slots of another machine share no resource with those of this one, so a gain from them rules no resource out.
    """
    is_finished_burst = other.mode == Mode.BURST and other.status == RunStatus.FINISHED
    has_same_videos = other.size_label == row.size_label and other.conditions == row.conditions
    return is_finished_burst and has_same_videos and other.nodes == row.nodes


def _host(run: RunRow) -> tuple[object, ...]:
    host = run.environment.get("host", {})
    return host.get("name"), host.get("cpu_model"), host.get("cpu_count")


def _mean(values: Floats) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")


def _known_sum(values: Iterable[float]) -> float:
    finite = [value for value in values if np.isfinite(value)]
    return sum(finite) if finite else float("nan")
