"""boto3 clients for SQS and S3 with short timeouts and few retries.

In the native stack, the clients use the credentials of the local AWS emulator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, overload

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from core.errors import EnvironmentFault, first_line
from core.settings import Settings

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client
    from types_boto3_sqs.client import SQSClient

#: The emulator accepts any key. boto3 requires one.
EMULATOR_KEY = "test"


@overload
def client(settings: Settings, service: Literal["sqs"], read_timeout_seconds: float = ...) -> SQSClient: ...
@overload
def client(settings: Settings, service: Literal["s3"], read_timeout_seconds: float = ...) -> S3Client: ...
def client(settings: Settings, service: Literal["sqs", "s3"], read_timeout_seconds: float = 15) -> Any:
    """Return a boto3 client of the AWS service `service`.

    Create the client in the process that uses it, because a client does not survive a fork. An attempt of a call waits
    for an answer for at most `read_timeout_seconds`. Raise EnvironmentFault if AWS_* variables or the files under
    ~/.aws are invalid.
    """
    config = Config(**client_options(read_timeout_seconds))
    try:
        keys: dict[str, Any] = credentials(settings)
        session = boto3.Session(region_name=settings.aws.region, **keys)
        return session.client(service, endpoint_url=settings.aws.endpoint_of(service), config=config)
    except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint without a host
        remedy = "check AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL and ~/.aws"
        raise EnvironmentFault("AWS settings", first_line(error), remedy) from error


def client_options(read_timeout_seconds: float = 15) -> dict[str, Any]:
    """Return timeouts and the number of attempts for a boto3 client, as arguments of botocore's `Config`.

    With the default of `read_timeout_seconds`, a call takes about a minute at most.
    """
    retries = {"mode": "standard", "total_max_attempts": 3}
    return {"connect_timeout": 3, "read_timeout": read_timeout_seconds, "retries": retries}


def credentials(settings: Settings) -> dict[str, str]:
    """Return the access keys for the native stack's AWS emulator, as keyword arguments of `boto3.Session`.

    Return an empty dict in three cases: in any other stack, for an app under test, and if boto3 finds credentials
    itself.
    """
    if settings.stack != "native" or settings.app_file is not None or boto3.Session().get_credentials() is not None:
        return {}
    return {"aws_access_key_id": EMULATOR_KEY, "aws_secret_access_key": EMULATOR_KEY}


def aws_fault(error: Exception, service: str = "AWS", endpoint: str | None = None) -> EnvironmentFault:
    """Return the one-line error for a failed call to the AWS service `service`.

    The text shows the error code of AWS, or else the first line of `error`. `endpoint` is the URL of the service.
    """
    why = error.response["Error"]["Code"] if isinstance(error, ClientError) else first_line(error)
    return EnvironmentFault(
        service,
        f"it refused or did not answer: {why}",
        "check AWS_ENDPOINT_URL, AWS_REGION and the credentials",
        value=endpoint,
    )
