"""Shut down a worker on SIGTERM, with a time limit for its running tasks.

The worker receives no new messages. Running tasks may end within the limit. Then every other message returns to the
queue. Celery's warm shutdown waits without limit. Its soft shutdown sleeps in a signal handler, where no finished task
can be acknowledged. So the worker starts a warm shutdown, and a timer turns it into a cold shutdown, which returns
every message.
"""

from __future__ import annotations

import os
import signal
import threading

from celery.signals import worker_shutting_down


def limit(seconds: float) -> None:
    """Give running tasks at most `seconds` in each shutdown of this worker. Call this before it starts."""

    def begin(how: str = "", **_signal: object) -> None:
        if how == "Warm":
            timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGQUIT))
            timer.daemon = True
            timer.start()

    worker_shutting_down.connect(begin, weak=False)
