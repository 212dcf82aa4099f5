"""Command-line options that the verbs `matrix` and `search` share: the numbers of workers."""

from __future__ import annotations

from core.cli import env_option, whole_numbers
from core.settings import MOST_WORKERS

workers_option = env_option(
    "--workers", "WORKERS", "Numbers of workers, such as 1,2,3; each is measured", unset="default those that run"
)


def worker_levels(text: str | None) -> tuple[int | None, ...]:
    """Return the numbers of workers in a text such as `1,2,3`, each once.

    If `text` is None, return `(None,)`, which stands for the workers that are running already. Raise UsageError for an
    invalid text.
    """
    return (None,) if text is None else whole_numbers("WORKERS", text, "workers", MOST_WORKERS)
