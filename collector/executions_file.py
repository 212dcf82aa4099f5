"""Import a worker's executions file (AFORO_EXECUTIONS_FILE), if no collector can reach the worker."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from collector.page import InvalidPage, Page, checked
from collector.storable import is_storable_text
from collector.store import Source, Stored, store
from core.database import Sessions
from core.errors import UsageError
from core.user_files import read_text

#: Records that are stored in one transaction.
BATCH = 1000
#: ten times the largest spool
MOST_BYTES = 1_000_000_000


def import_file(sessions: Sessions, path: Path) -> Stored:
    """Store the records of a worker's executions file. Return the counts of added and missing records.

    A record that is already stored is not added again. A gap in the record numbers counts as missing records. A last
    line without a line end is ignored. Raise UsageError for an invalid record, or if the file cannot be read.
    """
    added = missed = 0
    for (spool, node), records in _by_spool(path).items():
        for start in range(0, len(records), BATCH):
            some = tuple(records[start : start + BATCH])
            page = Page(spool, spool, node, 1, records[-1]["number"], time.time(), (), some)
            with sessions.begin() as session:
                stored = store(session, page, Source(str(path), time.time()))
            added, missed = added + stored.added, missed + stored.missed
    return Stored(added, missed)


def _by_spool(path: Path) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    spools: dict[tuple[str, str], list[Mapping[str, Any]]] = defaultdict(list)
    for number, record in _records(path):
        try:
            stored = checked([record])
            spools[_owner(record["spool"], 32), _owner(record["node"], 255)].extend(stored)
        except (InvalidPage, KeyError) as error:
            raise _invalid(path, number, str(error)) from error
    return {key: sorted(records, key=lambda record: int(record["number"])) for key, records in spools.items()}


def _owner(value: object, longest: int) -> str:
    if not is_storable_text(str(value)):
        raise InvalidPage("the spool or node is no text that a database can store")
    return str(value)[:longest]


def _records(path: Path) -> Iterator[tuple[int, Any]]:
    remedy = "give the file that the worker wrote"
    *lines, _cut = read_text("executions file", path, remedy, MOST_BYTES).split("\n")
    for number, line in enumerate(lines, start=1):
        try:
            yield number, json.loads(line)
        except (ValueError, RecursionError) as error:
            raise _invalid(path, number, "it is not JSON") from error


def _invalid(path: Path, line: int, why: str) -> UsageError:
    return UsageError("executions file", f"line {line}: {why}", "give the file that the worker wrote", value=path)
