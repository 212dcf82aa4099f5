"""One round of the collector: read every worker up to its newest record, and store the records.

After an error, the next round goes on with the first record that was not stored.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from collector.assignment import assign_waiting
from collector.metrics import CollectorMetrics, Reason
from collector.page import InvalidPage, Page
from collector.reading import NotRecorded, Reading, Unreachable, read
from collector.store import Source, position, store
from core.database import Sessions
from core.errors import first_line
from core.models import SpoolRow

logger = logging.getLogger(__name__)
Read = Callable[[str, str, int], Reading]
#: Workers that are asked at the same time: an address that does not answer costs seconds.
THREADS = 16
#: More pages of one worker than a full spool has are not read in one round.
MAX_PAGES = 200


class Balanced(Exception):
    """Error for an address at which several workers answer in turn, such as that of a load balancer.

    The collector cannot read any of these workers completely.
    """


@dataclass
class Address:
    """Ids of the spools that the collector has found at the address of one worker.

    `spools` are the worker's own spools, one per start, with the newest last. `read_dead` are the spools of dead
    processes that the collector has read.
    """

    spools: list[str] = field(default_factory=list)
    read_dead: set[str] = field(default_factory=set)

    def answered(self, spool: str) -> None:
        """Record that the worker process with the spool id `spool` answered at this address.

        Raise Balanced if several workers answer at this address in turn.
        """
        if spool in self.spools[:-1]:  # a restarted worker never answers with an old id again
            raise Balanced("several workers answer in turn; name each worker's own address")
        if spool not in self.spools:
            self.spools.append(spool)


class Round:
    """Read the execution records of all workers and store them.

    The database stores up to which record each spool was read. After a restart, the collector goes on from there.
    """

    def __init__(self, sessions: Sessions, metrics: CollectorMetrics, read_page: Read = read) -> None:
        self._sessions, self._metrics, self._read = sessions, metrics, read_page
        self._addresses: dict[str, Address] = {}
        self._failing: dict[str, str] = {}

    def run(self, addresses: Iterable[str], now: float | None = None) -> None:
        """Read and store the new execution records of the workers at `addresses` (HOST:PORT).

        An error of a worker or the database is logged and counted, not raised. An execution whose video is not recorded
        yet is assigned to the video in a later round. `now` is in epoch seconds.
        """
        with ThreadPoolExecutor(THREADS, thread_name_prefix="read") as threads:
            recorded = [each for each in threads.map(self._try_to_read, addresses) if each]
        self._metrics.workers.set(len(recorded))
        self._try("database", lambda: self._assign(time.time() if now is None else now))

    def _assign(self, now: float) -> None:
        with self._sessions.begin() as session:
            assign_waiting(session, now)
        self._metrics.last_success.set(now)

    def _try_to_read(self, address: str) -> bool:
        """Return True if the worker at `address` records executions and was read."""
        known = self._addresses.setdefault(address, Address())
        return self._try(address, lambda: self._read_all(address, known))

    def _try(self, what: str, step: Callable[[], None]) -> bool:
        """Run a step. Count and log its failure, once until it succeeds or fails otherwise."""
        try:
            step()
        except NotRecorded:
            return False
        except (Unreachable, InvalidPage, Balanced, DBAPIError) as error:
            self._fail(what, REASONS.get(type(error), Reason.DATABASE), error)
            return False
        except (ArithmeticError, LookupError, TypeError, ValueError, SQLAlchemyError) as error:
            # a value of a record that nothing above expected; the other workers are still read
            self._fail(what, Reason.INVALID, error)
            return False
        if self._failing.pop(what, None):
            logger.info("%s answers again", what)
        return True

    def _fail(self, what: str, reason: Reason, error: Exception) -> None:
        self._metrics.errors.labels(reason.value).inc()
        text = first_line(error.orig if isinstance(error, DBAPIError) else error)
        if self._failing.get(what) != reason:
            logger.warning("executions of %s are not read (%s): %s", what, reason, text)
        self._failing[what] = reason

    def _read_all(self, address: str, known: Address) -> None:
        """Read the spool that answers at `address`, and those of dead processes that it serves."""
        own = known.spools[-1] if known.spools else self._last_spool(address)
        first = self._read_spool(address, own)
        if first.served_by != first.spool:  # the worker was restarted, and serves the spool of its dead predecessor
            first = self._read_spool(address, first.served_by)
        known.answered(first.served_by)
        for spool in set(first.dead_spools) - known.read_dead:
            self._read_spool(address, spool)
            known.read_dead.add(spool)

    def _read_spool(self, address: str, spool: str) -> Page:
        """Read and store page after page, up to the newest record. Return the last page.

        A worker that does not know `spool` answers with its own.
        """
        for _ in range(MAX_PAGES):
            reading = self._read(address, spool, self._position(spool))
            self._store(address, reading)
            page = reading.page
            if not page.records or page.records[-1]["number"] >= page.newest:
                break
            spool = page.spool
        return page

    def _last_spool(self, address: str) -> str:
        """Return the spool that this address had before the collector started, or ''."""
        of_address = select(SpoolRow.id).where(SpoolRow.address == address).order_by(SpoolRow.read_at.desc())
        with self._sessions() as session:
            return session.scalars(of_address).first() or ""

    def _position(self, spool: str) -> int:
        with self._sessions() as session:
            return position(session, spool) if spool else 0

    def _store(self, address: str, reading: Reading) -> None:
        # The clock of a dead process is that of the worker that answers for it.
        source = Source(address, reading.asked_at, reading.clock_offset_seconds, reading.round_trip_seconds)
        with self._sessions.begin() as session:
            stored = store(session, reading.page, source)
        self._metrics.executions.inc(stored.added)
        self._metrics.missed.inc(stored.missed)
        self._metrics.altered.inc(reading.page.altered)
        if stored.missed:
            logger.warning("%d executions of %s left its full spool before they were read", stored.missed, address)


REASONS: dict[type[Exception], Reason] = {
    Unreachable: Reason.UNREACHABLE,
    InvalidPage: Reason.INVALID,
    Balanced: Reason.BALANCED,
}
