"""HTTP client of `/executions`."""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass
from urllib.parse import urlencode

from collector.page import MAX_BYTES, InvalidPage, Page, parse

TIMEOUT_SECONDS = 3.0


class Unreachable(Exception):
    """The worker does not answer."""


class NotRecorded(Exception):
    """The worker answers, but it records no executions: it is Aforo's own, or only its metrics are exported."""


@dataclass(frozen=True)
class Reading:
    """One answer of a worker, when it was asked for, and how long the answer took."""

    page: Page
    asked_at: float
    round_trip_seconds: float

    @property
    def clock_offset_seconds(self) -> float:
        """Return the worker's clock minus ours. Its error is at most half of the round trip."""
        return self.page.clock - (self.asked_at + self.round_trip_seconds / 2)


def read(address: str, spool: str, after: int) -> Reading:
    """Ask the worker at HOST:PORT for the records of `spool` whose numbers follow `after`.

    Raise Unreachable, NotRecorded or InvalidPage.
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
