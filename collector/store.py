"""Store the execution records of a spool, and the number of the last record read, in one transaction.

After a crash, the collector reads the interrupted page again. No record is stored twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, update
from sqlalchemy.orm import Session

from collector.assignment import assign
from collector.page import Page
from core.database import take_turn
from core.models import RunRow, SpoolRow
from core.run import FINAL_STATUSES

#: Lock of the transactions of all collectors of one database.
TURN = 0x61666F72
NODE_LENGTH = 64


@dataclass(frozen=True)
class Source:
    """Origin of a page of execution records: a worker or a file, and the time of the reading.

    `address` is HOST:PORT or a file path. `asked_at` is in epoch seconds. `clock_offset_seconds` is how many seconds
    the worker's clock is ahead of ours. `round_trip_seconds` is the time from request to answer. The last two are None
    for a file.
    """

    address: str
    asked_at: float
    clock_offset_seconds: float | None = None
    round_trip_seconds: float | None = None


@dataclass(frozen=True)
class Stored:
    """Result of storing a page of execution records.

    `added` is the number of new records. `missed` is the number of records that the worker dropped before they were
    read.
    """

    added: int
    missed: int


def position(session: Session, spool: str) -> int:
    """Return the number of the last execution record read from `spool`, or 0 if none was read."""
    row = session.get(SpoolRow, spool)
    return row.last_number if row else 0


def store(session: Session, page: Page, source: Source) -> Stored:
    """Store the new execution records of `page`. Return how many were new and how many were missed.

    A missed record was dropped by the worker before the collector read it. Call this function in a transaction of its
    own. Other collectors wait for the end of that transaction.
    """
    take_turn(session.connection(), TURN)
    spool = session.get(SpoolRow, page.spool, with_for_update=True) or _new(session, page.spool)
    new = [record for record in page.records if record["number"] > spool.last_number]
    missed = _missed(page, new, spool.last_number)
    if missed:
        spool.missed += missed
        _note_missed(session, missed, new[0]["ended_at"] if new else source.asked_at)
    assign(session, page.spool, page.node[:NODE_LENGTH], new)
    spool.last_number = max([spool.last_number, page.oldest - 1, *(record["number"] for record in new)])
    _describe(spool, page, source)
    return Stored(len(new), missed)


def _new(session: Session, spool_id: str) -> SpoolRow:
    spool = SpoolRow(id=spool_id, node="", address="", last_number=0, missed=0, read_at=0.0)
    session.add(spool)
    return spool


def _missed(page: Page, new: Sequence[Mapping[str, Any]], last_number: int) -> int:
    """Return how many numbers after `last_number` are neither in the page nor still to be read."""
    first_missing, missed = last_number + 1, 0
    for record in new:
        missed += record["number"] - first_missing
        first_missing = record["number"] + 1
    return missed + max(0, page.oldest - first_missing)


def _note_missed(session: Session, missed: int, before: float) -> None:
    """Add the missed records to the runs that were active before `before`: they may belong to any of them."""
    active = or_(RunRow.status.not_in(FINAL_STATUSES), RunRow.finished_at >= before)
    collected = (RunRow.executions_missed.is_not(None), RunRow.created_at <= before, active)
    session.execute(update(RunRow).where(*collected).values(executions_missed=RunRow.executions_missed + missed))


def _describe(spool: SpoolRow, page: Page, source: Source) -> None:
    """Update what is known of the spool. The clock is taken from the reading with the shortest round trip."""
    spool.node, spool.address, spool.read_at = page.node[:NODE_LENGTH], source.address[:255], source.asked_at
    if spool.last_number >= page.newest:
        spool.complete_at = source.asked_at
    shortest = spool.round_trip_seconds
    if source.round_trip_seconds is not None and (shortest is None or source.round_trip_seconds <= shortest):
        spool.clock_offset_seconds = source.clock_offset_seconds
        spool.round_trip_seconds = source.round_trip_seconds
