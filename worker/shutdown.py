"""SIGTERM: no new message is taken, running tasks may end, and what has not ended in time is given back at once.

Celery's warm shutdown waits for ever. Its soft shutdown sleeps its whole time in a signal handler, where no finished
task can be acknowledged. So the warm one is used, and a timer turns it into a cold one, which returns every message.
"""

from __future__ import annotations

import os
import signal
import threading

from celery.signals import worker_shutting_down


def limit(seconds: float) -> None:
    """Let a shutdown last `seconds`; call before the worker starts."""

    def begin(how: str = "", **_signal: object) -> None:
        if how == "Warm":
            timer = threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGQUIT))
            timer.daemon = True
            timer.start()

    worker_shutting_down.connect(begin, weak=False)
