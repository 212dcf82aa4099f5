"""Options of `make` that describe one run.

The programs of a stack must not inherit these options, because the programs run longer than one run.
"""

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
        "WARMUP",
        "WORKERS",
        "YES",
    }
    | {"SIZES", "MODES", "REPEATS", "LEVELS", "ADAPTIVE", "ARRIVALS"}
)
#: Further variables that `make` exports to its recipes.
MAKE_VARIABLES = frozenset({"ARGS", "MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MFLAGS"})
