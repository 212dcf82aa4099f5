"""Create the S3 bucket for videos, which is needed only if the storage is S3."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from core import aws
from core.errors import EnvironmentFault
from core.settings import Settings

EXISTS = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})


def ensure_bucket(settings: Settings) -> None:
    """Create the S3 bucket if it is missing. Do nothing unless the settings select S3 as the storage.

    Raise EnvironmentFault if S3 rejects the request.
    """
    if settings.storage.backend != "s3":
        return
    try:
        aws.client(settings, "s3").create_bucket(Bucket=settings.storage.bucket)
    except (ClientError, BotoCoreError) as error:
        if not (isinstance(error, ClientError) and error.response["Error"]["Code"] in EXISTS):
            bucket = settings.storage.bucket
            raise EnvironmentFault("bucket", str(error), "check AWS_S3_BUCKET", value=bucket) from error
