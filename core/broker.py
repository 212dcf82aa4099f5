"""The Celery application that all programs use: one SQS queue, JSON messages only."""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu import Queue as CeleryQueue

from core import aws
from core.settings import Settings


def make_celery(settings: Settings, queue_url: str, **options: Any) -> Celery:
    """Return the Celery application for the queue at `queue_url`. `options` are passed to `Celery`.

    The application needs AWS permissions for this queue only.
    """
    app = Celery("aforo", broker="sqs://", **options)
    app.conf.update(
        task_queues=(CeleryQueue(settings.queue.name),),
        task_default_queue=settings.queue.name,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure=True,
        task_acks_on_timeout=False,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options=transport_options(settings, queue_url),
        timezone="UTC",
    )
    return app


def transport_options(settings: Settings, queue_url: str) -> dict[str, Any]:
    """Return kombu's transport options for SQS: one predefined queue and short timeouts."""
    predefined = {"url": queue_url, "region": settings.aws.region}
    keys = aws.credentials(settings)
    if keys:
        predefined["access_key_id"] = keys["aws_access_key_id"]
        predefined["secret_access_key"] = keys["aws_secret_access_key"]
    return {
        "region": settings.aws.region,
        "predefined_queues": {settings.queue.name: predefined},
        "visibility_timeout": settings.queue.visibility_timeout_seconds,
        "wait_time_seconds": settings.queue.long_poll_seconds,
        "endpoint_url": settings.aws.endpoint_of("sqs"),  # read by `aforo.sqs.clients`; kombu has no such option
        "client-config": aws.client_options(),
    }
