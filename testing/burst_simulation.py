"""Simulate bursts in which the caller sets the service times, so that the capacity is known.

Tests and benchmarks compare the known capacity with the capacity that Aforo estimates from the simulated times.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heapreplace

import numpy as np

from capacity.estimators.interval import Floats, Integers


@dataclass(frozen=True, slots=True)
class SimulatedBurst:
    """Result of a simulated burst: start, end and slot of each video, in the order of their starts.

    All videos are sent at time 0. Times are in seconds.
    """

    started_at: Floats
    ended_at: Floats
    slot: Integers


def burst(
    services: Floats,
    slots: int,
    start_lags: Floats | None = None,
    poll_gaps: Floats | None = None,
    contention: float = 0.0,
) -> SimulatedBurst:
    """Simulate a burst on `slots` slots. Return the start, end and slot of each video.

    All times are in seconds. `services` has the service time of each video. `start_lags` has the time until each slot
    starts its first video. `poll_gaps` has one number per video: the pause of a slot between two videos. While n slots
    work, the speed of each video is multiplied by 1 / (1 + contention (n - 1)).
    """
    lags = np.zeros(slots) if start_lags is None else start_lags
    gaps = np.zeros(services.size) if poll_gaps is None else poll_gaps
    if contention == 0:
        return _independent_burst(services, lags, gaps)
    return _contended_burst(services, lags, gaps, contention)


def _independent_burst(services: Floats, lags: Floats, gaps: Floats) -> SimulatedBurst:
    free = [(lag, slot) for slot, lag in enumerate(lags.tolist())]
    heapify(free)
    starts, taken = np.empty(services.size), np.empty(services.size, dtype=np.int64)
    for video in range(services.size):
        start, slot = free[0]
        starts[video], taken[video] = start, slot
        end = start + services[video]
        following = gaps[video + 1] if video + 1 < services.size else 0.0
        heapreplace(free, (end + following, slot))
    return SimulatedBurst(starts, starts + services, taken)


def _contended_burst(services: Floats, lags: Floats, gaps: Floats, contention: float) -> SimulatedBurst:
    """Simulate the burst from event to event.

    Between two events, every running video progresses at the same rate.
    """
    slots, count = lags.size, services.size
    starts, ends, taken = np.empty(count), np.empty(count), np.empty(count, dtype=np.int64)
    left, ready, running = np.full(slots, np.inf), lags.astype(np.float64), np.full(slots, -1)
    now, started, ended = 0.0, 0, 0
    while ended < count:
        rate = 1 / (1 + contention * max(int((running >= 0).sum()) - 1, 0))
        finisher, starter = int(np.argmin(left)), int(np.argmin(ready))
        finish_at = now + left[finisher] / rate
        start_at = ready[starter] if started < count else np.inf
        moment = min(finish_at, start_at)
        left[running >= 0] -= (moment - now) * rate
        now = float(moment)
        if start_at < finish_at:
            starts[started], taken[started] = now, starter
            left[starter], ready[starter], running[starter] = services[started], np.inf, started
            started += 1
        else:
            ends[running[finisher]] = now
            left[finisher], ready[finisher], running[finisher] = np.inf, now + gaps[min(started, count - 1)], -1
            ended += 1
    return SimulatedBurst(starts, ends, taken)
