"""Command-line option `--seed`, for the injector and for the verbs that start it."""

from __future__ import annotations

from core.cli import WholeNumber, env_option
from core.size_mix import DEFAULT_SEED, MOST_SEED

seed_option = env_option(
    "--seed",
    "SEED",
    "Seed of SHAPE=poisson and of the order of a mix",
    unset=f"default {DEFAULT_SEED}",
    type=WholeNumber(0, MOST_SEED),
)
