"""A Celery app whose task does nothing, started with `celery -A benchmarks.noop_app worker`.

The benchmarks configure the app. NOOP_HARDENED=1 selects our transport. NOOP_PORT instruments the app. Without both
variables it is stock Celery.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from celery import Celery, Task

import aforo

QUEUE, LOG = os.environ["NOOP_QUEUE"], Path(os.environ["NOOP_LOG"])
IS_HARDENED = os.environ.get("NOOP_HARDENED") == "1"
PORT = int(os.environ.get("NOOP_PORT", "0"))

app = Celery("noop", broker="sqs://")
app.conf.update(
    task_default_queue=QUEUE,
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=int(os.environ.get("NOOP_PREFETCH", "1")),
    worker_enable_remote_control=False,
    broker_transport_options={"predefined_queues": {QUEUE: {"url": os.environ["NOOP_QUEUE_URL"]}}},
)
metrics = aforo.instrument(app, port=PORT) if PORT else None
if IS_HARDENED:
    aforo.harden(app, metrics)


@app.task(name="noop", bind=True)
def noop(self: Task) -> None:
    """Record the time and the id of the task. The task has three stages, like the task of a video."""
    for name in ("fetch", "transcode", "publish"):
        with aforo.stage(name):
            pass
    with LOG.open("a") as log:
        log.write(f"{time.time()} {self.request.id}\n")
