"""Create the S3 bucket for videos. Only the storage `s3` needs it."""

from __future__ import annotations

from botocore.exceptions import BotoCoreError, ClientError

from core import aws
from core.errors import EnvironmentFault
from core.settings import Settings

EXISTS = frozenset({"BucketAlreadyOwnedByYou", "BucketAlreadyExists"})


def ensure_bucket(settings: Settings) -> None:
    """Create the S3 bucket if it is missing and the setting of the storage is `s3`.

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
