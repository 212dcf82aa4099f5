"""Create all resources of a stack: queue, bucket, tables and read-only database user."""

from __future__ import annotations

from core import aws, sqs_queue
from core.settings import Settings
from provision.bucket import ensure_bucket
from provision.queue import ensure_queue
from provision.readonly_user import ensure_readonly_user
from provision.tables import ensure_tables


def create_resources(settings: Settings) -> None:
    """Create the missing queue, bucket, tables and read-only database user of a stack.

    On real AWS, only the tables and the user are created. Raise EnvironmentFault if the queue is missing there.
    """
    client = aws.client(settings, "sqs")
    if settings.stack != "aws" and settings.aws.endpoint_url:
        ensure_queue(client, settings.queue)
        ensure_bucket(settings)
    else:
        sqs_queue.find_queue(client, settings.queue.name)
    create_own_resources(settings)


def create_own_resources(settings: Settings) -> None:
    """Create only the resources in Aforo's own database: tables and read-only user.

    This is for an app under test, which has its own queue and bucket.
    """
    ensure_tables(settings)
    ensure_readonly_user(settings)
