"""Parse a page of execution records: a worker's JSON answer to a request for `/executions`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: A worker's largest page is 1 MiB.
MAX_BYTES = 2 << 20
_NUMBERS = (int, float)
#: Field of a record → the types that its value may have.
_FIELDS: Mapping[str, tuple[type, ...]] = {
    "number": (int,),
    "task": (str,),
    "task_id": (str,),
    "root_id": (str, type(None)),
    "retries": (int, type(None)),
    "receive_count": (int, type(None)),
    "slot": (int, type(None)),
    "started_at": _NUMBERS,
    "ended_at": _NUMBERS,
    "outcome": (str,),
    "reason": (str, type(None)),
    "queue_wait_seconds": (*_NUMBERS, type(None)),
    "cpu_seconds": (*_NUMBERS, type(None)),
    "stages": (dict,),
    "sent": (list,),
}


class InvalidPage(Exception):
    """Error for a worker's answer that is not a page of execution records."""


@dataclass(frozen=True)
class Page:
    """One page of execution records: the answer of a worker to one request.

    All `records` are from one spool. They are sorted by their number in that spool.
    """

    #: id of the spool that holds the records
    spool: str
    #: id of the worker's own spool
    served_by: str
    #: name of the worker
    node: str
    #: lowest and highest record number in the spool at the time of the answer
    oldest: int
    newest: int
    #: time of the answer by the worker's clock, in epoch seconds
    clock: float
    #: ids of the spools of dead processes, which the worker serves too
    dead_spools: tuple[str, ...]
    records: tuple[Mapping[str, Any], ...]


def parse(body: bytes) -> Page:
    """Parse the body of a worker's answer, and return the page of execution records in it.

    Raise InvalidPage if the body is not such a page.
    """
    try:
        answer = json.loads(body)
        return Page(
            spool=_text(answer["spool"], 32),
            served_by=_text(answer["served_by"], 32),
            node=_text(answer["node"], 255),
            oldest=int(answer["oldest"]),
            newest=int(answer["newest"]),
            clock=float(answer["clock"]),
            dead_spools=tuple(_text(each, 32) for each in answer["dead_spools"]),
            records=checked(answer["records"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidPage(f"it is no page of executions ({type(error).__name__}: {error})") from error


def checked(records: list[Any]) -> tuple[Mapping[str, Any], ...]:
    """Return the execution records unchanged if they are valid. Otherwise raise InvalidPage.

    Each record must have all fields with valid types. The field `number` must increase from record to record.
    """
    last = 0
    for record in records:
        for name, kinds in _FIELDS.items():
            if not isinstance(record, dict) or not isinstance(record.get(name), kinds):
                raise InvalidPage(f"a record has no valid {name}")
        if record["number"] <= last:
            raise InvalidPage("the numbers of its records do not increase")
        last = record["number"]
    return tuple(records)


def _text(value: Any, limit: int) -> str:
    if not isinstance(value, str) or not value or len(value) > limit:
        raise ValueError(f"{value!r} is no text of at most {limit} characters")
    return value
