"""Simulate runs without failures, and produce all data that the analysis of a real run reads.

The data are rows of the database, resource samples and queue readings. Service times are independent and log-normal.
The first video of each slot takes 10 % longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapreplace

import numpy as np

from capacity.analysis.run_windows import run_window
from capacity.estimators.interval import Floats, Integers
from capacity.estimators.littles_law import videos_present
from capacity.runs.recorded_run import EXECUTION_COLUMNS, OUTCOMES, STATES, VIDEO_COLUMNS, RecordedRun, assemble
from capacity.runs.resource_samples import Resources, sample_times
from core.run import Mode, RunStatus
from core.video import Outcome, VideoState
from exporters.sqs.source import JITTER
from testing.rows import run_row

CREATED_AT = 1_790_000_000.0
COLD_FACTOR = 1.1
#: cores in use without a video: the workers, and all other programs of a quiet machine
WORKER_CORES, OTHER_CORES = 0.02, 0.02
#: longest time from a video's final state to the deletion of its message, and of a read of the queue
DELETE_SECONDS, READ_SECONDS = 0.05, 0.03
#: range of the CPU calibration's timings on an idle machine (issue 13)
CALIBRATION_SECONDS = (0.0685, 0.0878)


@dataclass(frozen=True)
class Load:
    """Parameters of a simulated run: its slots, its length, its service times and its utilisation.

    The run lasts about `seconds`. `service_seconds` is the mean service time. `service_cv` is the CV of the service
    times, and `cpu_cv` the CV of the CPU seconds per video. `utilisation` is offered rate × mean service time / slots,
    or None for a burst.
    """

    slots: int
    service_seconds: float
    service_cv: float
    cpu_cv: float
    seconds: float
    utilisation: float | None

    @property
    def rate_per_minute(self) -> float | None:
        """Return the offered rate in videos per minute, or None for a burst."""
        return None if self.utilisation is None else 60 * self.utilisation * self.slots / self.service_seconds

    @property
    def count(self) -> int:
        """Return the number of videos of the run: utilisation × slots × seconds / service_seconds, rounded.

        For a burst, the formula has the utilisation 1. The result is at least two videos per slot.
        """
        share = 1.0 if self.utilisation is None else self.utilisation
        return max(2 * self.slots, round(share * self.slots * self.seconds / self.service_seconds))


@dataclass(frozen=True)
class SimulatedRun:
    """Result of a simulation: the run as the database records it, and its resource and queue samples."""

    recorded: RecordedRun
    resources: Resources


def simulate(rng: np.random.Generator, load: Load) -> SimulatedRun:
    """Simulate a run with this load. `rng` is the source of randomness."""
    intended = np.arange(load.count) * (0.0 if load.rate_per_minute is None else 60 / load.rate_per_minute)
    late = rng.uniform(0.001, 0.01, load.count)
    uploaded = CREATED_AT + intended + (np.cumsum(late) / 3 if load.utilisation is None else late)
    shared = rng.standard_normal(load.count)
    service = _lognormal_of(shared, load.service_seconds, load.service_cv)
    cpu = 0.85 * _lognormal_of(shared, load.service_seconds, load.cpu_cv)
    started, ended, slot = _work(rng, uploaded, service, load.slots)
    recorded = _recorded(load, intended, uploaded, started, ended, slot, cpu)
    return SimulatedRun(recorded, _resources(rng, load, recorded))


def _lognormal_of(normal: Floats, mean: float, cv: float) -> Floats:
    spread = np.sqrt(np.log1p(cv**2))
    values: Floats = mean * np.exp(spread * normal - spread**2 / 2)
    return values


def _work(rng: np.random.Generator, arrivals: Floats, services: Floats, slots: int) -> tuple[Floats, Floats, Integers]:
    """Return start, end and slot of each video; the slot that is free longest takes the next video."""
    free = [(float(moment), slot, True) for slot, moment in enumerate(CREATED_AT + np.sort(rng.uniform(0, 0.3, slots)))]
    starts, ends = np.empty(arrivals.size), np.empty(arrivals.size)
    taken = np.empty(arrivals.size, dtype=np.int64)
    gaps = rng.uniform(0.005, 0.05, arrivals.size)
    for video, (arrival, service, gap) in enumerate(zip(arrivals, services, gaps, strict=True)):
        moment, slot, is_cold = free[0]
        start = max(float(arrival), moment) + float(gap)
        end = start + float(service) * (COLD_FACTOR if is_cold else 1.0)
        starts[video], ends[video], taken[video] = start, end, slot
        heapreplace(free, (end, slot, False))
    return starts, ends, taken


def _recorded(
    load: Load, intended: Floats, uploaded: Floats, started: Floats, ended: Floats, slot: Integers, cpu: Floats
) -> RecordedRun:
    count, paced = load.count, load.utilisation is not None
    run = run_row(
        mode=Mode.SUSTAINED if paced else Mode.BURST, status=RunStatus.FINISHED, count=count, slots=load.slots,
        concurrency=load.slots, created_at=CREATED_AT, started_at=CREATED_AT, rate_per_minute=load.rate_per_minute,
        window_seconds=60 * count / load.rate_per_minute if load.rate_per_minute else None,
        environment={"messages_before": 0, "messages": {"in_queue": 0, "dead_lettered": 0}, **_calibration(cpu)},
    )  # fmt: skip
    videos = {"intended_at": CREATED_AT + intended if paced else np.full(count, np.nan), "uploaded_at": uploaded}
    videos |= {"sent_at": uploaded + 0.005, "started_at": started, "updated_at": ended - 0.005}
    videos |= {"state": np.full(count, float(STATES.index(VideoState.DONE))), "reason": np.full(count, -1.0)}
    executions = {"outcome": np.full(count, float(OUTCOMES.index(Outcome.DONE))), "worker": np.zeros(count)}
    executions |= {"slot": slot.astype(np.float64), "uploaded_at": uploaded if paced else np.full(count, np.nan)}
    executions |= {"started_at": started, "ended_at": ended, "ffmpeg_cpu_seconds": cpu}
    executions |= {"transcode_seconds": 0.95 * (ended - started)}
    unknown = np.full(count, np.nan)
    columns = ([rows.get(name, unknown) for name in names]
               for rows, names in ((videos, VIDEO_COLUMNS), (executions, EXECUTION_COLUMNS)))  # fmt: skip
    return assemble(run, *columns)


def _calibration(cpu: Floats) -> dict[str, float]:
    """Return two calibrations anywhere in the measured range; the run's own numbers seed them."""
    before, after = np.random.default_rng(int(cpu[0] * 1e9)).uniform(*CALIBRATION_SECONDS, 2)
    return {"canary_before_seconds": float(before), "canary_after_seconds": float(after)}


def _resources(rng: np.random.Generator, load: Load, recorded: RecordedRun) -> Resources:
    start, end = run_window(recorded)
    times = sample_times(start, end)
    scraped = np.floor(times - rng.uniform()) + rng.uniform()
    scraped = np.where(scraped > times, scraped - 1, scraped)
    executions, cpu = recorded.executions, recorded.ffmpeg_cpu_seconds
    elapsed = scraped - CREATED_AT
    used = _used(executions.started_at, executions.ended_at, cpu, scraped)
    order = np.argsort(executions.ended_at)
    counted = np.concatenate([[0.0], np.cumsum(cpu[order])])
    ours = counted[np.searchsorted(executions.ended_at[order], scraped)] + WORKER_CORES * elapsed
    busy = used + (WORKER_CORES + OTHER_CORES) * elapsed
    cores = float(load.slots)
    samples = {"cores": np.full(times.size, cores), "cpu.user": busy, "cpu.idle": cores * elapsed - busy}
    samples |= {"cpu.steal": np.zeros(times.size), "worker": ours}
    samples |= {name: rng.uniform(0.002, 0.02, times.size) for name in ("clock_ahead", "clock_behind")}
    return Resources(times, samples | _readings(rng, recorded, scraped, end))


def _used(started: Floats, ended: Floats, cpu: Floats, moments: Floats) -> Floats:
    """Return the CPU seconds that the executions have used at each moment, evenly from their start to their end."""
    rate = cpu / (ended - started)
    used = np.zeros(moments.size)
    for first in range(0, started.size, 200):
        part = slice(first, first + 200)
        used += (rate[part] * (moments[:, None] - started[part]).clip(0, (ended - started)[part])).sum(axis=1)
    return used


def _readings(rng: np.random.Generator, recorded: RecordedRun, scraped: Floats, end: float) -> dict[str, Floats]:
    """Return the samples of the queue: at each scrape those of the last reading, with its time."""
    waits = rng.uniform(*JITTER, round(end - CREATED_AT) + 20) + READ_SECONDS
    read_at = CREATED_AT - 0.2 + np.cumsum(waits)
    seen_at = read_at - rng.uniform(0, READ_SECONDS, read_at.size)
    deleted = recorded.updated_at + rng.uniform(0.005, DELETE_SECONDS, recorded.updated_at.size)
    messages = videos_present(recorded.uploaded_at + 0.005, deleted, seen_at)
    last = np.searchsorted(read_at, scraped, side="right") - 1
    known = last >= 0
    return {
        "messages": np.where(known, messages[last], np.nan),
        "messages_read_at": np.where(known, read_at[last], np.nan),
    }
