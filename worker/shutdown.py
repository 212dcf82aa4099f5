"""Shut down a worker on SIGTERM, with a time limit for its running tasks.

After SIGTERM, the worker receives no new messages. Running tasks can end within the limit. After the limit, the
messages of unfinished tasks return to the queue.

Celery has three kinds of shutdown:

- The warm shutdown waits for running tasks without a limit.
- The cold shutdown stops at once, and the messages of unfinished tasks return to the queue.
- The soft shutdown waits for a limited time, but a task that finishes in this time cannot be acknowledged.

This module starts with a warm shutdown. At the limit, a timer turns the warm shutdown into a cold shutdown.
"""

from __future__ import annotations

import os
import signal
import threading

from celery.signals import worker_shutting_down


def limit(seconds: float) -> None:
    """Set how long this worker waits for running tasks when it shuts down: at most `seconds`.

    Call this function before the worker starts.
    """

    def begin(how: str = "", **_signal: object) -> None:
        if how == "Warm":
            timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGQUIT))
            timer.daemon = True
            timer.start()

    worker_shutting_down.connect(begin, weak=False)
