"""Measure the bandwidth limits of disk and storage when the reference worker starts.

The limits are measured at most once a day per disk and bucket. A limit that cannot be measured is left out.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from aforo.bandwidth import Limits, disk_limits, object_limits
from aforo.stored_limits import read_limits, write_limits
from aforo.telemetry.label_values import Operation
from core import aws
from core.settings import Settings

logger = logging.getLogger(__name__)
#: function that counts an error which was logged and ignored
HandledError = Callable[[Operation], None]


def bandwidth_limits(settings: Settings, handled_error: HandledError) -> Limits:
    """Return the bandwidth limits in bytes/s by resource, such as disk writes.

    Limits that were measured in the last day are read from a file. Otherwise they are measured now, which takes some
    seconds, and written to the file. A limit that cannot be measured is left out for a day, and `handled_error` is
    called.
    """
    folder = settings.worker.work_path
    file, place = folder.with_name(f"{folder.name}-bandwidth-limits.json"), _place(settings)
    limits = read_limits(file, place=place)
    if limits is None:
        limits = _measure(settings, handled_error)
        with _counted("could not store the bandwidth limits for the next start", handled_error):
            write_limits(file, limits, place=place)
    return limits


def _place(settings: Settings) -> str:
    """Return the cache key: disk, bucket and setting."""
    device, source = settings.worker.work_path.stat().st_dev, settings.aws.endpoint_of("s3")
    bucket = f"{source} {settings.storage.bucket}" if settings.storage.backend == "s3" else ""
    return f"{device} {bucket} {settings.worker.bandwidth_limits}"


def _measure(settings: Settings, handled_error: HandledError) -> Limits:
    unknown = "could not measure a bandwidth limit, it stays unknown"
    scope, limits = settings.worker.bandwidth_limits, Limits()
    if scope != "none":
        with _counted(unknown, handled_error):
            limits |= disk_limits(settings.worker.work_path)
    is_own = settings.aws.endpoint_of("s3") is not None  # an emulator or a test server, where objects trigger nothing
    if settings.storage.backend == "s3" and (scope == "all" or (scope == "local" and is_own)):
        client, prefix = aws.client(settings, "s3", read_timeout_seconds=30), settings.storage.processed_prefix
        with _counted(unknown, handled_error):
            limits |= object_limits(client, settings.storage.bucket, prefix)
    return limits


@contextmanager
def _counted(consequence: str, handled_error: HandledError) -> Iterator[None]:
    """Log and count an error of the disk or of the storage in the `with` block, and ignore it."""
    try:
        yield
    except (OSError, BotoCoreError, ClientError, Boto3Error) as error:
        handled_error(Operation.MEASURE_LIMITS)
        logger.warning("%s: %s", consequence, error)
