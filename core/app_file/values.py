"""Checks of single values of `aforo.toml`.

Each check returns the value, converted where needed, or raises ValueError with what is allowed.
"""

from __future__ import annotations

import re
import shlex
import zoneinfo
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from core.app_file.database_dialects import DRIVERS
from core.ffmpeg.profiles import PROFILES

SUBSTITUTED = ("concurrency", "workers")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_TASK = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*")
_TARGET = re.compile(r"[A-Za-z0-9_.-]+:\d{1,5}(-\d{1,5})?")
LONGEST_TASK = 255


def text(value: Any) -> str:
    """Return `value` if it is a printable text that is not empty. Otherwise raise ValueError."""
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise ValueError("a text that is not empty")
    return value


def name(value: Any) -> str:
    """Return `value` if it is a valid name for an app. Otherwise raise ValueError.

    A valid name can be used in file names and as the value of a metric label. The name of an encoding profile is not
    valid.
    """
    # an app's name is stored where our own worker has its profile
    if not isinstance(value, str) or not _NAME.fullmatch(value) or value in PROFILES:
        raise ValueError("1 to 32 of a-z, 0-9 and '-', such as mi-app")
    return value


def task_name(value: Any) -> str:
    """Return `value` if it is a valid name of a Celery task. Otherwise raise ValueError."""
    if not isinstance(value, str) or len(value) > LONGEST_TASK or not _TASK.fullmatch(value):
        raise ValueError("the name of a task, such as app.tasks.process_video")
    return value


def queue_name(value: Any) -> str:
    """Return `value` if it is a valid name of a standard SQS queue. Otherwise raise ValueError.

    Names of FIFO queues are not allowed.
    """
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", value):
        raise ValueError("1 to 80 letters, digits, '-' and '_' (FIFO queues are not supported)")
    return value


def table_name(value: Any) -> str:
    """Return `value` if it is the name of a database table. Otherwise raise ValueError.

    The name has the form `table` or `schema.table`.
    """
    if not isinstance(value, str) or not re.fullmatch(r"\w{1,63}(\.\w{1,63})?", value):
        raise ValueError("the name of a table, or schema.table")
    return value


def boolean(value: Any) -> bool:
    """Return `value` unchanged if it is True or False. Raise ValueError for any other value."""
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def whole(low: int, high: int) -> Callable[[Any], int]:
    """Return a function that accepts only whole numbers from `low` to `high`.

    The function returns an allowed value unchanged, and raises ValueError for any other value.
    """

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return value

    return check


def one_of(*allowed: Any) -> Callable[[Any], Any]:
    """Return a function that accepts only the values in `allowed`.

    The function returns an allowed value unchanged, and raises ValueError for any other value.
    """

    def check(value: Any) -> Any:
        if isinstance(value, bool) or value not in allowed:
            raise ValueError("one of " + ", ".join(map(str, allowed)))
        return value

    return check


def array(value: Any) -> list[Any]:
    """Return `value` if it is a list. Otherwise raise ValueError."""
    if not isinstance(value, list):
        raise ValueError('a list, such as ["{row.id}", "{path}"]')
    return value


def table(value: Any) -> dict[str, Any]:
    """Return `value` if it is an inline table of TOML, such as `{id = 1}`. Otherwise raise ValueError."""
    if not isinstance(value, dict):
        raise ValueError('a table, such as { path = "{path}" }')
    return value


def filled_table(value: Any) -> dict[str, Any]:
    """Return the inline table `value` if it has at least one database column. Otherwise raise ValueError.

    The key `insert` of aforo.toml has such a table. It maps the columns of a new row to their values.
    """
    if not table(value):
        raise ValueError("a table with at least one column")
    return dict(value)


def status(value: Any) -> dict[str, Any]:
    """Return the value of the key `status` of aforo.toml as a dict, with its two lists as tuples.

    Example: `{ column = "state", done = ["done"], failed = ["failed"] }` names the status column, and its values that
    mean done and failed. Raise ValueError for an invalid value.
    """
    allowed = '{ column = "state", done = ["done"], failed = ["failed"] }'
    if not isinstance(value, dict) or set(value) != {"column", "done", "failed"}:
        raise ValueError(allowed)
    final = [tuple(value[key]) if isinstance(value[key], list) else () for key in ("done", "failed")]
    if not isinstance(value["column"], str) or not final[0] or set(final[0]) & set(final[1]):
        raise ValueError(f"{allowed}; no value may be in both lists")
    return {"column": value["column"], "done": final[0], "failed": final[1]}


def time_zone(value: Any) -> str:
    """Return `value` if it is the name of a time zone, such as `America/Bogota`. Else raise ValueError."""
    try:
        zoneinfo.ZoneInfo(text(value))
    except (ValueError, zoneinfo.ZoneInfoNotFoundError, OSError):
        raise ValueError("the name of a time zone, such as UTC or America/Bogota") from None
    return str(value)


def targets(value: Any) -> tuple[str, ...]:
    """Return HOST:PORT of each worker's /metrics page, from a list such as `["host:9101-9103"]`.

    A range of ports becomes one address per port. Raise ValueError if `value` is not such a list.
    """
    if not isinstance(value, list) or not all(isinstance(part, str) and _TARGET.fullmatch(part) for part in value):
        raise ValueError('a list such as ["localhost:9101-9110"]')
    return tuple(address for part in value for address in _addresses(part))


def command(value: Any) -> str:
    """Return `value` if it is a valid command to start the app's worker. Otherwise raise ValueError.

    The command is run without a shell. It must contain `{concurrency}` and may contain `{workers}`, but no other
    placeholder and no option `--autoscale`.
    """
    words = _words(value)
    if "{concurrency}" not in value:
        raise ValueError("a command with {concurrency}, such as celery -A app worker --concurrency={concurrency}")
    if any(word.startswith("--autoscale") for word in words):
        raise ValueError("a command without --autoscale, because its number of slots changes during a run")
    _require_known(value)
    return str(value)


def shell_line(value: Any) -> str:
    """Return `value` if it is a valid command for a shell. Otherwise raise ValueError.

    An example is the command that changes the number of workers. The only placeholders allowed in it are
    `{concurrency}` and `{workers}`.
    """
    line = text(value)
    _require_known(line)
    return line


def substituted(line: str, concurrency: int, workers: int = 1) -> str:
    """Return the command `line` with `{concurrency}` and `{workers}` replaced by these numbers."""
    return line.replace("{concurrency}", str(concurrency)).replace("{workers}", str(workers))


def database_url(url: str, url_from_here: str | None, environment: Mapping[str, str], directory: Path) -> str:
    """Return the SQLAlchemy URL, with its password, at which this machine reaches the app's database.

    `url` is the app's URL, or `env:NAME` if the variable NAME in `environment` holds the app's URL. If `url_from_here`
    is given, the result is that URL with the password of the app's URL. A relative path of an SQLite file starts at
    `directory`. Raise ValueError for an invalid URL, an unsupported database, an unset variable, or a password in
    aforo.toml.
    """
    full = _parsed(_of_environment(url, environment))
    if not url.startswith("env:") and full.password:
        raise ValueError("a literal password is refused; write env:NAME and keep it in env_file")
    if url_from_here is not None:
        here = _parsed(url_from_here)
        if here.password:
            raise ValueError("url_from_here holds a password; leave it out, that of url is used")
        full = here.set(username=here.username or full.username, password=full.password)
    backend = full.get_backend_name()
    if backend not in DRIVERS:
        raise ValueError(f"the database {backend} is not supported; postgresql, mysql and sqlite are")
    full = full.set(drivername=DRIVERS[backend])
    if backend == "sqlite" and full.database and full.database != ":memory:":
        full = full.set(database=str((directory / full.database).absolute()))
    return full.render_as_string(hide_password=False)


def _of_environment(url: str, environment: Mapping[str, str]) -> str:
    if not url.startswith("env:"):
        return url
    variable = url.removeprefix("env:")
    if not environment.get(variable):
        raise ValueError(f"{variable} is not set in app.env_file")
    return environment[variable]


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError("it is no database URL, such as postgresql://user@host/name") from None


def _words(value: Any) -> list[str]:
    try:
        return shlex.split(text(value))
    except ValueError:
        raise ValueError("a command on one line, with closed quotes") from None


def _require_known(line: str) -> None:
    """Raise ValueError for a placeholder other than the two numbers. `${NAME}` belongs to the shell."""
    unknown = [name for name in re.findall(r"(?<!\$)\{(\w*)\}", line) if name not in SUBSTITUTED]
    if unknown:
        raise ValueError(f"a line with {{concurrency}} and {{workers}} only, not {{{unknown[0]}}}")


def _addresses(target: str) -> list[str]:
    host, _, ports = target.rpartition(":")
    first, _, last = ports.partition("-")
    return [f"{host}:{port}" for port in range(int(first), int(last or first) + 1)]
