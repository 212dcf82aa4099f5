"""Simulate a queue with several slots, and draw random service times for it."""

from __future__ import annotations

from heapq import heapreplace

import numpy as np

from capacity.estimators.interval import Floats


def ggc(arrivals: Floats, services: Floats, slots: int) -> Floats:
    """Simulate a first-come first-served queue with `slots` servers (G/G/c). Return the start times.

    `arrivals` are the arrival times of the jobs, in ascending order. `services` are their service times. All times are
    in seconds, one per job.
    """
    free = [0.0] * slots
    starts = np.empty(arrivals.size)
    for job, (arrival, service) in enumerate(zip(arrivals.tolist(), services.tolist(), strict=True)):
        start = max(arrival, free[0])
        starts[job] = start
        heapreplace(free, start + service)
    return starts


def lognormal(rng: np.random.Generator, mean: float, cv: float, size: int | tuple[int, ...]) -> Floats:
    """Return random log-normal service times with this mean and coefficient of variation `cv`.

    `mean` and the times are in seconds. `size` is the number of times, or the shape of the array.
    """
    spread = np.sqrt(np.log1p(cv**2))
    return mean * rng.lognormal(-(spread**2) / 2, spread, size) if cv > 0 else np.full(size, float(mean))
