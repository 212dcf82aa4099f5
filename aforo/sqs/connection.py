"""Receive calls to SQS. Each call ends with messages, or with the reason why there are none."""

from __future__ import annotations

import json
from typing import Any

import pycurl
from kombu.asynchronous import aws as _kombu_aws  # noqa: F401  (the connection module needs its package loaded)
from kombu.asynchronous.aws.connection import AsyncHTTPSConnection
from kombu.asynchronous.aws.sqs.connection import AsyncSQSConnection

from aforo.sqs.observer import PollResult

CONNECT_TIMEOUT_SECONDS = 3
#: how long an answer may take beyond the long poll
ANSWER_TIMEOUT_SECONDS = 3

_THROTTLED = ("Throttl", "TooManyRequests", "RequestLimit", "SlowDown", "OverLimit")
_DENIED = ("AccessDenied", "Expired", "InvalidClientTokenId", "Signature", "UnrecognizedClient", "AuthFailure")


class FailedPoll(dict[str, Any]):
    """Result of a failed receive call: no messages, and the reason.

    The class is a dict, because kombu reads the result as an SQS answer.
    """

    def __init__(self, result: PollResult, detail: str) -> None:
        super().__init__()
        self.result, self.detail = result, detail


class PollConnection(AsyncSQSConnection):
    """Polling connection that never raises into the event loop and limits the time of each call."""

    _timeout_seconds = float(ANSWER_TIMEOUT_SECONDS)

    def receive_message(self, *args: Any, wait_time_seconds: int = 0, **options: Any) -> Any:
        """Receive messages. curl's timeout is the long-poll time plus ANSWER_TIMEOUT_SECONDS."""
        self._timeout_seconds = wait_time_seconds + ANSWER_TIMEOUT_SECONDS
        return super().receive_message(*args, wait_time_seconds=wait_time_seconds, **options)

    def get_http_connection(self) -> Any:
        """Return a connection that sets curl's timeouts.

        Defect: kombu accepts timeouts for connecting and for the request but does not pass them to curl. An endpoint
        that does not answer blocks the worker without limit.
        """
        return _TimedConnection(timeout=self._timeout_seconds, http_client=self._httpclient)

    def _on_list_ready(self, parent: Any, markers: Any, operation: str, response: Any) -> Any:
        """Return a FailedPoll for every answer that is not a list of messages.

        Defect: for 5xx, 408 and 599, kombu returns a list, on which kombu's channel calls `.get`. For any other status,
        kombu raises an exception. Both end the worker.
        """
        if response.status != self.STATUS_CODE_OK:
            return _failed_poll(response)
        try:
            return super()._on_list_ready(parent, markers, operation, response)
        except Exception as error:  # an answer that is not from SQS but from a proxy or a captive portal
            return FailedPoll(PollResult.ERROR, f"unreadable answer: {error}")


class _TimedConnection(AsyncHTTPSConnection):
    def getrequest(self) -> Any:
        request = super().getrequest()
        request.on_prepare = self._set_timeouts
        return request

    def _set_timeouts(self, curl: Any) -> None:
        curl.setopt(pycurl.NOSIGNAL, 1)  # without it curl's resolver timeout is a SIGALRM to the worker
        curl.setopt(pycurl.CONNECTTIMEOUT, CONNECT_TIMEOUT_SECONDS)
        curl.setopt(pycurl.TIMEOUT_MS, int(self.timeout * 1000))


def _failed_poll(response: Any) -> FailedPoll:
    http = response.response
    curl_error = getattr(http.error, "errno", None)  # absent if SQS answered with a status
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
    """Return the error code of a JSON error body, or '' for any other body."""
    try:
        return str(json.loads(body or b"").get("__type", "")).rpartition("#")[2][:80]
    except (ValueError, AttributeError):
        return ""
