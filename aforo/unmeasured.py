"""Fallback for a worker that cannot be measured: log one line, and run the worker unmeasured."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import celery

from aforo import settings

logger = logging.getLogger(__name__)
#: Celery versions that are measured: from OLDEST to before TOO_NEW.
OLDEST, TOO_NEW = (5, 3), (6, 0)


@contextmanager
def never_an_outage() -> Iterator[None]:
    """Context manager: catch an error of Aforo in its block, and log one line.

    The worker then runs on unmeasured. With AFORO_STRICT=1, SystemExit is raised instead, which ends the worker.
    """
    try:
        yield
    except Exception as error:
        reason = str(error).strip().split("\n", 1)[0] or type(error).__name__
        if settings.is_on(settings.STRICT):
            # Celery catches every Exception that a signal handler raises, but not SystemExit
            raise SystemExit(f"error: aforo; {reason}; set {settings.STRICT.name}=0 to run unmeasured") from error
        logger.error("aforo cannot measure this worker, which runs unmeasured: %s", reason)


def require_known_version() -> None:
    """Raise ValueError unless the installed Celery is at least 5.3 and older than 6.0."""
    if not OLDEST <= tuple(celery.VERSION[:2]) < TOO_NEW:
        known = f"from {OLDEST[0]}.{OLDEST[1]} up to, but not including, {TOO_NEW[0]}.{TOO_NEW[1]}"
        raise ValueError(f"Celery {celery.__version__} is not one of the known versions, {known}")


def instrument_nothing(_app: Any, **_options: Any) -> None:
    """Do nothing. This function takes the place of `aforo.instrument` if Aforo cannot measure the worker."""


@contextmanager
def stage_of_nothing(_name: str) -> Iterator[None]:
    """Context manager: run the block unmeasured.

    This function takes the place of `aforo.stage` if Aforo cannot measure the worker.
    """
    yield
