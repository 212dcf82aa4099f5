"""An app on kombu's own SQS transport, measured by `instrument` alone."""

from __future__ import annotations

import os

from celery import Celery

import aforo

QUEUE = os.environ.get("NAME_IN_CELERY") or os.environ["QUEUE_NAME"]
app = Celery("stock", broker="sqs://")
app.conf.update(
    task_default_queue=QUEUE,
    task_ignore_result=True,
    worker_enable_remote_control=False,
    broker_transport_options={"predefined_queues": {QUEUE: {"url": os.environ["QUEUE_URL"]}}, "wait_time_seconds": 1},
)
aforo.instrument(app, port=int(os.environ["METRICS_PORT"]))


@app.task(name="app.tasks.process_video")
def process_video(*_arguments: object) -> object:
    """Return something that JSON cannot represent."""
    return object()
