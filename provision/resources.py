"""What a stack needs before its programs start: the queue, the bucket, the tables and who may read them."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from core import aws, database, sqs_queue
from core.errors import EnvironmentFault
from core.settings import Settings
from provision.readonly_user import ensure_reader

BUCKET_IS_THERE = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})


def make_resources(settings: Settings) -> None:
    """Make queue, bucket, tables and the exporters' user where missing.

    On real AWS raise EnvironmentFault instead of making a queue.
    """
    sqs = aws.client(settings, "sqs")
    if settings.stack != "aws" and settings.aws.endpoint_url:
        sqs_queue.ensure_queue(sqs, settings.queue)
        _ensure_bucket(settings)
    else:
        sqs_queue.find_queue(sqs, settings.queue.name)
    database.upgrade_schema(database.open_engine(settings.database.url))
    ensure_reader(settings)


def _ensure_bucket(settings: Settings) -> None:
    if settings.storage.backend != "s3":
        return
    try:
        aws.client(settings, "s3").create_bucket(Bucket=settings.storage.bucket)
    except ClientError as error:
        if error.response["Error"]["Code"] not in BUCKET_IS_THERE:
            raise _bucket_fault(settings, error) from error
    except BotoCoreError as error:
        raise _bucket_fault(settings, error) from error


def _bucket_fault(settings: Settings, error: Exception) -> EnvironmentFault:
    return EnvironmentFault("bucket", str(error), "check AWS_S3_BUCKET", value=settings.storage.bucket)
