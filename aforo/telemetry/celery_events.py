"""Send a worker's Celery events to a small Redis, where celery-exporter reads them.

Losing an event never disturbs a task.
"""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from functools import partial
from typing import Any

from celery import Celery
from celery.app.events import Events
from celery.events import Event
from celery.events.event import get_exchange
from celery.signals import task_received
from kombu import Connection, Producer
from prometheus_client import CollectorRegistry, Counter

from aforo.telemetry import catalogue
from aforo.telemetry.cpu_time import cpu_counted

logger = logging.getLogger(__name__)
CAPACITY = 10_000
RETRY_SECONDS = 1.0
_TIMEOUTS = {"socket_timeout": 3, "socket_connect_timeout": 3}


class Forwarder:
    """Bounded queue of Celery events, and one thread that sends them to Redis.

    An event that does not fit into the queue, or cannot be sent, is counted as dropped.
    """

    def __init__(self, redis_url: str, registry: CollectorRegistry, telemetry_cpu: Counter) -> None:
        self._url, self._telemetry_cpu = redis_url, telemetry_cpu
        self._events: queue.Queue[dict[str, Any]] = queue.Queue(CAPACITY)
        self._sent = catalogue.counter("aforo_worker_events_forwarded_total", registry)
        self._dropped = catalogue.counter("aforo_worker_events_dropped_total", registry)
        self._connected = catalogue.gauge("aforo_worker_events_connected", registry)
        self._clock = 0
        self._is_away = False

    def start(self) -> None:
        """Start the thread that sends events to Redis. Call this in the worker's main process only."""
        threading.Thread(target=self._run, name="celery-events", daemon=True).start()

    def put(self, kind: str, hostname: str, fields: dict[str, Any]) -> None:
        """Queue one Celery event to be sent to Redis. If the queue is full, count the event as dropped.

        `kind` is Celery's event type, such as `task-started`. `hostname` is the worker's Celery name. `fields` has the
        other fields of the event.
        """
        self._clock += 1
        event = Event(kind, hostname=hostname, pid=os.getpid(), clock=self._clock, utcoffset=0, **fields)
        try:
            self._events.put_nowait(event)
        except queue.Full:
            self._dropped.inc()

    def _run(self) -> None:
        while True:
            try:
                with Connection(self._url, connect_timeout=3, transport_options=_TIMEOUTS) as connection:
                    exchange = get_exchange(connection, name="celeryev")
                    self._send_all(Producer(connection.channel(), exchange=exchange, serializer="json"))
            except Exception as error:  # any Redis or socket error: the metric shows it, and the loop reconnects
                self._connected.set(0)
                if not self._is_away:
                    logger.warning("cannot send Celery events to Redis (%s); tasks continue, events are dropped", error)
                self._is_away = True
                self._drop_queued()
                time.sleep(RETRY_SECONDS)

    def _send_all(self, producer: Producer) -> None:
        while True:
            event = self._events.get()
            try:
                with cpu_counted(self._telemetry_cpu):
                    producer.publish(event, routing_key=event["type"].replace("-", "."), declare=[producer.exchange])
            except Exception:
                self._dropped.inc()
                raise
            self._sent.inc()
            self._connected.set(1)
            if self._is_away:
                logger.info("Celery events are sent to Redis again")
                self._is_away = False

    def _drop_queued(self) -> None:
        while not self._events.empty():
            self._events.get_nowait()
            self._dropped.inc()


class ForwardingDispatcher:
    """Event dispatcher that takes the place of Celery's own. It passes events to a Forwarder.

    Without a forwarder, the events are dropped.
    """

    app: Any = None
    connection = None

    def __init__(
        self,
        forwarder: Forwarder | None,
        _connection: Any = None,
        hostname: str = "",
        groups: Any = None,
        **_options: Any,
    ) -> None:
        self._forwarder, self.hostname, self.groups = forwarder, hostname, groups
        self.enabled = forwarder is not None
        self.on_enabled: set[Any] = set()
        self.on_disabled: set[Any] = set()
        self._received = "", ""  # id and registered name of the last received task
        task_received.connect(self._note_task)  # a weak reference: the connection ends with this dispatcher

    def send(self, event: str, blind: bool = False, **fields: Any) -> None:
        """Pass a Celery event of type `event` with its fields to the forwarder.

        In an event of type `task-received`, the field `name` is set to the registered name of the task. `blind` is
        ignored.
        """
        if self._forwarder is None:
            return
        # Celery itself sends the header `shadow` as `name`: celery-exporter would create a series for each text
        task_id, name = self._received
        if event == "task-received" and fields.get("uuid") == task_id:
            fields["name"] = name
        self._forwarder.put(event, self.hostname, fields)

    def _note_task(self, request: Any = None, **_signal: Any) -> None:
        """Note the task whose event Celery sends next."""
        self._received = request.id, request.task.name

    def flush(self, **_options: Any) -> None:
        """Do nothing, because this dispatcher buffers no events."""

    enable = disable = close = flush

    def extend_buffer(self, _other: Any) -> None:
        """Do nothing, because this dispatcher buffers no events."""


class ForwardedEvents(Events):
    """Celery's `app.events`, changed so that events go to a Forwarder instead of the broker."""

    def __init__(self, forwarder: Forwarder | None, app: Celery | None = None) -> None:
        super().__init__(app=app)
        self._forwarder = forwarder

    @property
    def Dispatcher(self) -> partial[ForwardingDispatcher]:  # noqa: N802 (Celery's name)
        """Return the function with which Celery creates its event dispatchers."""
        return partial(ForwardingDispatcher, self._forwarder)


def forward_events(app: Celery, forwarder: Forwarder | None) -> None:
    """Configure `app` so that its worker will pass Celery events to `forwarder`, and none to the broker.

    SQS, the broker of `app`, cannot transport events. If `forwarder` is None, the worker drops its events.
    """
    app.events_cls = partial(ForwardedEvents, forwarder)
    app.conf.worker_send_task_events = forwarder is not None
