"""All resources of a stack, in the order in which they are created."""

from __future__ import annotations

from core import aws, sqs_queue
from core.settings import Settings
from provision.bucket import ensure_bucket
from provision.queue import ensure_queue
from provision.readonly_user import ensure_readonly_user
from provision.tables import ensure_tables


def create_resources(settings: Settings) -> None:
    """Create the missing resources. On real AWS, raise EnvironmentFault for a missing queue instead."""
    client = aws.client(settings, "sqs")
    if settings.stack != "aws" and settings.aws.endpoint_url:
        ensure_queue(client, settings.queue)
        ensure_bucket(settings)
    else:
        sqs_queue.find_queue(client, settings.queue.name)
    create_own_resources(settings)


def create_own_resources(settings: Settings) -> None:
    """Create what is in our database only, for an app whose queue and bucket are its own."""
    ensure_tables(settings)
    ensure_readonly_user(settings)
