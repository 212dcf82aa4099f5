"""Carries what is measured where a task runs to the metrics in the main process.

Within the main process (threads, solo) a report is handed over at once. A prefork child sends it as one datagram on a
socket pair made before the fork: it arrives whole or not at all, whatever kills the child, and leaves nothing on disk.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from collections.abc import Callable
from enum import StrEnum
from typing import Any

logger = logging.getLogger(__name__)
#: what a task may be held up by a main process that does not read; then the report is given up and counted
LONGEST_WAIT_SECONDS = 1.0
LARGEST_REPORT_BYTES = 2048  # what every system takes as one datagram; a report has some 100


class Action(StrEnum):
    """What was being done when an error was met that is logged and lived with: the label that counts it."""

    DELETE = "delete"  # a finished message: it is tried again
    DEAD_LETTER = "dead_letter"  # a message nobody can read: SQS delivers it again
    REJECT = "reject"  # a message nobody wants again: it stays for SQS to move
    GIVE_BACK = "give_back"  # a message that is to come again: its visibility timeout brings it
    WATCH_DEAD_LETTERS = "watch_dead_letters"  # the next look will
    DISCARD = "discard"  # what a lost execution published: it stays
    SWEEP = "sweep"  # what publications killed long ago left: the next start will
    KEEP = "keep"  # a round of the visibility keeper: the next one will
    REPORT = "report"  # a task's report nobody can read


#: A report: `kind` says which, the rest is JSON.
Report = dict[str, Any]


class Post:
    """The way of reports to `take` in the process that made it; make it before the pool forks."""

    def __init__(self, take: Callable[[Report], None]) -> None:
        self._take, self._home, self._lost = take, os.getpid(), 0
        self._inbox, self._outbox = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._outbox.settimeout(LONGEST_WAIT_SECONDS)

    def start(self) -> None:
        """Start the thread that reads what children send; call it in the main process."""
        threading.Thread(target=self._read, name="reports", daemon=True).start()

    def send(self, report: Report) -> None:
        """Hand the report over; it never raises, and one that cannot be sent is told of with the next."""
        if os.getpid() == self._home:
            self._take(report)
            return
        try:
            self._outbox.send(json.dumps(report | {"lost": self._lost}).encode()[:LARGEST_REPORT_BYTES])
            self._lost = 0
        except OSError:
            self._lost += 1

    def _read(self) -> None:
        while True:
            datagram = self._inbox.recv(LARGEST_REPORT_BYTES)
            try:
                self._take(json.loads(datagram))
            except Exception:  # a report that cannot be read must not end the reading of others
                self._take(_survival(Action.REPORT))
                logger.exception("a report of a task could not be counted")


_post: Post | None = None


def use(post: Post | None) -> None:
    """Let `report` in this process, and in those forked from it, go by `post`."""
    global _post  # noqa: PLW0603 (one worker, one post: a stage timer in a task body has no other way to find it)
    _post = post


def report(kind: str, **facts: Any) -> None:
    """Tell the worker's metrics something; without attached metrics, nothing happens."""
    if _post is not None:
        _post.send({"kind": kind, **facts})


def count_survived(action: Action) -> None:
    """Count an error that is logged and lived with."""
    if _post is not None:
        _post.send(_survival(action))


def _survival(action: Action) -> Report:
    return {"kind": "survived", "action": action.value}
