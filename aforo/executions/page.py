"""WSGI page `/executions?spool=ID&after=N`: execution records of one spool, as JSON.

The page has the records with numbers above N, oldest first, up to about 1 MiB. For an unknown ID, the page has the
oldest records of the worker's own spool. If N is not a number, the answer is 400. The page also lists the spools of
dead workers.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs

from aforo.executions.folder import dead_spools
from aforo.executions.spool import Slice, Spool

MAX_PAGE_BYTES = 1 << 20
#: Reserved for the head of a page.
HEAD_BYTES = 16 << 10
MAX_DEAD_SPOOLS = 100
#: A reader that has not come for this long has gone.
READER_SECONDS = 5.0


class _Readable(Protocol):
    def after(self, number: int, max_bytes: int) -> Slice:
        """Return the execution records of this spool with numbers above `number`, oldest first.

        The records have at most `max_bytes` bytes in total. A larger first record is returned alone. The Slice also has
        the oldest and newest record number of the whole spool.
        """


class ExecutionsPage:
    """WSGI application that serves the page /executions of one worker.

    One answer has the execution records of one spool. The request names this worker's own spool, or that of a dead
    worker of the same user on this machine. Each answer also lists the spools of the dead workers. `base` is the folder
    with the spools of all these workers. `base` is None if this worker keeps its records in memory only. The page then
    has no records of dead workers.
    """

    def __init__(
        self,
        spool_id: str,
        owner: Mapping[str, Any],
        spool: Spool,
        base: Path | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.spool_id, self.owner, self.spool, self.base, self.clock = spool_id, owner, spool, base, clock
        self._read_at = -READER_SECONDS

    @property
    def has_reader(self) -> bool:
        """Return True if a client has requested /executions in the last 5 seconds."""
        return time.monotonic() - self._read_at < READER_SECONDS

    def __call__(self, environ: Mapping[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer one request (WSGI)."""
        query = parse_qs(environ.get("QUERY_STRING", ""))
        after = query.get("after", ["0"])[0]
        if not after.isascii() or not after.isdigit() or len(after) > 18:
            start_response("400 Bad Request", [("Content-Type", "text/plain; charset=utf-8")])
            return [b"after is the number of a record\n"]
        self._read_at = time.monotonic()
        body = self._page(query.get("spool", [""])[0], int(after))
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    def _page(self, requested_id: str, after: int) -> bytes:
        dead = {spool.id: spool for spool in self._dead()}
        if requested_id in dead:
            return self._encode(requested_id, dead[requested_id].owner, dead[requested_id], after, list(dead))
        own_after = after if requested_id == self.spool_id else 0
        return self._encode(self.spool_id, self.owner, self.spool, own_after, list(dead))

    def _dead(self) -> list[Any]:
        return dead_spools(self.base, self.spool_id)[:MAX_DEAD_SPOOLS] if self.base else []

    def _encode(self, spool_id: str, owner: Mapping[str, Any], spool: _Readable, after: int, dead: list[str]) -> bytes:
        records = spool.after(after, MAX_PAGE_BYTES - HEAD_BYTES)
        head = {
            "spool": spool_id,
            "served_by": self.spool_id,
            **owner,
            "oldest": records.oldest,
            "newest": records.newest,
            "clock": self.clock(),
            "dead_spools": dead,
        }
        return json.dumps(head).encode()[:-1] + b', "records": [' + b",".join(records.lines) + b"]}"
