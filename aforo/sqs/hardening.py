"""Configure a Celery app to use the hardened transport.

The hardened transport is kombu's SQS transport, extended to survive SQS failures and malformed messages.
"""

from __future__ import annotations

from importlib.util import find_spec

import kombu
from celery import Celery
from kombu import transport as kombu_transport
from kombu.serialization import registry as serializers

from aforo.sqs.observer import GuardedObserver, Observer, SilentObserver
from aforo.sqs.slots import keep_slots
from aforo.sqs.stall import StallWatch, watch_for_stalls
from aforo.sqs.stopped_slots import watch_for_stopped_slots
from aforo.sqs.timer_holds import LONGEST_INVISIBLE_SECONDS
from aforo.sqs.validation import JSON_TYPE, MessagePolicy

SCHEME = "aforo-sqs"
#: the transport overrides private methods of kombu, so it supports the series that it is tested with
OLDEST_KOMBU, NEWEST_KOMBU = (5, 3), (5, 7)
#: kombu 5.5 has none: its client of urllib3 stops the event loop during each receive call, and takes no time limit
CURL_CLIENT = "kombu.asynchronous.http.curl"
#: the transport option that carries the Hardening of an app to its channels
OPTION = "aforo"


class UnsupportedApp(ValueError):
    """Error for an app that cannot use the hardened transport. The text has the reason and the remedy, on one line."""


class Hardening:
    """Observer, message policy and stall detector of one hardened app, for its SQS transport.

    `observer` is called for each transport event, and what it raises is logged. `policy` decides which messages are
    valid. `stall` detects a worker that has free slots but receives no messages.
    """

    # Do not define `__repr__`: apps share a connection if the repr of their transport options is equal.
    def __init__(self, observer: Observer | None = None, policy: MessagePolicy | None = None) -> None:
        self.observer = GuardedObserver(observer or SilentObserver())
        self.policy = policy or MessagePolicy()
        self.stall = StallWatch()


def harden(app: Celery, observer: Observer | None = None, policy: MessagePolicy | None = None) -> None:
    """Make a Celery app with an SQS broker use the hardened transport.

    Call this after configuring the app. `observer` is called for each transport event. `policy` decides which messages
    are valid: by default, every message that Celery can deliver. The app's workers also replace slot processes that
    stay stopped, and restart if they stop receiving messages. Raise UnsupportedApp if the transport cannot serve the
    app.
    """
    _require_support(app)
    hardening = Hardening(observer, _deliverable(app, policy))
    keep_slots(app)
    watch_for_stalls(app, hardening.stall)
    watch_for_stopped_slots(app, hardening.observer)
    app.conf.broker_url = register() + (app.conf.broker_url or "").partition("://")[2]
    app.conf.broker_read_url = app.conf.broker_write_url = app.conf.broker_url
    app.conf.broker_transport_options = {**app.conf.broker_transport_options, OPTION: hardening}


def register() -> str:
    """Register the hardened transport with kombu. Return the scheme of broker URLs that select it."""
    kombu_transport.TRANSPORT_ALIASES[SCHEME] = "aforo.sqs.channel:Transport"
    return f"{SCHEME}://"


def _deliverable(app: Celery, policy: MessagePolicy | None) -> MessagePolicy:
    """Return the policy, by default one of every content type that the app accepts, and of both task protocols.

    Raise UnsupportedApp if the app sends or accepts messages that the policy refuses.
    """
    conf = app.conf
    accepted = {"accept_content": tuple(conf.accept_content or ()), "task_serializer": (conf.task_serializer,)}
    types = {key: frozenset(_content_type(key, name) for name in names) for key, names in accepted.items()}
    if policy is None:
        accepted_types = types["accept_content"] or frozenset({JSON_TYPE})
        policy = MessagePolicy(content_types=accepted_types, allows_protocol_1=True)
    for key, each in types.items():
        if others := sorted(each - policy.content_types):
            raise UnsupportedApp(f"{key} ({', '.join(others)}); the message policy refuses that type; use 'json'")
    if conf.task_compression and not policy.allows_compression:
        raise UnsupportedApp(
            f"task_compression ({conf.task_compression}); the message policy refuses compressed messages; remove it"
        )
    return policy


def _content_type(key: str, serializer: str) -> str:
    """Return the content type of a serializer, which Celery's setting `key` names by it or by a short name."""
    content_type = serializer if "/" in serializer else serializers.name_to_type.get(serializer)
    if content_type is None:
        raise UnsupportedApp(f"{key} ({serializer}); kombu has no such serializer; use 'json', or install it")
    return str(content_type)


def _require_support(app: Celery) -> None:
    conf, url = app.conf, app.conf.broker_url or ""
    if not OLDEST_KOMBU <= tuple(kombu.VERSION[:2]) <= NEWEST_KOMBU:
        raise UnsupportedApp(f"kombu ({kombu.__version__}); it was not tested; install kombu 5.3, 5.4, 5.6 or 5.7")
    if find_spec(CURL_CLIENT) is None:
        raise UnsupportedApp(
            f"kombu ({kombu.__version__}); its receive calls block the worker; use celery 5.3, 5.4, 5.6 or 5.7"
        )
    if find_spec("pycurl") is None:
        raise UnsupportedApp("pycurl; it is not installed; install aforo[sqs]")
    if not url.startswith(("sqs:", f"{SCHEME}:")):
        raise UnsupportedApp(f"broker_url ({url.partition('@')[2] or url}); it is not SQS; use sqs://")
    timeout = (conf.broker_transport_options or {}).get("visibility_timeout", 0)
    if timeout > LONGEST_INVISIBLE_SECONDS:
        raise UnsupportedApp(f"visibility_timeout ({timeout}); SQS allows 12 h; use at most 43200")
