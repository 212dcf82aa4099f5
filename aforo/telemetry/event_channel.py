"""Telemetry events: facts that the process of a task sends to the worker's main process for metrics.

In the pool `prefork`, a child process sends each event as one datagram. In the pools `threads` and `solo`, tasks run in
the main process, and their events are handled immediately. The method `drain` handles all events that have arrived.
"""

from __future__ import annotations

import json
import logging
import os
import select
import socket
import threading
from collections.abc import Callable
from typing import Any

from aforo.telemetry.label_values import Operation

logger = logging.getLogger(__name__)
#: A task is delayed at most this long by a main process that does not read; then the event is counted as lost.
SEND_TIMEOUT_SECONDS = 1.0
#: Every system accepts a datagram of this size; an event has about 100 bytes.
MAX_EVENT_BYTES = 2048

#: `kind` names the type of the event, `lost` the number of events lost before it; the rest depends on the kind.
Event = dict[str, Any]


class EventChannel:
    """Channel for telemetry events, from the processes of the tasks to the process that opened it.

    In the opening process, `handle` is called with each event. Open the channel before the pool forks.
    """

    def __init__(self, handle: Callable[[Event], None]) -> None:
        self._handle, self._home, self._lost = handle, os.getpid(), 0
        self._receiver, self._sender = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._receiver.setblocking(False)
        self._sender.settimeout(SEND_TIMEOUT_SECONDS)
        self._handling = threading.Lock()

    def start(self) -> None:
        """Start the thread that receives the events of child processes. Call this in the main process."""
        threading.Thread(target=self._read, name="telemetry-events", daemon=True).start()

    def send(self, event: Event) -> None:
        """Send a telemetry event to the main process. This never raises.

        In the main process itself, the event is handled immediately. An event is lost if it cannot be sent within a
        second, or has more than MAX_EVENT_BYTES. The next event carries the number of lost events.
        """
        if os.getpid() == self._home:
            self._handle_safely(event)
            return
        lost = self._lost
        try:
            datagram = json.dumps(event | {"lost": lost}).encode()
            if len(datagram) > MAX_EVENT_BYTES:
                raise ValueError("the event is too large")
            self._sender.send(datagram)
            self._lost -= lost
        except (OSError, TypeError, ValueError):
            self._lost += 1

    def drain(self) -> None:
        """Handle every telemetry event that has arrived. Call this in the main process."""
        with self._handling:
            while (datagram := self._receive()) is not None:
                self._decode(datagram)

    def _read(self) -> None:
        poller = select.poll()
        poller.register(self._receiver, select.POLLIN)
        while True:
            poller.poll()
            self.drain()

    def _receive(self) -> bytes | None:
        try:
            return self._receiver.recv(MAX_EVENT_BYTES)
        except BlockingIOError:
            return None

    def _decode(self, datagram: bytes) -> None:
        try:
            event = json.loads(datagram)
        except ValueError:
            self._lose("a telemetry event of a task is not JSON")
        else:
            self._handle_safely(event)

    def _handle_safely(self, event: Event) -> None:
        try:
            self._handle(event)
        except Exception:  # an invalid event must end neither the reading thread nor the task that sent the event
            self._lose("a telemetry event of a task could not be counted")

    def _lose(self, text: str) -> None:
        logger.warning(text, exc_info=True)
        self._handle({"kind": "handled_error", "operation": Operation.TELEMETRY_EVENT.value, "lost": 1})


_channel: EventChannel | None = None


def use(channel: EventChannel | None) -> None:
    """Make the function `send` use `channel`, in this process and in the processes forked from it.

    If `channel` is None, `send` does nothing.
    """
    global _channel  # noqa: PLW0603 (a stage timer in a task body has no other way to the channel of its worker)
    _channel = channel


def send(kind: str, **facts: Any) -> None:
    """Send a telemetry event of type `kind` to the worker's metrics. Without instrumentation, do nothing."""
    if _channel is not None:
        _channel.send({"kind": kind, **facts})


def handled_error(operation: Operation) -> None:
    """Send the event that an error was logged and ignored, so that the worker's metrics count the error.

    `operation` is what the worker was doing when the error occurred.
    """
    send("handled_error", operation=operation.value)
