"""Hands Celery events to a small Redis, where celery-exporter reads them; its loss never disturbs a task."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from typing import Any

from celery import Celery
from celery.app.events import Events
from celery.events import Event
from celery.events.event import get_exchange
from kombu import Connection, Producer
from prometheus_client import CollectorRegistry, Counter

from aforo.telemetry.server import spending
from core import metrics

logger = logging.getLogger(__name__)
CAPACITY = 10_000


class Forwarder:
    """A bounded queue and one thread that publishes; what does not fit or cannot be sent is counted as dropped."""

    def __init__(self, redis_url: str, registry: CollectorRegistry, spent: Counter) -> None:
        self._url, self._spent = redis_url, spent
        self._events: queue.Queue[dict[str, Any]] = queue.Queue(CAPACITY)
        self._sent = metrics.counter("aforo_worker_events_forwarded_total", registry)
        self._dropped = metrics.counter("aforo_worker_events_dropped_total", registry)
        self._connected = metrics.gauge("aforo_worker_events_connected", registry)
        self._clock = 0

    def start(self) -> None:
        """Start the publishing thread; call it in the main process only."""
        threading.Thread(target=self._run, name="events", daemon=True).start()

    def put(self, event: str, hostname: str, fields: dict[str, Any]) -> None:
        """Take one event without waiting."""
        self._clock += 1
        made = Event(event, hostname=hostname, pid=os.getpid(), clock=self._clock, utcoffset=0, **fields)
        try:
            self._events.put_nowait(made)
        except queue.Full:
            self._dropped.inc()

    def _run(self) -> None:
        while True:
            try:
                with Connection(self._url, connect_timeout=3, transport_options=_TIMEOUTS) as connection:
                    exchange = get_exchange(connection, name="celeryev")
                    self._publish_all(Producer(connection.channel(), exchange=exchange, serializer="json"))
            except Exception as error:  # any Redis or socket error: reconnect, and say so in the metric
                self._connected.set(0)
                logger.warning("events Redis is away (%s); tasks go on, events are dropped", error)
                self._drop_waiting()
                time.sleep(1)

    def _publish_all(self, producer: Producer) -> None:
        while True:
            event = self._events.get()
            try:
                with spending(self._spent):
                    producer.publish(event, routing_key=event["type"].replace("-", "."), declare=[producer.exchange])
            except Exception:
                self._dropped.inc()
                raise
            self._sent.inc()
            self._connected.set(1)

    def _drop_waiting(self) -> None:
        while not self._events.empty():
            self._events.get_nowait()
            self._dropped.inc()


_TIMEOUTS = {"socket_timeout": 3, "socket_connect_timeout": 3}


def forward_events(app: Celery, forwarder: Forwarder | None) -> None:
    """Send the Celery events of `app` by `forwarder`, or nowhere; never to its task broker: SQS carries no events."""

    class ForwardingDispatcher:
        """Stands in for Celery's dispatcher."""

        app: Any = None
        connection = None
        enabled = forwarder is not None

        def __init__(self, _connection: Any = None, hostname: str = "", groups: Any = None, **_options: Any) -> None:
            self.hostname, self.groups = hostname, groups
            self.on_enabled: set[Any] = set()
            self.on_disabled: set[Any] = set()

        def send(self, event: str, blind: bool = False, **fields: Any) -> None:
            if forwarder is not None:
                forwarder.put(event, self.hostname, fields)

        def flush(self, **_options: Any) -> None:
            """Nothing is buffered here."""

        enable = disable = close = flush

        def extend_buffer(self, _other: Any) -> None:
            """Nothing is buffered here."""

    class ForwardedEvents(Events):
        """`app.events` with our dispatcher."""

        @property
        def Dispatcher(self) -> type[ForwardingDispatcher]:  # noqa: N802 (Celery's name)
            return ForwardingDispatcher

    app.events_cls = ForwardedEvents
    app.conf.worker_send_task_events = forwarder is not None
