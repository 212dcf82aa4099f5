"""Shutdown on SIGTERM, with a time limit for the running tasks.

The worker receives no new messages. Running tasks get time to end. Then every other message returns to the queue.
Celery's warm shutdown waits without limit. Its soft shutdown sleeps in a signal handler, where no finished task can be
acknowledged. So the worker starts a warm shutdown, which a timer turns into a cold shutdown. The cold shutdown returns
every message.
"""

from __future__ import annotations

import os
import signal
import threading

from celery.signals import worker_shutting_down


def limit(seconds: float) -> None:
    """Limit a warm shutdown to `seconds`. Call this before the worker starts."""

    def begin(how: str = "", **_signal: object) -> None:
        if how == "Warm":
            timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGQUIT))
            timer.daemon = True
            timer.start()

    worker_shutting_down.connect(begin, weak=False)
