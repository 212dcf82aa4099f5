"""Compute how many workers a demand needs, by a simulation of its queue.

A queueing formula computes the same waits, as a check.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from capacity.estimators.interval import SECONDS_PER_MINUTE, Floats
from capacity.estimators.queue_simulation import ggc, lognormal

WAIT_QUANTILE = 0.95
LIGHT_LOAD = 0.75
LIGHT_LOAD_FACTOR = 1.3  # under LIGHT_LOAD the p95 formula is up to a third too short (docs/method.md#planning)
SIMULATED_ARRIVALS = 60_000
SIMULATED_PER_SLOT = 20
SIMULATED_BATCHES = 20_000  # fewer make the 95th percentile too uncertain
SIMULATED_MOST = 400_000
WARM_UP_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Demand:
    """Demand on the workers: how many videos arrive, how long each takes, and how long each may wait."""

    #: videos that arrive per minute
    per_minute: float
    #: limit of the 95th percentile of the queue wait
    wait_p95_seconds: float
    #: mean service time with all slots of a worker busy
    service_seconds: float
    #: coefficient of variation of the service times
    service_cv: float
    slots_per_worker: int
    #: coefficient of variation of the gaps between batches; 1 for real users (Poisson arrivals), 0 for even gaps
    arrival_cv: float = 1.0
    #: limit of the mean share of busy slots
    max_utilisation: float = 0.8
    #: workers added to those that the demand needs
    spare_workers: int = 1
    #: videos that arrive at the same moment
    batch: int = 1

    @property
    def load(self) -> float:
        """Return the mean number of busy slots that the demand needs, in erlangs.

        The formula is videos per second × mean service time in seconds.
        """
        return self.per_minute / SECONDS_PER_MINUTE * self.service_seconds

    @property
    def arrival_dispersion(self) -> float:
        """Return the index of dispersion of the arrivals: variance / mean of their number in a long period."""
        return self.batch * self.arrival_cv**2


@dataclass(frozen=True, slots=True)
class QueueForecast:
    """Queue waits and share of busy slots for a demand and a number of slots, by a queueing formula.

    `utilisation` is the mean share of busy slots. `wait_probability` is the probability that a video has to wait.
    `wait_mean_seconds` is the mean queue wait, and `wait_p95_seconds` its 95th percentile.
    """

    slots: int
    utilisation: float
    wait_probability: float
    wait_mean_seconds: float
    wait_p95_seconds: float


@dataclass(frozen=True, slots=True)
class SimulatedQueue:
    """Queue waits for a demand and a number of slots, by simulation.

    `arrivals` is the number of simulated videos. `wait_mean_seconds` is the mean queue wait, and `wait_p95_seconds` its
    95th percentile.
    """

    arrivals: int
    wait_mean_seconds: float
    wait_p95_seconds: float


@dataclass(frozen=True, slots=True)
class WorkerPlan:
    """Number of slots and workers that a demand needs, with the expected queue waits.

    `workers` includes the spare workers. `simulated` is None if the system is too large to simulate.
    `capacity_per_minute` is how many videos per minute all workers process with every slot busy.
    """

    demand: Demand
    slots: int
    workers: int
    forecast: QueueForecast
    simulated: SimulatedQueue | None
    capacity_per_minute: float
    #: setting `queueLength` of the autoscaler KEDA, which counts visible and in-flight messages by default
    keda_queue_length: int
    #: the same setting for a KEDA that counts only visible messages
    keda_queue_length_visible_only: int


def erlang_c(slots: int, load: float) -> float:
    """Return the probability that an arrival has to wait in an M/M/c queue (Erlang C).

    `slots` is the number of servers. `load` is arrival rate × mean service time. The result is 1 if `load` is `slots`
    or more.
    """
    if load >= slots:
        return 1.0
    blocking = 1.0  # by the recursion of Erlang B, which neither overflows nor underflows
    for k in range(1, slots + 1):
        blocking = load * blocking / (k + load * blocking)
    return slots * blocking / (slots - load * (1 - blocking))


def forecast(demand: Demand, slots: int) -> QueueForecast:
    """Compute utilisation and queue waits for a number of slots by the Allen-Cunneen formula (G/G/c).

    Waits are infinite if the load of the demand is equal to the number of slots, or higher.
    """
    load = demand.load
    waiting = erlang_c(slots, load)
    rho = load / slots
    if load >= slots:
        return QueueForecast(slots, rho, 1.0, math.inf, math.inf)
    spread = (demand.arrival_dispersion + demand.service_cv**2) / 2
    scale = spread * demand.service_seconds / (slots - load)
    tail = 1 - WAIT_QUANTILE
    p95 = scale * math.log(waiting / tail) if waiting > tail else 0.0
    return QueueForecast(slots, rho, waiting, waiting * scale, p95 * (LIGHT_LOAD_FACTOR if rho < LIGHT_LOAD else 1.0))


def make_plan(demand: Demand, seed: int = 0) -> WorkerPlan:
    """Return the fewest slots and workers that a demand needs, with the expected queue waits.

    The queue wait and the share of busy slots stay within the limits of the demand. `seed` is the seed of the
    simulation's random numbers.
    """
    slots = _fewest_slots(demand, seed)
    simulated = simulate(demand, slots, seed)
    workers = math.ceil(slots / demand.slots_per_worker) + demand.spare_workers
    return WorkerPlan(
        demand=demand,
        slots=slots,
        workers=workers,
        forecast=forecast(demand, slots),
        simulated=simulated,
        capacity_per_minute=workers * worker_capacity(demand),
        keda_queue_length=keda_queue_length(demand),
        keda_queue_length_visible_only=keda_queue_length(demand, with_in_flight=False),
    )


def simulate(
    demand: Demand, slots: int, seed: int = 0, least_arrivals: int = SIMULATED_ARRIVALS
) -> SimulatedQueue | None:
    """Return the queue waits of a demand on a number of slots, by simulation.

    At least `least_arrivals` videos are simulated. Return None if the queue would grow without end, or if more than
    400,000 videos would be necessary.
    """
    arrivals = max(least_arrivals, _simulated_arrivals(demand, slots))
    if arrivals > SIMULATED_MOST or demand.load >= slots:
        return None
    rng = np.random.default_rng(seed)
    arrived = _arrival_times(demand, arrivals, rng)
    starts = ggc(arrived, lognormal(rng, demand.service_seconds, demand.service_cv, arrivals), slots)
    waits = (starts - arrived)[int(WARM_UP_SHARE * arrivals) :]
    return SimulatedQueue(arrivals, float(waits.mean()), float(np.quantile(waits, WAIT_QUANTILE)))


def _simulated_arrivals(demand: Demand, slots: int) -> int:
    in_batches = min(SIMULATED_BATCHES * demand.batch, SIMULATED_MOST) if demand.batch > 1 else 0
    return max(SIMULATED_ARRIVALS, SIMULATED_PER_SLOT * slots, in_batches)


def _arrival_times(demand: Demand, arrivals: int, rng: np.random.Generator) -> Floats:
    """Return the arrival times in seconds, of batches with gamma-distributed gaps.

    With a CV of 0, the batches come at even intervals.
    """
    batches = math.ceil(arrivals / demand.batch)
    gap = SECONDS_PER_MINUTE * demand.batch / demand.per_minute
    shape = 1 / demand.arrival_cv**2 if demand.arrival_cv > 0 else math.inf
    gaps = rng.gamma(shape, gap / shape, batches) if math.isfinite(shape) else np.full(batches, gap)
    times: Floats = np.repeat(np.cumsum(gaps), demand.batch)[:arrivals]
    return times


def worker_capacity(demand: Demand) -> float:
    """Return how many videos per minute one worker processes with all its slots busy."""
    return SECONDS_PER_MINUTE * demand.slots_per_worker / demand.service_seconds


def keda_queue_length(demand: Demand, *, with_in_flight: bool = True) -> int:
    """Return the setting `queueLength` of KEDA's aws-sqs scaler: the number of messages per worker.

    With c slots per worker, mean service time S and limit W of the queue wait, the result is:

    1. c (W/S + 1) if KEDA counts visible and in-flight messages, which is the default.
    2. c W/S if KEDA counts only visible messages (`with_in_flight=False`).
    """
    per_slot = demand.wait_p95_seconds / demand.service_seconds + (1 if with_in_flight else 0)
    return max(1, math.floor(demand.slots_per_worker * per_slot + 1e-9))


def cost_per_thousand(price_per_hour: float, worker_per_minute: float, utilisation: float = 1.0) -> float:
    """Return the cost of 1,000 videos, in the currency of `price_per_hour`.

    `price_per_hour` is the price of one worker. `worker_per_minute` is how many videos per minute one worker processes
    with all slots busy. `utilisation` is the mean share of busy slots.
    """
    return 1000 * price_per_hour / (60 * worker_per_minute * utilisation)


def drain_minutes(backlog: float, capacity_per_minute: float, arriving_per_minute: float) -> float:
    """Return in how many minutes the workers empty the queue while new videos arrive.

    `backlog` is the number of waiting videos. `capacity_per_minute` is how many videos the workers process per minute.
    Return infinity if `arriving_per_minute` is at least as high.
    """
    spare = capacity_per_minute - arriving_per_minute
    return backlog / spare if spare > 0 else math.inf


def _fewest_slots(demand: Demand, seed: int) -> int:
    """Return the smallest number of slots that suffices, by simulation if that is possible.

    The search doubles the number, then bisects. That finds the smallest, because the queue wait falls with more slots.
    """
    least = max(1, math.ceil(demand.load / demand.max_utilisation - 1e-9))

    def suffices(slots: int) -> bool:
        simulated = simulate(demand, slots, seed)
        return (simulated or forecast(demand, slots)).wait_p95_seconds <= demand.wait_p95_seconds

    return _smallest(least, suffices)


def _smallest(low: int, suffices: Callable[[int], bool]) -> int:
    if suffices(low):
        return low
    high = 2 * low
    while not suffices(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high
