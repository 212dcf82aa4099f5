"""Hands Celery events to a small Redis, where celery-exporter reads them; its loss never disturbs a task."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
from typing import Any

from celery.events import Event
from celery.events.event import get_exchange
from kombu import Connection, Producer
from prometheus_client import CollectorRegistry

from pipeline import metrics

logger = logging.getLogger(__name__)
CAPACITY = 10_000


class Forwarder:
    """A bounded queue and one thread that publishes; what does not fit or cannot be sent is counted as dropped."""

    def __init__(self, redis_url: str, registry: CollectorRegistry) -> None:
        self._url = redis_url
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
