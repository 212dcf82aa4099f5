"""Parse a page of execution records: a worker's JSON answer to a request for `/executions`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from collector.storable import is_altered, is_storable_text, storable

#: A worker's largest page is 1 MiB.
MAX_BYTES = 2 << 20
#: of a column of type BigInteger
_LARGEST_NUMBER = 2**63 - 1
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
    #: how many of the records had a value that no database can store, and that was replaced
    altered: int = 0


def parse(body: bytes) -> Page:
    """Parse the body of a worker's answer, and return the page of execution records in it.

    Raise InvalidPage if the body is not such a page.
    """
    try:
        answer = json.loads(body)
        records = checked(answer["records"])
        return Page(
            spool=_text(answer["spool"], 32),
            served_by=_text(answer["served_by"], 32),
            node=_text(answer["node"], 255),
            oldest=_number(answer["oldest"]),
            newest=_number(answer["newest"]),
            clock=_time(answer["clock"]),
            dead_spools=tuple(_text(each, 32) for each in answer["dead_spools"]),
            records=records,
            altered=sum(map(is_altered, answer["records"], records)),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise InvalidPage(f"it is no page of executions ({type(error).__name__}: {error})") from error


def checked(records: list[Any]) -> tuple[Mapping[str, Any], ...]:
    """Return the execution records if they are valid. Otherwise raise InvalidPage.

    Each record must have all fields with valid types. The field `number` must increase from record to record. Values
    that no database can store are replaced, as the function `storable` does.
    """
    last = 0
    for record in records:
        for name, kinds in _FIELDS.items():
            if not isinstance(record, dict) or not isinstance(record.get(name), kinds):
                raise InvalidPage(f"a record has no valid {name}")
        if record["number"] <= last:
            raise InvalidPage("the numbers of its records do not increase")
        last = _number(record["number"])
    stored = tuple(map(storable, records))
    if any(record["started_at"] is None or record["ended_at"] is None for record in stored):
        raise InvalidPage("a record has no valid time")
    return stored


def _number(value: Any) -> int:
    if not 0 <= int(value) <= _LARGEST_NUMBER:
        raise InvalidPage("it has an impossible number of a record")
    return int(value)


def _time(value: Any) -> float:
    if not math.isfinite(float(value)):
        raise InvalidPage("its clock is no time")
    return float(value)


def _text(value: Any, limit: int) -> str:
    if not isinstance(value, str) or not value or len(value) > limit or not is_storable_text(value):
        raise ValueError(f"{value!r:.99} is no text of at most {limit} characters")
    return value
