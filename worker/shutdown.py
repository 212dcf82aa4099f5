"""Shutdown on SIGTERM: no new messages, time for running tasks to end, then every other message returns to the queue.

Celery's warm shutdown waits without limit. Its soft shutdown sleeps in a signal handler, where no finished task can be
acknowledged. So we use the warm shutdown, and a timer turns it into a cold one, which returns every message.
"""

from __future__ import annotations

import os
import signal
import threading

from celery.signals import worker_shutting_down


def limit(seconds: float) -> None:
    """Limit a warm shutdown to `seconds`; call before the worker starts."""

    def begin(how: str = "", **_signal: object) -> None:
        if how == "Warm":
            timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGQUIT))
            timer.daemon = True
            timer.start()

    worker_shutting_down.connect(begin, weak=False)
