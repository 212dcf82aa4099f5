"""Names of the `make` options that describe one run, such as SIZE and COUNT.

`make` exports these options as environment variables. Code that starts another program removes them from that program's
environment. This module also defines the command-line option `--seed`.
"""

from __future__ import annotations

from core.cli import WholeNumber, env_option
from core.size_mix import DEFAULT_SEED, MOST_SEED

RUN_OPTIONS = frozenset(
    {
        "SIZE",
        "COUNT",
        "MODE",
        "RATE",
        "SHAPE",
        "SEED",
        "TRACE",
        "FILE",
        "USER_ID",
        "PROFILE",
        "CONCURRENCY",
        "RUN_ID",
        "NOTE",
        "WARMUP",
        "WORKERS",
        "YES",
    }
    | {"SIZES", "MODES", "REPEATS", "LEVELS", "ADAPTIVE", "ARRIVALS"}
)
#: Further variables that `make` exports to its recipes.
MAKE_VARIABLES = frozenset({"ARGS", "MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MFLAGS"})

#: for the injector and for the verbs that start it
seed_option = env_option(
    "--seed",
    "SEED",
    "Seed of SHAPE=poisson and of the order of a mix",
    unset=f"default {DEFAULT_SEED}",
    type=WholeNumber(0, MOST_SEED),
)
