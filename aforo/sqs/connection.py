"""One receive call to SQS that always comes back: with messages, or with the reason why there are none."""

from __future__ import annotations

import json
import random
from enum import StrEnum
from typing import Any

import pycurl
from kombu.asynchronous import aws as _kombu_aws  # noqa: F401  (the connection module needs its package loaded)
from kombu.asynchronous.aws.connection import AsyncHTTPSConnection
from kombu.asynchronous.aws.sqs.connection import AsyncSQSConnection

CONNECT_TIMEOUT_SECONDS = 3
#: what an answer may take beyond the long poll it asked for
ANSWER_TIMEOUT_SECONDS = 3
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 4.0

_THROTTLED = ("Throttl", "TooManyRequests", "RequestLimit", "SlowDown", "OverLimit")
_DENIED = ("AccessDenied", "Expired", "InvalidClientTokenId", "Signature", "UnrecognizedClient", "AuthFailure")


class PollResult(StrEnum):
    """How a receive call ended; the label of the metric that counts them."""

    MESSAGES = "messages"
    EMPTY = "empty"
    ERROR = "error"
    TIMEOUT = "timeout"
    THROTTLED = "throttled"
    DENIED = "denied"


class FailedPoll(dict[str, Any]):
    """An answer without messages, and why; a dict, because kombu takes it for SQS's answer."""

    def __init__(self, result: PollResult, detail: str) -> None:
        super().__init__()
        self.result, self.detail = result, detail


class PollConnection(AsyncSQSConnection):
    """Receives without ever raising into the event loop, and never waits for ever."""

    _timeout_seconds = float(ANSWER_TIMEOUT_SECONDS)

    def receive_message(self, *args: Any, wait_time_seconds: int = 0, **options: Any) -> Any:
        """Ask for messages; curl gives up a little after SQS should have answered."""
        self._timeout_seconds = wait_time_seconds + ANSWER_TIMEOUT_SECONDS
        return super().receive_message(*args, wait_time_seconds=wait_time_seconds, **options)

    def get_http_connection(self) -> Any:
        """Return a connection whose timeouts curl is told of.

        Defect: kombu takes connect and request timeouts and never hands them to curl, so a silent endpoint holds the
        worker for ever.
        """
        return _BoundConnection(timeout=self._timeout_seconds, http_client=self._httpclient)

    def _on_list_ready(self, parent: Any, markers: Any, operation: str, response: Any) -> Any:
        """Return a FailedPoll for every answer that is not a list of messages.

        Defect: kombu returns a list for 5xx, 408 and 599, which its channel calls `.get` on, and raises for any
        other status: both end the worker.
        """
        if response.status != self.STATUS_CODE_OK:
            return _failure(response)
        try:
            return super()._on_list_ready(parent, markers, operation, response)
        except Exception as error:  # an answer that is not SQS's, from a proxy or a captive portal
            return FailedPoll(PollResult.ERROR, f"unreadable answer: {error}")


class _BoundConnection(AsyncHTTPSConnection):
    def getrequest(self) -> Any:
        request = super().getrequest()
        request.on_prepare = self._bound
        return request

    def _bound(self, curl: Any) -> None:
        curl.setopt(pycurl.NOSIGNAL, 1)  # without it curl's resolver timeout is a SIGALRM to the worker
        curl.setopt(pycurl.CONNECTTIMEOUT, CONNECT_TIMEOUT_SECONDS)
        curl.setopt(pycurl.TIMEOUT_MS, int(self.timeout * 1000))


def pause_seconds(failures: int, jitter: float | None = None, longest_seconds: float = LONGEST_PAUSE_SECONDS) -> float:
    """Return how long to wait after so many failed calls in a row: doubling, capped, half of it by chance."""
    share = random.random() if jitter is None else jitter  # noqa: S311 (spreads workers, hides nothing)
    longest = min(longest_seconds, FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 10))
    return longest * (1 + share) / 2


def _failure(response: Any) -> FailedPoll:
    http = response.response
    curl_error = getattr(http.error, "errno", None)  # of an answer with a status, the error says only that
    if curl_error is not None:
        timed_out = curl_error == pycurl.E_OPERATION_TIMEDOUT
        return FailedPoll(PollResult.TIMEOUT if timed_out else PollResult.ERROR, str(http.error))
    code = _error_code(http.body)
    return FailedPoll(_result_of(response.status, code), f"HTTP {response.status} {code}".rstrip())


def _result_of(status: int, code: str) -> PollResult:
    if status == 429 or any(word in code for word in _THROTTLED):
        return PollResult.THROTTLED
    if status in {401, 403} or any(word in code for word in _DENIED):
        return PollResult.DENIED
    return PollResult.TIMEOUT if status in {408, 504} else PollResult.ERROR


def _error_code(body: bytes | None) -> str:
    """Return SQS's error code from a JSON error body, '' when it has another form."""
    try:
        return str(json.loads(body or b"").get("__type", "")).rpartition("#")[2][:80]
    except (ValueError, AttributeError):
        return ""
