"""Shut down a worker on SIGTERM, with a time limit for its running tasks.

Celery's warm shutdown waits for running tasks. At the limit, a timer starts Celery's cold shutdown: the worker stops at
once, and the messages of unfinished tasks return to the queue.
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
        # Celery's soft shutdown has a limit, but a task that finishes within it cannot be acknowledged
        if how == "Warm":
            timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGQUIT))
            timer.daemon = True
            timer.start()

    worker_shutting_down.connect(begin, weak=False)
