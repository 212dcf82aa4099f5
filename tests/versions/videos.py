"""A team's Celery app. It runs in an environment of its own, and neither its code nor its command names aforo.

Only with HARDEN=1 its code uses the hardened transport.
"""

import os
import signal
import time

from celery import Celery

QUEUE = os.environ["QUEUE_NAME"]
SQS = {"predefined_queues": {QUEUE: {"url": os.environ["QUEUE_URL"]}}, "wait_time_seconds": 1}
#: For a kombu that does not know the SQS of today.
FOLDERS = {"data_folder_in": "messages", "data_folder_out": "messages", "store_processed": False}
BROKER = os.environ.get("BROKER", "sqs://")
app = Celery("videos", broker=BROKER)
app.conf.update(
    task_default_queue=QUEUE,
    task_ignore_result=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options=SQS if BROKER == "sqs://" else FOLDERS,
)
if os.environ.get("START_METHOD"):
    app.conf.worker_pool_start_method = os.environ["START_METHOD"]
if os.environ.get("HARDEN"):
    import aforo

    aforo.harden(app)


@app.task
def process(seconds=0.1):
    """Do the work."""
    time.sleep(seconds)


@app.task
def sending():
    """Send another message."""
    process.delay()


@app.task
def failing():
    """Fail."""
    raise ValueError("no")


@app.task(bind=True, max_retries=1)
def retrying(self):
    """Succeed at the second attempt."""
    if self.request.retries == 0:
        raise self.retry(countdown=0)


@app.task(time_limit=1)
def hanging():
    """Exceed the hard time limit."""
    time.sleep(60)


@app.task(acks_late=False)
def dying():
    """Kill the process of the task."""
    os.kill(os.getpid(), signal.SIGKILL)
