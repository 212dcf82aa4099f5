"""The Celery app: `celery -A worker.main worker`."""

from celery import Celery
from core.config import settings

app = Celery("service", broker="sqs://", include=["worker.tasks"])
app.conf.update(
    task_default_queue=settings.queue_name,
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": 600, "wait_time_seconds": 5},
)
