"""Names of the `make` options that describe one run, such as its size and number of videos.

The programs of a stack serve many runs, so they must not inherit the options of one run.
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
        "NOTE",
        "WARMUP",
        "WORKERS",
        "YES",
    }
    | {"SIZES", "MODES", "REPEATS", "LEVELS", "ADAPTIVE", "ARRIVALS"}
)
#: Further variables that `make` exports to its recipes.
MAKE_VARIABLES = frozenset({"ARGS", "MAKEFLAGS", "MAKEOVERRIDES", "MAKELEVEL", "MFLAGS"})
