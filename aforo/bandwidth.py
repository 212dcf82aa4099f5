"""Measure the bandwidth of a disk and of an S3 bucket.

The measurement of a disk writes and reads a file of at most 256 MiB. The measurement of a bucket moves about 90 MB.
Each measurement takes some seconds.
"""

from __future__ import annotations

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

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

#: bytes per second by resource
Limits = dict[str, float]

#: a disk is written, then read, up to this time and this amount, whichever is reached first
DISK_SECONDS = 1.0
DISK_BYTES = 256 << 20
BLOCK_BYTES = 4 << 20
PARALLEL_OBJECTS = 4
SMALLEST_OBJECT_BYTES, LARGEST_OBJECT_BYTES = 128 << 10, 8 << 20
ROUND_SECONDS = 1.0


def disk_limits(folder: Path) -> Limits:
    """Measure how fast a file in `folder` can be written and read, in bytes/s.

    The result has two keys: `disk_write` (with an fsync after each block) and `disk_read` (without the page cache).
    The file has at most 256 MiB and is deleted at the end. Raise OSError if it cannot be written or read.
    """
    file = folder / f"ceiling-{uuid.uuid4().hex}"
    try:
        written, seconds = _write(file)
        limits = {"disk_write": written / seconds}
        read, seconds = _read(file, written)
        return limits | {"disk_read": read / seconds}
    finally:
        file.unlink(missing_ok=True)


def object_limits(client: S3Client, bucket: str, prefix: str) -> Limits:
    """Measure the S3 bandwidth of four parallel PUTs and of four parallel GETs, in bytes/s.

    The result has two keys: `network_out` for the PUTs and `network_in` for the GETs. The names of the S3 objects start
    with `prefix`. The objects are deleted at the end. Errors of boto3 are not caught.
    """
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
            started = time.perf_counter()
            moved = sum(pool.map(transfer, names, repeat(size_bytes)))
            seconds = time.perf_counter() - started
            is_slower = seconds >= ROUND_SECONDS and seconds >= 2 * previous
            if is_slower or moved < len(names) * size_bytes or size_bytes >= LARGEST_OBJECT_BYTES:
                return moved / seconds
            size_bytes, previous = min(4 * size_bytes, LARGEST_OBJECT_BYTES), seconds


def _write(file: Path) -> tuple[int, float]:
    block, written, started = os.urandom(BLOCK_BYTES), 0, time.perf_counter()
    with file.open("xb", buffering=0) as sink:
        while written < DISK_BYTES and time.perf_counter() - started < DISK_SECONDS:
            written += sink.write(block)
            os.fsync(sink.fileno())
    return written, time.perf_counter() - started


def _read(file: Path, size_bytes: int) -> tuple[int, float]:
    """Read the file without the page cache. Without O_DIRECT, drop its cached pages first."""
    with mmap.mmap(-1, BLOCK_BYTES) as block, _opened_direct(file) as source:
        started, read = time.perf_counter(), 0
        while read < size_bytes and time.perf_counter() - started < DISK_SECONDS:
            read += os.readv(source, [block])
        return read, time.perf_counter() - started


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
