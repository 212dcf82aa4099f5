"""Names of the `make` options that describe one run, such as SIZE and COUNT.

`make` exports these options as environment variables. Code that starts another program removes them from that program's
environment.
"""

from __future__ import annotations

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
