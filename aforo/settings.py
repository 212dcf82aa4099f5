"""Environment variables that the library reads in a worker's process."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass

logger = logging.getLogger(__name__)
#: Words of an on/off variable, which are those of click: the options of Aforo's programs know the same.
ON = frozenset({"1", "t", "true", "y", "yes", "on"})
OFF = frozenset({"0", "f", "false", "n", "no", "off"})


@dataclass(frozen=True)
class Declaration:
    """Name, default and description of one environment variable that the library reads.

    `default_of_programs` is the default of the same variable in Aforo's own programs, such as the reference worker.
    """

    name: str
    default: str
    meaning: str
    is_secret: bool = False
    default_of_programs: str = ""


INSTRUMENT = Declaration("AFORO_INSTRUMENT", "0", "1 measures each worker that starts by Celery's command line.")
STRICT = Declaration("AFORO_STRICT", "0", "1 ends a worker that cannot be measured, instead of running it unmeasured.")
METRICS_HOST = Declaration("AFORO_METRICS_HOST", "127.0.0.1", "Address on which a measured worker serves /metrics.")
METRICS_PORT = Declaration(
    "AFORO_METRICS_PORT",
    "9101",
    "Port of /metrics, or a range such as 9101-9110: each worker of a host takes the first free port.",
)
EVENTS_REDIS_URL = Declaration(
    "AFORO_EVENTS_REDIS_URL",
    "",
    "Redis that receives Celery's events for celery-exporter; empty sends none.",
    is_secret=True,
    default_of_programs="redis://127.0.0.1:16379/0",
)
SPOOL_FOLDER = Declaration(
    "AFORO_SPOOL_FOLDER",
    "",
    "Folder of the execution records of all workers of a user; empty is a folder in the one for temporary files.",
)
SPOOL_RECORDS = Declaration(
    "AFORO_SPOOL_RECORDS", "100000", "Execution records that a worker keeps; the oldest of more are lost."
)
EXECUTIONS_FILE = Declaration(
    "AFORO_EXECUTIONS_FILE",
    "",
    "File to which a worker that nothing can reach appends its execution records; `make import-executions` reads it.",
)
IMAGE = Declaration(
    "AFORO_IMAGE", "", "Name or digest of the image in which the worker runs, recorded as a condition of each run."
)
DECLARATIONS = (
    *(INSTRUMENT, STRICT, METRICS_HOST, METRICS_PORT, EVENTS_REDIS_URL),
    *(SPOOL_FOLDER, SPOOL_RECORDS, EXECUTIONS_FILE, IMAGE),
)


def read(declaration: Declaration, environ: Mapping[str, str] = os.environ) -> str:
    """Return the value of an environment variable, or its default if the variable is unset or empty."""
    return environ.get(declaration.name, "").strip() or declaration.default


def is_on(declaration: Declaration, environ: Mapping[str, str] = os.environ) -> bool:
    """Return True if an on/off environment variable is on.

    The words of `ON` mean on, and those of `OFF` mean off. If the variable is unset or empty, its default is used. For
    any other word, log one warning and use the default, because an error would end somebody else's worker.
    """
    word = read(declaration, environ).lower()
    if word not in ON | OFF:
        _warn_once(declaration, word)
        word = declaration.default
    return word in ON


@functools.cache
def _warn_once(declaration: Declaration, word: str) -> None:
    text = "aforo: %s (%.40r) is unknown; its default %s is used; give 1 or 0"
    logger.warning(text, declaration.name, word, declaration.default)


def whole(declaration: Declaration, environ: Mapping[str, str] = os.environ) -> int:
    """Return the value of an environment variable that must be a whole number above 0.

    Raise ValueError for any other text.
    """
    text = read(declaration, environ)
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ValueError(f"{declaration.name} ({text}) is not a whole number above 0")
    return int(text)


def port_range(text: str) -> range:
    """Return the ports named by a text such as `9101` or `9101-9110`. Raise ValueError for any other text."""
    first, _, last = text.partition("-")
    try:
        ports = range(int(first), int(last or first) + 1)
    except ValueError:
        ports = range(0)
    if not ports or not 0 < ports[0] <= ports[-1] < 2**16:
        raise ValueError(f"{METRICS_PORT.name} ({text}) is not a port or a range of ports such as 9101-9110")
    return ports
