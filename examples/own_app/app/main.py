"""The Celery app: `celery -A app.main worker`."""

import os

from celery import Celery

from aforo.sqs import harden
from aforo.telemetry import instrument

QUEUE = os.environ["QUEUE_NAME"]

celery = Celery("own", broker="sqs://", include=["app.tasks"])
celery.conf.update(
    task_default_queue=QUEUE,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    broker_transport_options={"predefined_queues": {QUEUE: {"url": os.environ["QUEUE_URL"]}}, "wait_time_seconds": 5},
)

# The two lines of Aforo: the import above, and this one. `harden` is a third, for an SQS that fails.
metrics = instrument.attach(celery, port=int(os.environ.get("METRICS_PORT", "9101")))
harden(celery, metrics)
