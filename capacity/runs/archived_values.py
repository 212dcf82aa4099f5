"""Check the values in the `run.json` of an archived run, including its object `environment`.

An archive can come from somebody else, or its files can have been edited.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import UsageError, printable
from core.lost_videos import LOST_VIDEOS
from core.models import RunRow
from core.plain_number import plain_number
from core.run import MOST_VIDEOS, SEED, SHAPE, Mode, RunStatus
from core.size_mix import is_sizes_label
from core.user_files import read_text

REMEDY = "give results/runs/RUN_ID as `report` wrote it"
MOST_JSON_BYTES = 10_000_000
MOST_SLOTS = 100_000
#: the year 5138
LATEST_TIME = 1e11
LARGEST_NUMBER = 1e18


@dataclass(frozen=True)
class Values:
    """Allowed values of a field.

    `allowed` describes them in an error message. `accepts` returns True for an allowed value.
    """

    allowed: str
    accepts: Callable[[Any], bool]

    @property
    def or_null(self) -> Values:
        """Return a copy of these allowed values that allows null (None) too."""
        return Values(f"{self.allowed} or null", lambda value: value is None or self.accepts(value))


def _whole(low: int, high: int) -> Values:
    return Values(f"a whole number from {low:,} to {high:,}", lambda value: type(value) is int and low <= value <= high)


def _number(allowed: str, low: float, high: float) -> Values:
    def accepts(value: Any) -> bool:
        return type(value) in {int, float} and math.isfinite(value) and low <= value <= high

    return Values(allowed, accepts)


def _number_as_text(value: Any) -> bool:
    try:
        return value == "unknown" or plain_number(value) >= 0
    except (ValueError, AttributeError):
        return False


def _words(words: Iterable[str]) -> Values:
    known = [str(word) for word in words]
    return Values(" or ".join(known), lambda value: isinstance(value, str) and value in known)


TEXT = Values("a text", lambda value: isinstance(value, str))
FLAG = Values("true or false", lambda value: isinstance(value, bool))
COUNT = _whole(0, 10**15)
SLOTS = _whole(1, MOST_SLOTS)
TIME = _number("seconds since 1970", 0, LATEST_TIME)
SECONDS = _number("a number from 0", 0, LARGEST_NUMBER)
POSITIVE = _number("a number over 0", math.ulp(0.0), LARGEST_NUMBER)
ANY_NUMBER = _number("a finite number", -LARGEST_NUMBER, LARGEST_NUMBER)
NUMBER_TEXT = Values("a number as text", _number_as_text)
OBJECT = Values("an object", lambda value: isinstance(value, dict))
RECORDS = Values(
    "a list of objects", lambda value: isinstance(value, list) and all(isinstance(each, dict) for each in value)
)
TEXTS = Values(
    "a list of texts", lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value)
)
OFFSETS = Values("a list of numbers", lambda value: isinstance(value, list) and all(map(ANY_NUMBER.accepts, value)))
SIZE_LABEL = Values(
    "a size such as 50MB or 50MB:3+100MB:1", lambda value: isinstance(value, str) and is_sizes_label(value)
)

#: columns of `runs` by name
RUN_FIELDS: Mapping[str, Values] = {
    **dict.fromkeys(("id", "profile", "source", "source_sha256", "note"), TEXT),
    **dict.fromkeys(("user_id", "tasks_log", "stability", "bottleneck", "validity"), TEXT.or_null),
    "status": _words(RunStatus),
    "mode": _words(Mode),
    "size_label": SIZE_LABEL,
    "size_bytes": COUNT,
    "count": _whole(0, MOST_VIDEOS),
    **dict.fromkeys(("concurrency", "nodes", "slots"), SLOTS),
    **dict.fromkeys(("rate_per_minute", "window_seconds", "source_seconds"), POSITIVE.or_null),
    "created_at": TIME,
    **dict.fromkeys(("started_at", "finished_at", "heartbeat_at"), TIME.or_null),
    **dict.fromkeys(("capacity_per_minute", "capacity_low_per_minute", "capacity_high_per_minute"), ANY_NUMBER.or_null),
    "environment": OBJECT,
    "validity_reasons": TEXTS.or_null,
    "executions_missed": COUNT.or_null,
}
#: fields of `environment` and of the objects in it. Each may be missing.
ENVIRONMENT_FIELDS: Mapping[str, Values] = {
    **dict.fromkeys(("stack", "storage", "ffmpeg", "celery", "python", "kombu", "version", SHAPE), TEXT.or_null),
    **dict.fromkeys(("host", "app", "workers", "ceilings", "other_work", "messages"), OBJECT),
    **dict.fromkeys(("canary_before_seconds", "canary_after_seconds"), SECONDS.or_null),
    **dict.fromkeys(("messages_before", "dead_letters_before", SEED, LOST_VIDEOS), COUNT.or_null),
    "asked_count": _whole(1, MOST_VIDEOS),
    "cancelled_uploaded_at_mean": TIME,
    "is_warm": FLAG,
    **dict.fromkeys(("host.name", "host.system", "host.cpu_model"), TEXT.or_null),
    **dict.fromkeys(("host.cpu_count", "host.memory_bytes"), _number("a number over 0", 1, LARGEST_NUMBER).or_null),
    **dict.fromkeys(("app.name", "app.version", "app.task", "app.queue", "app.started_by"), TEXT.or_null),
    **dict.fromkeys(("app.instrumented", "app.acks_late", "app.dead_letter_queue"), FLAG.or_null),
    **dict.fromkeys(("app.observed_ends", "app.disagreements"), COUNT),
    **dict.fromkeys(("app.upload_offset_seconds", "app.database_clock_offset_seconds"), ANY_NUMBER.or_null),
    "app.worker_clock_offsets_seconds": OFFSETS,
    **dict.fromkeys(("messages.in_queue", "messages.dead_lettered", "other_work.executions"), COUNT),
    "messages.at": TIME,
    "other_work.seconds": SECONDS,
    **dict.fromkeys(("workers.start", "workers.end"), RECORDS),
}
#: fields that an object must have where it is present
REQUIRED = {"messages": ("in_queue", "dead_lettered", "at"), "other_work": ("executions", "seconds")}
#: fields of a worker's record that are not any text
WORKER_FIELDS: Mapping[str, Values] = {"slots": SLOTS, "cores": NUMBER_TEXT, "memory_bytes": NUMBER_TEXT}


def read_object(file: Path, remedy: str) -> dict[str, Any]:
    """Return the JSON object in a file, as a dictionary.

    Raise UsageError if the file cannot be read, or does not hold a JSON object. `remedy` is the advice to the user in
    the error.
    """
    text = read_text(str(file), file, remedy, MOST_JSON_BYTES)
    try:
        content = json.loads(text)
    except RecursionError:
        raise UsageError(str(file), "it is nested too deep", remedy) from None
    except ValueError as error:
        raise UsageError(str(file), f"it is no JSON: {printable(error)}", remedy) from None
    if not isinstance(content, dict):
        raise wrong_value(str(file), content, OBJECT.allowed, remedy)
    return content


def read_run_fields(file: Path) -> dict[str, Any]:
    """Return the content of a `run.json`: the fields of the run, named as its columns in the database.

    Raise UsageError if a field is unknown, is missing or has a value that is not allowed.
    """
    run = read_object(file, REMEDY)
    for name in run.keys() - RUN_FIELDS.keys():
        raise UsageError(f"{file}: {printable(name)}", "this version does not know it", REMEDY)
    for name, values in RUN_FIELDS.items():
        if name in run:
            _require(file, name, run[name], values)
        elif RunRow.__table__.columns[name].default is None and not RunRow.__table__.columns[name].nullable:
            raise UsageError(f"{file}: {name}", "it is missing", REMEDY)
    _require_environment(file, run.setdefault("environment", {}))
    return run


def require_figure(file: Path, content: Mapping[str, Any], name: str, remedy: str) -> float | None:
    """Return the figure `name` from the content of a `row.json`, or None if the figure is null (unknown).

    `content` is the JSON object in `file`. Raise UsageError if the figure is missing, negative or not a number.
    `remedy` is the advice to the user in the error.
    """
    if name not in content:
        raise UsageError(f"{file}: {name}", "it is missing", remedy)
    value: float | None = content[name]
    if not SECONDS.or_null.accepts(value):
        raise wrong_value(f"{file}: {name}", value, SECONDS.or_null.allowed, remedy)
    return value


def wrong_value(place: str, value: object, allowed: str, remedy: str = REMEDY) -> UsageError:
    """Return the error that reports `value`, a wrong value in a file. The caller raises the error.

    `place` names the file and the field or line. `allowed` describes the allowed values. `remedy` is the advice to the
    user in the error.
    """
    return UsageError(place, f"it must be {allowed}", remedy, value=value)


def _require_environment(file: Path, environment: Mapping[str, Any]) -> None:
    for name, values in ENVIRONMENT_FIELDS.items():
        parent, _, field = name.rpartition(".")
        holder = environment.get(parent, {}) if parent else environment
        if field in holder:
            _require(file, f"environment.{name}", holder[field], values)
    for parent, fields in REQUIRED.items():
        for field in fields:
            if parent in environment and field not in environment[parent]:
                raise UsageError(f"{file}: environment.{parent}.{field}", "it is missing", REMEDY)
    for name, limit in environment.get("ceilings", {}).items():
        _require(file, f"environment.ceilings.{name}", limit, SECONDS)
    for moment in ("start", "end"):
        for number, record in enumerate(environment.get("workers", {}).get(moment, ())):
            _require_worker(file, f"environment.workers.{moment}.{number}", record)


def _require_worker(file: Path, place: str, record: Mapping[str, Any]) -> None:
    if "slots" not in record:
        raise UsageError(f"{file}: {place}.slots", "it is missing", REMEDY)
    for name, value in record.items():
        _require(file, f"{place}.{name}", value, WORKER_FIELDS.get(name, TEXT))


def _require(file: Path, name: str, value: object, values: Values) -> None:
    if not values.accepts(value):
        shown = "null" if value is None else value
        raise wrong_value(f"{file}: {printable(name)}", shown, values.allowed)
