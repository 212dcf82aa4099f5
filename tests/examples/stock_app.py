"""An app on kombu's own SQS transport, which `attach` alone measures."""

from __future__ import annotations

import os

from celery import Celery

from aforo.telemetry import instrument

QUEUE = os.environ["QUEUE_NAME"]
app = Celery("stock", broker="sqs://")
app.conf.update(
    task_default_queue=QUEUE,
    task_ignore_result=True,
    worker_enable_remote_control=False,
    broker_transport_options={"predefined_queues": {QUEUE: {"url": os.environ["QUEUE_URL"]}}, "wait_time_seconds": 1},
)
instrument.attach(app, port=int(os.environ["METRICS_PORT"]))


@app.task(name="app.tasks.process_video")
def process_video(**_arguments: str) -> object:
    """Return something no JSON can hold."""
    return object()
