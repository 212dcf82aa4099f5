"""What the verbs need of a measured run; `capacity.results.load_rows` provides it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol

from capacity.estimate import Interval


class MeasuredRun(Protocol):
    """One recorded run, as far as `usl` and `plan` look at it; None means unknown."""

    @property
    def run_id(self) -> str:
        """Return the run's id."""

    @property
    def concurrency(self) -> int:
        """Return slots per worker."""

    @property
    def slots(self) -> int:
        """Return slots over all workers."""

    @property
    def x_sat_per_minute(self) -> float | None:
        """Return the nominal capacity, videos a minute."""

    @property
    def x_sat_interval(self) -> Interval | None:
        """Return its within-run 95 % interval."""

    @property
    def service_mean_seconds(self) -> float | None:
        """Return the mean service time."""

    @property
    def service_cv(self) -> float | None:
        """Return the coefficient of variation of the service time."""

    @property
    def cpu_count(self) -> int | None:
        """Return the cores of the worker's machine."""


def measured_runs(run_ids: Sequence[str]) -> Sequence[MeasuredRun]:
    """Return the recorded runs, in the order asked."""
    results = import_module("capacity.results")  # late: the verbs must work on a file without the store
    rows: Sequence[MeasuredRun] = results.load_rows(list(run_ids))
    return rows
