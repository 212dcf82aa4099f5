"""Replace the values of an execution record that a database cannot store.

The sender of a message can choose some of these values, such as the header `root_id`. One such value must not keep the
collector from storing the record and all later records.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

#: PostgreSQL stores no NUL, and no database stores a lone surrogate.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
_REPLACEMENT = "\ufffd"
#: lengths of the columns
_LONGEST = {"reason": 32}
_LONGEST_OTHER = 255
#: Columns of type Integer have 32 bits in PostgreSQL.
_LARGEST_COUNT = 2**31 - 1
_TEXTS = ("task", "task_id", "root_id", "outcome", "reason")
_COUNTS = ("retries", "receive_count", "slot")
_SECONDS = ("queue_wait_seconds", "cpu_seconds")


def storable(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return an execution record whose values every database can store.

    Forbidden characters are replaced, long texts are cut, and large counts are limited. Seconds that are not finite
    become None. A stage without finite seconds, and an id in `sent` that is no text, are left out. `record` must have
    all fields of an execution record with valid types. Other fields are left out.
    """
    return {
        "number": record["number"],
        **{name: _text(record[name], _LONGEST.get(name, _LONGEST_OTHER)) for name in _TEXTS},
        **{name: _count(record[name]) for name in _COUNTS},
        **{name: _number(record[name]) for name in ("started_at", "ended_at", *_SECONDS)},
        "stages": {
            _text(name, _LONGEST_OTHER): number
            for name, seconds in record["stages"].items()
            if (number := _number(seconds)) is not None
        },
        "sent": [_text(task_id, _LONGEST_OTHER) for task_id in record["sent"] if isinstance(task_id, str)],
    }


def is_storable_text(text: str) -> bool:
    """Return True if every database can store `text`, whatever its length."""
    return not _UNSTORABLE.search(text)


def is_altered(record: Mapping[str, Any], stored: Mapping[str, Any]) -> bool:
    """Return True if a value in `stored`, which `storable` returned, differs from that in `record`."""
    return any(value != record[name] for name, value in stored.items())


def _text(value: str | None, longest: int) -> str | None:
    return None if value is None else _UNSTORABLE.sub(_REPLACEMENT, value[:longest])


def _count(value: int | None) -> int | None:
    return None if value is None else max(-_LARGEST_COUNT, min(value, _LARGEST_COUNT))


def _number(value: object) -> float | None:
    """Return a finite number as a float, and anything else as None."""
    try:
        number = float(value) if isinstance(value, int | float) else math.inf
    except OverflowError:  # a large int
        return None
    return number if math.isfinite(number) else None
