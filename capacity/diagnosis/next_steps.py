"""Advise what to try against each bottleneck, and which result would disprove the verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from capacity.diagnosis.bottleneck import Cause
from capacity.estimators.reason import Reason

#: the gain in X_sat that a removed limit must exceed; under it, the next doubling of the slots is not worth its cost
LEAST_GAIN_RATIO = 0.25


class NextStep(StrEnum):
    """Codes of the steps that a user can try next, such as doubling the slots."""

    DOUBLE_SLOTS = "double_slots"
    DOUBLE_CORES = "double_cores"
    RAISE_QUOTA = "raise_quota"
    SLOT_PER_CORE = "slot_per_core"
    FASTER_WORK_FOLDER = "faster_work_folder"
    LOCAL_STORAGE = "local_storage"
    HALVE_SLOTS = "halve_slots"
    FASTER_DATABASE = "faster_database"
    LONGER_VIDEOS = "longer_videos"
    DUMP_STACKS = "dump_stacks"
    COMPARE_SLOTS = "compare_slots"
    REPEAT_RUN = "repeat_run"
    MORE_VIDEOS = "more_videos"
    MORE_ARRIVALS = "more_arrivals"
    LOWER_RATE = "lower_rate"
    NOTHING = "nothing"


class Disproof(StrEnum):
    """Codes of observations that disprove a bottleneck verdict.

    The user makes the observation in a new run, after the step that the class Advice suggests.
    """

    LITTLE_GAIN = "little_gain"
    SAME_CPU_WORK = "same_cpu_work"
    STILL_OUT_OF_MEMORY = "still_out_of_memory"
    STILL_IDLE = "still_idle"
    WAITS_ALONE = "waits_alone"


@dataclass(frozen=True, slots=True)
class Advice:
    """What to try against a bottleneck, and which observation would disprove the bottleneck verdict.

    `disproof` is the observation that disproves the verdict, once the user has tried `next_step`. `disproof` is None if
    the bottleneck is unclear.
    """

    next_step: Reason
    disproof: Reason | None


def advice(cause: Cause) -> Advice:
    """Return what to try against the bottleneck `cause`, and which observation disproves that cause."""
    return _ADVICE[cause]


def _advice(step: NextStep, disproof: Disproof | None = Disproof.LITTLE_GAIN) -> Advice:
    gain = {"gain_ratio": LEAST_GAIN_RATIO} if disproof is Disproof.LITTLE_GAIN else {}
    return Advice(Reason(step), None if disproof is None else Reason(disproof, gain))


_ADVICE: Mapping[Cause, Advice] = {
    Cause.SLOTS: _advice(NextStep.DOUBLE_SLOTS),
    Cause.SINGLE_THREAD: _advice(NextStep.DOUBLE_SLOTS),
    Cause.CPU: _advice(NextStep.DOUBLE_CORES),
    Cause.CPU_QUOTA: _advice(NextStep.RAISE_QUOTA),
    Cause.MEMORY_BANDWIDTH: _advice(NextStep.SLOT_PER_CORE, Disproof.SAME_CPU_WORK),
    Cause.DISK: _advice(NextStep.FASTER_WORK_FOLDER),
    Cause.NETWORK: _advice(NextStep.LOCAL_STORAGE),
    Cause.MEMORY: _advice(NextStep.HALVE_SLOTS, Disproof.STILL_OUT_OF_MEMORY),
    Cause.DATABASE: _advice(NextStep.FASTER_DATABASE),
    Cause.QUEUE_POLLING: _advice(NextStep.LONGER_VIDEOS, Disproof.STILL_IDLE),
    Cause.SERIALISATION: _advice(NextStep.DUMP_STACKS, Disproof.WAITS_ALONE),
    Cause.UNCLEAR: _advice(NextStep.COMPARE_SLOTS, None),
}
