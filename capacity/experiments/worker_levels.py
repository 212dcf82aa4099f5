"""Check that an experiment gets the workers that it asks for, and read how many workers an app has.

An experiment is a series of runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.app_file import AppFile
from core.errors import EnvironmentFault, UsageError
from core.settings import Settings
from core.worker_conditions import app_records, app_slots, autoscale, records_in_prometheus


@dataclass(frozen=True)
class WorkerLevel:
    """A number of workers with the same number of slots."""

    workers: int
    concurrency: int


def require_settable(settings: Settings, workers: Sequence[int | None]) -> None:
    """Raise UsageError if Aforo cannot start these numbers of workers.

    None in `workers` stands for the workers that already run. They need no start.
    """
    numbers = ",".join(str(number) for number in workers if number is not None)
    if not numbers or numbers == "1":
        return
    app = settings.app
    if app is not None:
        _require_scale(app, numbers)
    elif settings.stack == "native":
        raise UsageError(
            "WORKERS", "the native stack has one worker", "leave it out, or add STACK=compose", value=numbers
        )
    elif settings.stack == "aws":
        why = "Aforo does not start workers on other machines"
        raise UsageError("WORKERS", why, "leave it out: those that run are measured", value=numbers)


def require_up(settings: Settings, concurrency: int, workers: int | None) -> None:
    """Raise EnvironmentFault unless exactly `workers` workers are up, each with `concurrency` slots.

    A worker is up if Prometheus has its current metrics. If `workers` is None, one worker or more must be up.
    """
    slots = sorted(record["slots"] for record in records_in_prometheus(settings.prometheus.url, settings.queue.name))
    if slots and slots == [concurrency] * (workers or len(slots)):
        return
    remedy = f"restart them with --concurrency {concurrency}"
    if settings.stack == "compose":
        number = "" if workers is None else f" WORKERS={workers}"
        remedy = f"run `make up STACK=compose CONCURRENCY={concurrency}{number}`, then this again"
    raise EnvironmentFault("worker", f"{_described(slots)}", remedy, value=settings.stack)


def require_fixed_slots(settings: Settings, app: AppFile) -> None:
    """Raise EnvironmentFault if a worker of the app runs with Celery's option `--autoscale`.

    Such a worker changes its number of slots during a run, so the run cannot measure a given number of slots. The
    workers of an app that does not instrument them are not checked.
    """
    value = autoscale(app_records(settings, app)) if app.worker.instrument else None
    if value is not None:
        why = "the worker changes its slots during a run"
        remedy = "start it without that option, or measure single runs: X and S hold there"
        raise EnvironmentFault("--autoscale", why, remedy, value=value)


def level_of_app(settings: Settings, app: AppFile) -> WorkerLevel | None:
    """Return how many workers an app has and how many slots each has, to restore both later.

    Return None if no worker's /metrics page answers, or if the workers have different numbers of slots. Return None
    also if aforo.toml has the command `worker.restore`, or has no command `worker.scale`.
    """
    if app.worker.scale is None or app.worker.restore is not None or not app.worker.instrument:
        return None
    slots = app_slots(settings, app)
    return WorkerLevel(len(slots), slots[0]) if len(set(slots)) == 1 else None


def _require_scale(app: AppFile, numbers: str) -> None:
    if app.worker.command is not None:
        why = "worker.command starts one worker"
        raise UsageError("WORKERS", why, "use worker.scale for several", value=numbers)
    if "{workers}" not in str(app.worker.scale):
        why = f"{app.place('worker.scale')} has no {{workers}}"
        raise UsageError("WORKERS", why, "write {workers} where that line takes their number", value=numbers)


def _described(slots: Sequence[int]) -> str:
    """Return how many workers are up, and their slots: `2 workers are up with 1 and 4 slots`."""
    if not slots:
        return "none is up"
    each = " and ".join(str(number) for number in sorted(set(slots)))
    return f"{len(slots)} {'is' if len(slots) == 1 else 'are'} up, with {each} slots"
