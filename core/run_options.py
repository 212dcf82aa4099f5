"""Make options that describe one run.

They must not reach the programs of a stack, because these run longer than one run.
"""

RUN_OPTIONS = frozenset(
    {"SIZE", "COUNT", "MODE", "RATE", "FILE", "USER_ID", "PROFILE", "CONCURRENCY", "RUN_ID", "WARMUP"}
    | {"SIZES", "MODES", "REPEATS", "LEVELS", "ADAPTIVE", "ARRIVALS"}
)
