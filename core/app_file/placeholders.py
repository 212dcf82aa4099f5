"""Check the placeholders of `aforo.toml`, such as `{path}` and `{row.id}`, and replace them by values."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

NAMES = ("n", "uuid", "task_id", "path", "key", "user_id", "run_id", "now")
ALLOWED = ", ".join(f"{{{name}}}" for name in NAMES) + " and {row.COLUMN}"
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
ROW = "row."


def placeholders(value: Any) -> Iterator[str]:
    """Yield the names of the placeholders in `value`, also inside its lists and tables."""
    if isinstance(value, str):
        yield from _PLACEHOLDER.findall(value)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from placeholders(part)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from placeholders(part)


def is_known(name: str, *, with_row: bool) -> bool:
    """Return True if a placeholder of this name is allowed in `aforo.toml`.

    With `with_row`, the names `row.COLUMN` (columns of the inserted row) are allowed too.
    """
    return name in NAMES or (with_row and name.startswith(ROW) and len(name) > len(ROW))


def filled(value: Any, values: Mapping[str, Any]) -> Any:
    """Return `value` with its placeholders replaced by `values`, also inside its lists and tables.

    `values` maps the name of a placeholder to its value. A text that is only one placeholder becomes the value itself,
    such as a number.
    """
    if isinstance(value, str):
        alone = _PLACEHOLDER.fullmatch(value)
        if alone:
            return values[alone[1]]
        return _PLACEHOLDER.sub(lambda match: str(values[match[1]]), value)
    if isinstance(value, Mapping):
        return {key: filled(part, values) for key, part in value.items()}
    return [filled(part, values) for part in value] if isinstance(value, (list, tuple)) else value


def video_values(n: int, task_id: str, path: str, key: str, run_id: str, user_id: str | None) -> dict[str, Any]:
    """Return the values of the placeholders for one video, by the placeholder's name, such as `task_id`.

    `n` is the number of the video in its run, from 1. `path` is the path or `s3://` address of its input file. `key` is
    the name of that file, or its S3 key. The result also has a new UUID and the current time.
    """
    return {
        "n": n,
        "uuid": str(uuid.uuid4()),
        "task_id": task_id,
        "path": path,
        "key": key,
        "user_id": user_id,
        "run_id": run_id,
        "now": datetime.now(UTC),
    }


def message_values(values: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of the placeholders in the arguments and headers of a video's task.

    `values` are those of `video_values`. `row` maps the columns of the inserted database row to their values, for the
    placeholders `{row.COLUMN}`. A time becomes a text in ISO format, because JSON has no times.
    """
    known = {**values, **{f"{ROW}{column}": value for column, value in row.items()}}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in known.items()}
