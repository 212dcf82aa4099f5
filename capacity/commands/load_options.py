"""Options that matrix and search share: the numbers of workers, and the seed."""

from __future__ import annotations

from core.cli import WholeNumber, env_option
from core.errors import UsageError
from core.settings import MOST_WORKERS
from core.size_mix import DEFAULT_SEED, MOST_SEED

workers_option = env_option(
    "--workers", "WORKERS", "Numbers of workers, such as 1,2,3; each is measured", unset="default those that run"
)
seed_option = env_option(
    "--seed",
    "SEED",
    "Seed of SHAPE=poisson and of the order of a mix",
    unset=f"default {DEFAULT_SEED}",
    type=WholeNumber(0, MOST_SEED),
)


def worker_levels(text: str | None) -> tuple[int | None, ...]:
    """Return the numbers of workers in `text`, each once. None stands for the workers that run."""
    return (None,) if text is None else whole_numbers("WORKERS", text, "workers", MOST_WORKERS)


def whole_numbers(name: str, text: str, things: str, most: int) -> tuple[int, ...]:
    """Return the numbers in a list such as `1,2,4`, each once. Raise UsageError unless all are in 1 to `most`."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and 1 <= int(part[:9]) <= most for part in parts):
        raise UsageError(name, f"it must be whole numbers of {things}, 1 to {most}", "give 1,2,4", value=text)
    return tuple(dict.fromkeys(int(part) for part in parts))
