"""HTTP client that reads a worker's page `/executions`."""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass
from urllib.parse import urlencode

from collector.page import MAX_BYTES, InvalidPage, Page, parse

TIMEOUT_SECONDS = 3.0


class Unreachable(Exception):
    """Error for a worker that does not answer."""


class NotRecorded(Exception):
    """Error for a worker that answers but records no executions.

    Such a worker is our reference worker, or exports metrics only.
    """


@dataclass(frozen=True)
class Reading:
    """Page of execution records that a worker returned, and when it was requested.

    `asked_at` is the time of the request in epoch seconds. `round_trip_seconds` is the time from the request to the end
    of the answer.
    """

    page: Page
    asked_at: float
    round_trip_seconds: float

    @property
    def clock_offset_seconds(self) -> float:
        """Return how many seconds the worker's clock is ahead of ours.

        The result is wrong by at most half of the time that the answer took.
        """
        return self.page.clock - (self.asked_at + self.round_trip_seconds / 2)


def read(address: str, spool: str, after: int) -> Reading:
    """Request a page of execution records from the worker at `address` (HOST:PORT).

    The request is for records of `spool` with numbers above `after`. A worker without this spool answers with its own
    spool. Raise Unreachable if the worker does not answer. Raise NotRecorded if the worker records no executions. Raise
    InvalidPage for an invalid answer.
    """
    asked_at, start = time.time(), time.perf_counter()
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/executions?" + urlencode({"spool": spool, "after": after}))
        answer = connection.getresponse()
        body = answer.read(MAX_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(f"{address}: {error}") from error
    finally:
        connection.close()
    if answer.status == http.client.NOT_FOUND:
        raise NotRecorded(address)
    if answer.status != http.client.OK:
        raise InvalidPage(f"the answer is {answer.status} {answer.reason}")
    return Reading(parse(body), asked_at, time.perf_counter() - start)
