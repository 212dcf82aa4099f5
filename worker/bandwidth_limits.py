"""What the disk and the storage carry at most, measured before any work: a run's traffic is compared with it.

Measured when a worker starts, at most once a day for the same disk and bucket. What cannot be measured is left out.
"""

from __future__ import annotations

import json
import logging
import mmap
import os
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from core import aws
from core.settings import Settings

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

logger = logging.getLogger(__name__)
Ceilings = dict[str, float]

VALID_SECONDS = 24 * 3600.0
#: a disk is written, then read, for so long or so much, whichever comes first
DISK_SECONDS = 1.0
DISK_BYTES = 256 << 20
BLOCK_BYTES = 4 << 20
PARALLEL_OBJECTS = 4
SMALLEST_OBJECT_BYTES, LARGEST_OBJECT_BYTES = 128 << 10, 8 << 20
ROUND_SECONDS = 1.0


def ceilings(settings: Settings) -> Ceilings:
    """Return bytes a second by resource, from the file beside the work folder when it is of today and of this place."""
    folder = settings.worker.work_path
    file, place = folder.with_name(f"{folder.name}-ceilings.json"), _place(settings)
    known = _remembered(file, place)
    if known is None:
        known = _measured(settings)
        _remember(file, place, known)
    return known


def _place(settings: Settings) -> str:
    """Return what the ceilings are of: another disk or bucket, and they must be measured again."""
    device, source = settings.worker.work_path.stat().st_dev, settings.aws.endpoint_of("s3")
    bucket = f"{source} {settings.storage.bucket}" if settings.storage.backend == "s3" else ""
    return f"{device} {bucket} {settings.worker.ceilings}"


def _measured(settings: Settings) -> Ceilings:
    wanted = settings.worker.ceilings
    found = _tolerant(lambda: disk_ceilings(settings.worker.work_path)) if wanted != "none" else {}
    is_own = settings.aws.endpoint_of("s3") is not None  # an emulator's or a laboratory's: nobody watches its objects
    if settings.storage.backend == "s3" and (wanted == "all" or (wanted == "local" and is_own)):
        client, prefix = aws.client(settings, "s3", read_timeout_seconds=30), settings.storage.processed_prefix
        found |= _tolerant(lambda: object_ceilings(client, settings.storage.bucket, prefix))
    return found


def disk_ceilings(folder: Path) -> Ceilings:
    """Return how fast a file in `folder` is written through to the disk, and read past the page cache."""
    file = folder / f"ceiling-{uuid.uuid4().hex}"
    try:
        written, seconds = _write(file)
        found = {"disk_write": written / seconds}
        read, seconds = _read(file, written)
        return found | {"disk_read": read / seconds}
    finally:
        file.unlink(missing_ok=True)


def object_ceilings(client: S3Client, bucket: str, prefix: str) -> Ceilings:
    """Return the rates of four parallel PUTs and GETs: the size grows until the rate and not the latency takes time."""
    names = [f"{prefix}ceiling-{uuid.uuid4().hex}" for _ in range(PARALLEL_OBJECTS)]

    def put(name: str, size_bytes: int) -> int:
        client.put_object(Bucket=bucket, Key=name, Body=bytes(size_bytes))
        return size_bytes

    def get(name: str, size_bytes: int) -> int:
        body = client.get_object(Bucket=bucket, Key=name, Range=f"bytes=0-{size_bytes - 1}")["Body"]
        return sum(len(chunk) for chunk in body.iter_chunks(1 << 20))

    try:
        out = _parallel_rate(names, put)
        return {"network_out": out, "network_in": _parallel_rate(names, get)}
    finally:
        with ThreadPoolExecutor(len(names)) as pool:
            list(pool.map(lambda name: client.delete_object(Bucket=bucket, Key=name), names))


def _parallel_rate(names: list[str], transfer: Callable[[str, int], int]) -> float:
    size_bytes, previous = SMALLEST_OBJECT_BYTES, float("inf")
    with ThreadPoolExecutor(len(names)) as pool:
        while True:
            begun = time.perf_counter()
            moved = sum(pool.map(transfer, names, repeat(size_bytes)))
            seconds = time.perf_counter() - begun
            is_slower = seconds >= ROUND_SECONDS and seconds >= 2 * previous
            if is_slower or moved < len(names) * size_bytes or size_bytes >= LARGEST_OBJECT_BYTES:
                return moved / seconds
            size_bytes, previous = min(4 * size_bytes, LARGEST_OBJECT_BYTES), seconds


def _write(file: Path) -> tuple[int, float]:
    block, written, begun = os.urandom(BLOCK_BYTES), 0, time.perf_counter()
    with file.open("xb", buffering=0) as sink:
        while written < DISK_BYTES and time.perf_counter() - begun < DISK_SECONDS:
            written += sink.write(block)
            os.fsync(sink.fileno())
    return written, time.perf_counter() - begun


def _read(file: Path, size_bytes: int) -> tuple[int, float]:
    """Read the file once without the page cache, or with its pages dropped where the filesystem has no O_DIRECT."""
    with mmap.mmap(-1, BLOCK_BYTES) as block, _opened_direct(file) as source:
        begun, read = time.perf_counter(), 0
        while read < size_bytes and time.perf_counter() - begun < DISK_SECONDS:
            read += os.readv(source, [block])
        return read, time.perf_counter() - begun


@contextmanager
def _opened_direct(file: Path) -> Iterator[int]:
    try:
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_DIRECT", 0))
    except OSError:
        descriptor = os.open(file, os.O_RDONLY)
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _tolerant(measure: Callable[[], Ceilings]) -> Ceilings:
    try:
        return measure()
    except (OSError, BotoCoreError, ClientError, Boto3Error) as error:
        logger.warning("a ceiling could not be measured, it stays unknown: %s", error)
        return {}


def _remembered(file: Path, place: str) -> Ceilings | None:
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        is_of_here = kept["place"] == place and 0 <= time.time() - kept["measured_at"] < VALID_SECONDS
        return dict(kept["ceilings"]) if is_of_here else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _remember(file: Path, place: str, found: Ceilings) -> None:
    kept = {"place": place, "measured_at": time.time(), "ceilings": found}
    try:
        file.write_text(json.dumps(kept), encoding="utf-8")
    except OSError as error:
        logger.warning("the ceilings could not be kept for the next start: %s", error)
