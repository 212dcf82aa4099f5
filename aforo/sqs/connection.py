"""Connection that receives SQS messages over curl. A failed call gives a reason, not an exception."""

from __future__ import annotations

import json
import os
from typing import Any

import pycurl
from botocore.awsrequest import create_request_object, prepare_request_dict
from botocore.httpsession import get_cert_path
from kombu.asynchronous import aws as _kombu_aws  # noqa: F401  (the connection module needs its package loaded)
from kombu.asynchronous.aws.connection import AsyncHTTPSConnection
from kombu.asynchronous.aws.sqs.connection import AsyncSQSConnection
from vine import promise, transform

from aforo.sqs.observer import PollResult

CONNECT_TIMEOUT_SECONDS = 3
#: how long an answer may take beyond the long poll
ANSWER_TIMEOUT_SECONDS = 3

_THROTTLED = ("Throttl", "TooManyRequests", "RequestLimit", "SlowDown", "OverLimit")
_DENIED = ("AccessDenied", "Expired", "InvalidClientTokenId", "Signature", "UnrecognizedClient", "AuthFailure")


class FailedPoll(dict[str, Any]):
    """Result of a failed call to SQS: an empty dict, which kombu reads as an answer without messages.

    `result` is the kind of failure, `detail` its description.
    """

    def __init__(self, result: PollResult, detail: str) -> None:
        super().__init__()
        self.result, self.detail = result, detail


class PollConnection(AsyncSQSConnection):
    """HTTP connection for receive calls. Each call has a time limit.

    A call that fails at SQS or in the network gives a FailedPoll, because an exception in the event loop would end the
    worker.
    """

    def receive_message(
        self,
        queue_url: str,
        number_messages: int,
        wait_time_seconds: int,
        answer_timeout_seconds: float,
        attributes: dict[str, list[str]],
        callback: Any,
    ) -> Any:
        """Ask SQS for up to `number_messages` messages. Return `callback` without waiting for the answer.

        `callback` later gets the parsed answer, a dict with the list `Messages`. After a failure, `callback` gets a
        FailedPoll. The call times out after `wait_time_seconds` plus `answer_timeout_seconds`. `attributes` maps
        parameters of the call, such as `MessageAttributeNames`, to lists of attribute names.
        """
        params = {"MaxNumberOfMessages": number_messages, "WaitTimeSeconds": wait_time_seconds, **attributes}
        timeout_seconds = wait_time_seconds + answer_timeout_seconds
        return self._call("ReceiveMessage", queue_url, params, timeout_seconds, callback)

    def probe(self, queue_url: str, timeout_seconds: float, callback: Any) -> Any:
        """Test whether SQS answers, by a call that receives no message. Return `callback` without waiting.

        `callback` later gets the answer of SQS, a dict. After a failure, or without an answer for `timeout_seconds`,
        `callback` gets a FailedPoll.
        """
        params = {"AttributeNames": ["QueueArn"]}
        return self._call("GetQueueAttributes", queue_url, params, timeout_seconds, callback)

    def _call(self, operation: str, queue_url: str, params: dict[str, Any], timeout_seconds: float, call: Any) -> Any:
        """Send one call by curl, signed as boto3 signs it.

        This method corrects a defect: kombu accepts timeouts for connecting and for the request but does not pass them
        to curl. An endpoint that does not answer blocks the worker without limit.
        """
        callback = call or promise()
        client = self.sqs_connection
        request = _signed(client, operation, {**params, "QueueUrl": queue_url})
        http = _TimedConnection(timeout=timeout_seconds, http_client=self._httpclient)
        http.trusted = client._endpoint.http_session._verify
        http.request(request.method, request.url, request.body.decode(), request.headers)  # kombu < 5.5 wants a text
        http.getresponse(callback=transform(self._read, callback, operation))
        return callback

    def _read(self, operation: str, response: Any) -> dict[str, Any]:
        """Return the parsed answer, or a FailedPoll for every answer that is not one of SQS.

        This method corrects a defect: for 5xx, 408 and 599, kombu returns a list, on which kombu's channel calls
        `.get`. For any other status, kombu raises an exception. Both end the worker. An answer of a proxy or a captive
        portal ends it too.
        """
        if response.status != self.STATUS_CODE_OK:
            return _failed_poll(response)
        client = self.sqs_connection
        answer = {"status_code": response.status, "headers": dict(response.getheaders()), "body": response.read()}
        try:
            shape = client.meta.service_model.operation_model(operation).output_shape
            parsed = client._response_parser.parse(answer, shape)
            return parsed if _is_readable(parsed) else FailedPoll(PollResult.ERROR, "unreadable answer")
        except Exception as error:
            return FailedPoll(PollResult.ERROR, f"unreadable answer: {error!r:.200}")


class _TimedConnection(AsyncHTTPSConnection):
    #: what the boto3 client trusts: True for the usual authorities, a file of certificates, or False for any server
    trusted: bool | str = True

    def getrequest(self) -> Any:
        """Return kombu's HTTP request with timeouts, and with the CA certificates that boto3 trusts."""
        # corrects a defect: kombu always uses botocore's own certificates, even if AWS_CA_BUNDLE, the
        # setting `ca_bundle` or the boto3 client names other ones
        request = super().getrequest()
        request.on_prepare = self._set_timeouts
        request.validate_cert = bool(self.trusted)
        trusted = self.trusted if isinstance(self.trusted, str) else str(get_cert_path(True))
        request.ca_certs = os.fsencode(trusted)  # pycurl takes a text only if it is ASCII, as in /home/josé it is not
        return request

    def _set_timeouts(self, curl: Any) -> None:
        curl.setopt(pycurl.NOSIGNAL, 1)  # without it curl's resolver timeout is a SIGALRM to the worker
        curl.setopt(pycurl.CONNECTTIMEOUT, CONNECT_TIMEOUT_SECONDS)
        curl.setopt(pycurl.TIMEOUT_MS, int(self.timeout * 1000))


def _signed(client: Any, operation: str, params: dict[str, Any]) -> Any:
    model = client.meta.service_model.operation_model(operation)
    known = {name: value for name, value in params.items() if name in model.input_shape.members}
    facts = client._serializer.serialize_to_request(known, model)
    prepare_request_dict(facts, endpoint_url=client.meta.endpoint_url)
    request = create_request_object(facts)
    client._request_signer.sign(operation, request)
    return request.prepare()


def _is_readable(answer: Any) -> bool:
    """Return True for an answer whose messages can be delivered, deleted and counted."""
    if not isinstance(answer, dict):
        return False
    messages = answer.get("Messages") or []
    return isinstance(messages, list) and all(_is_message(message) for message in messages)


def _is_message(entry: Any) -> bool:
    if not isinstance(entry, dict) or not all(isinstance(entry.get(name), str) for name in ("ReceiptHandle", "Body")):
        return False
    attributes = entry.get("Attributes") or {}
    counts = (attributes.get("ApproximateReceiveCount", "1"), attributes.get("SentTimestamp", "0"))
    return all(isinstance(count, str) and count.isascii() and count.isdigit() for count in counts)


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
        code = json.loads(body or b"").get("__type")
    except (ValueError, AttributeError, RecursionError):
        return ""
    return code.rpartition("#")[2][:80] if isinstance(code, str) else ""
