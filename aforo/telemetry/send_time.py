"""Make SQS return the send time of each message, which kombu does not request by default."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from celery import Celery
from kombu.utils.imports import symbol_by_name

SENT_TIMESTAMP = "SentTimestamp"
ATTRIBUTES = ("ApproximateReceiveCount", SENT_TIMESTAMP)
_CHANNEL = "kombu.transport.SQS:Channel"
_CONNECTION = "kombu.asynchronous.aws.sqs.connection:AsyncSQSConnection"


def request_send_time(app: Celery) -> None:
    """Make the workers of `app` request the attribute SentTimestamp of each message from SQS.

    Do nothing if the app sets the transport option `fetch_message_attributes` itself, or if its broker is not SQS.
    """
    url = app.conf.broker_read_url or app.conf.broker_url
    if not isinstance(url, str) or not url.partition(":")[0].endswith("sqs"):
        return
    options = dict(app.conf.broker_transport_options or {})
    if hasattr(symbol_by_name(_CHANNEL), "fetch_message_attributes"):
        options.setdefault("fetch_message_attributes", list(ATTRIBUTES))
        app.conf.broker_transport_options = options
    else:
        _extend_requests(symbol_by_name(_CONNECTION))


def _extend_requests(connection: Any) -> None:
    """Make kombu before 5.5, which has no such option, request the attributes in both protocols of SQS.

    In the query protocol they are the default of a parameter. In the JSON protocol kombu sends them under a name that
    SQS ignores.
    """
    receive_message = connection.receive_message
    defaults = {name: p.default for name, p in inspect.signature(receive_message).parameters.items()}
    default = defaults["attributes"]
    if SENT_TIMESTAMP in default:
        return
    receive_message.__defaults__ = tuple(ATTRIBUTES if v is default else v for v in receive_message.__defaults__)
    create = getattr(connection, "_create_json_request", None)
    if create is not None:
        connection._create_json_request = _with_attributes(create)


def _with_attributes(create: Callable[..., Any]) -> Callable[..., Any]:
    def create_request(self: Any, operation: str, params: dict[str, Any], *others: Any, **named: Any) -> Any:
        if operation == "ReceiveMessage":
            params = {**params, "AttributeNames": list(ATTRIBUTES)}
        return create(self, operation, params, *others, **named)

    return create_request
