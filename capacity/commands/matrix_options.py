"""Check the options of a matrix as the user wrote them, and make its plan before any run starts."""

from __future__ import annotations

from typing import Any

from capacity.commands.load_options import worker_levels
from capacity.experiments.matrix_plan import MatrixPlan
from core.cli import whole_numbers
from core.errors import UsageError
from core.load_shape import parse_shape
from core.rate import parse_rate
from core.run import POISSON, Mode
from core.settings import MOST_SLOTS
from core.size_mix import DEFAULT_SEED, is_mix, one_spelling, parse_sizes

FOURTH_LEVEL = 8
DEFAULT_RATE = "10"
AUTOMATIC = "auto"


def matrix_plan(
    *,
    sizes: str,
    concurrencies: str,
    workers: str | None,
    levels: bool,
    modes: str,
    rate: str | None,
    shape: str | None,
    seed: int | None,
    **options: Any,
) -> MatrixPlan:
    """Return the plan of a matrix, made from its options as the user wrote them.

    Raise UsageError for an option that is wrong or contradicts another one.
    """
    slots = whole_numbers("CONCURRENCY", concurrencies, "slots", MOST_SLOTS)
    plan = MatrixPlan(
        sizes=_sizes(sizes),
        concurrencies=(*slots, FOURTH_LEVEL) if levels and FOURTH_LEVEL not in slots else slots,
        workers=worker_levels(workers),
        modes=_modes(modes),
        rate_per_minute=_rate(rate, shape),
        shape=shape,
        seed=DEFAULT_SEED if seed is None else seed,
        **options,
    )
    _require_sustained(plan)
    _require_exact_mixes(plan)
    if seed is not None and shape != POISSON and not any(is_mix(size) for size in plan.sizes):
        why = "only SHAPE=poisson and a mix of sizes are random"
        raise UsageError("SEED", why, "leave it out", value=seed)
    return plan


def _sizes(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one_spelling(part) for part in text.split(",")))


def _modes(text: str) -> tuple[str, ...]:
    modes = tuple(part.strip() for part in text.split(","))
    if not set(modes) <= {m.value for m in Mode}:
        raise UsageError("MODES", "there are burst and sustained", "give burst,sustained", value=text)
    return tuple(dict.fromkeys(modes))


def _rate(text: str | None, shape: str | None) -> float | None:
    """Return the rate of the sustained runs, in videos per minute, or None for an automatic one."""
    mean = None if shape is None else parse_shape(shape).mean_rate_per_minute
    if mean is not None and text is not None:
        raise UsageError("RATE", "SHAPE gives the rates", "leave it out", value=text)
    if mean is not None:
        return mean
    return None if text == AUTOMATIC else parse_rate(text or DEFAULT_RATE, or_word=AUTOMATIC)


def _require_sustained(plan: MatrixPlan) -> None:
    if plan.shape is not None and Mode.SUSTAINED not in plan.modes:
        raise UsageError(
            "SHAPE", "a burst sends all at once", "leave it out, or add sustained to MODES", value=plan.shape
        )


def _require_exact_mixes(plan: MatrixPlan) -> None:
    """Raise UsageError if a run could not have the exact shares of a mix."""
    for size in filter(is_mix, plan.sizes):
        if plan.adaptive:
            why = "a burst that stops early would not have the shares of a mix"
            raise UsageError("ADAPTIVE", why, "leave it out", value=size)
        for mode in plan.modes:
            parse_sizes(size).require_exact(plan.videos(mode))
