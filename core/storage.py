"""Storage of videos: the same interface for a folder and for an S3 bucket.

A key is the relative path of an object, such as `uploads/50mb.mp4`. An object becomes visible only when it is complete.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from boto3.exceptions import Boto3Error, S3UploadFailedError
from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from core import aws
from core.errors import EnvironmentFault, printable
from core.settings import Settings

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client
    from types_boto3_s3.type_defs import MultipartUploadTypeDef

CHUNK_BYTES = 1 << 20
PART_SUFFIX = ".part"


class StorageError(EnvironmentFault):
    """Base class of storage errors. `detail` is the message of the operating system or of S3."""

    remedy = "check STORAGE_BACKEND and what it needs, and try again"

    def __init__(self, detail: str) -> None:
        super().__init__("storage", printable(detail, limit=300), self.remedy)
        self.detail = detail


class ObjectMissing(StorageError):
    """Error for a key under which the storage has no object."""


class AccessDenied(StorageError):
    """Error for a key that this program is not allowed to read or write in the storage."""

    remedy = "check the credentials and their policy, or the permissions of UPLOAD_PATH"


class StorageUnavailable(StorageError):
    """Error for a storage that did not answer, or whose answer was incomplete. A retry may succeed."""


class StorageFull(StorageError):
    """Error for a storage without free space."""

    remedy = "free some, or set UPLOAD_PATH"


@dataclass(frozen=True)
class StoredObject:
    """Description of a complete object in the storage: key, size in bytes, and SHA-256 in hex."""

    key: str
    size_bytes: int
    sha256: str


class Storage(Protocol):
    """Interface to the storage of videos, as the worker and the injector use it."""

    def fetch(self, key: str, target: Path) -> StoredObject:
        """Copy the object `key` to the new local file `target`. Return its key, size and SHA-256.

        On failure, raise a StorageError and leave no file.
        """

    def upload(self, source: Path, key: str) -> StoredObject:
        """Store a copy of the local file `source` under `key`. Return its key, size and SHA-256.

        On failure, raise a StorageError and store nothing.
        """

    def exists(self, key: str) -> bool:
        """Return True if the storage has a complete object `key` that this program is allowed to read."""

    def delete(self, key: str) -> None:
        """Delete the object `key`, if it exists, and the unfinished uploads of that key."""

    def abort_uploads(self, prefix: str, older_than_seconds: float) -> int:
        """Delete unfinished uploads that are older than `older_than_seconds`. Return their number.

        Only uploads to keys that start with `prefix` are deleted.
        """


def open_storage(settings: Settings) -> Storage:
    """Return the storage (folder or S3 bucket) that the settings select."""
    if settings.storage.backend == "s3":
        return S3Storage(aws.client(settings, "s3", read_timeout_seconds=30), settings.storage.bucket)
    return DirectoryStorage(settings.storage.path)


def check_key(key: str) -> str:
    """Return `key` unchanged if it is a plain relative path. Raise AccessDenied for any other key, such as `../x`."""
    parts = key.split("/")
    bad = not key or len(key) > 1024 or not key.isprintable() or "\\" in key or key.startswith(("-", "/"))
    if bad or any(part in {"", ".", ".."} for part in parts):
        raise AccessDenied(f"key {key[:80]!r} is not a plain relative path")
    return key


@dataclass(frozen=True)
class DirectoryStorage:
    """Storage in the folder `root`: each object is a file.

    An upload writes a hidden file, flushes it to disk (fsync) and renames it.
    """

    root: Path

    def fetch(self, key: str, target: Path) -> StoredObject:
        """Copy the file at `key` in the storage folder to the new local file `target`.

        Return its key, size and SHA-256. Raise AccessDenied if the file at `key` is a symbolic link.
        """
        with _translated_os_errors(target):
            descriptor = os.open(self._path(key), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            with os.fdopen(descriptor, "rb") as source, target.open("xb") as sink:
                return _copy(source, sink, key)

    def upload(self, source: Path, key: str) -> StoredObject:
        """Store a copy of the local file `source` at `key` in the storage folder.

        Return key, size and SHA-256 of the copy. The copy becomes visible at `key` only when it is complete.
        """
        final = self._path(key)
        partial = final.with_name(f".{final.name}.{uuid.uuid4().hex}{PART_SUFFIX}")
        with _translated_os_errors(partial):
            final.parent.mkdir(parents=True, exist_ok=True)
            with source.open("rb") as reader, partial.open("xb") as sink:
                stored = _copy(reader, sink, key)
                sink.flush()
                os.fsync(sink.fileno())
            partial.replace(final)
            _sync_folder(final.parent)
        return stored

    def exists(self, key: str) -> bool:
        """Return True if the storage folder has a regular file at `key`."""
        return self._path(key).is_file()

    def delete(self, key: str) -> None:
        """Delete the file at `key`, if it exists, and the hidden files of unfinished uploads to `key`."""
        final = self._path(key)
        for file in (final, *final.parent.glob(f".{glob.escape(final.name)}.*{PART_SUFFIX}")):
            file.unlink(missing_ok=True)

    def abort_uploads(self, prefix: str, older_than_seconds: float) -> int:
        """Delete the hidden files of unfinished uploads that are older than `older_than_seconds`.

        Only files in the folder `prefix` and its subfolders are deleted. Return the number of deleted files.
        """
        oldest = time.time() - older_than_seconds
        old = [part for part in (self.root / prefix).rglob(f".*{PART_SUFFIX}") if part.stat().st_mtime < oldest]
        for part in old:
            part.unlink(missing_ok=True)
        return len(old)

    def _path(self, key: str) -> Path:
        root = self.root.resolve()
        path = root / check_key(key)
        if not path.parent.resolve().is_relative_to(root):
            raise AccessDenied(f"key {key!r} leads outside the storage")
        return path


@dataclass(frozen=True)
class S3Storage:
    """Storage in one S3 bucket.

    An upload is verified by a checksum and becomes visible only when it is complete.
    """

    client: S3Client
    bucket: str

    def fetch(self, key: str, target: Path) -> StoredObject:
        """Download the object `key` to the local file `target`. Return its key, size and SHA-256.

        Raise a StorageError if the download fails, for example because the object is replaced meanwhile.
        """
        with _translated_s3_errors(target):
            # All ranges belong to one version of the object: s3transfer requests each range with the same ETag.
            extra = {"ChecksumMode": "ENABLED"}
            self.client.download_file(self.bucket, check_key(key), str(target), Config=_TRANSFER, ExtraArgs=extra)
        return describe(target, key)

    def upload(self, source: Path, key: str) -> StoredObject:
        """Upload the local file `source` to the bucket under `key`. Return its key, size and SHA-256.

        An interrupted upload leaves no object.
        """
        with _translated_s3_errors(None):
            extra = {"ChecksumAlgorithm": "SHA256", "ContentType": "video/mp4"}
            self.client.upload_file(str(source), self.bucket, check_key(key), Config=_TRANSFER, ExtraArgs=extra)
        return describe(source, key)

    def exists(self, key: str) -> bool:
        """Return True if the bucket has an object `key` that this program is allowed to read.

        Return False also if S3 answers with status 403 (access denied). Raise a StorageError if S3 does not answer.
        """
        checked = check_key(key)
        try:
            with _translated_s3_errors(None):
                self.client.head_object(Bucket=self.bucket, Key=checked)
        except (ObjectMissing, AccessDenied):  # S3 answers 403 for a missing object if listing is not allowed
            return False
        return True

    def delete(self, key: str) -> None:
        """Delete the object `key` from the bucket, if it exists, and abort the unfinished uploads to `key`."""
        with _translated_s3_errors(None):
            self.client.delete_object(Bucket=self.bucket, Key=check_key(key))
            self._abort([upload for upload in self._unfinished_uploads(key) if upload["Key"] == key])

    def abort_uploads(self, prefix: str, older_than_seconds: float) -> int:
        """Abort unfinished multipart uploads that are older than `older_than_seconds`. Return their number.

        Only uploads to keys that start with `prefix` are aborted. Unfinished uploads are not visible as objects, but
        AWS charges for their storage.
        """
        oldest = datetime.now(UTC) - timedelta(seconds=older_than_seconds)
        with _translated_s3_errors(None):
            old = [upload for upload in self._unfinished_uploads(prefix) if upload["Initiated"] <= oldest]
            self._abort(old)
        return len(old)

    def _unfinished_uploads(self, prefix: str) -> list[MultipartUploadTypeDef]:
        pages = self.client.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=prefix)
        return [upload for page in pages for upload in page.get("Uploads", [])]

    def _abort(self, uploads: Iterable[MultipartUploadTypeDef]) -> None:
        for upload in uploads:
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"])


_TRANSFER = TransferConfig(multipart_threshold=16 << 20, multipart_chunksize=16 << 20, max_concurrency=4)
_MISSING_CODES = frozenset({"404", "NoSuchKey", "NoSuchBucket", "NotFound"})
_DENIED_CODES = frozenset({"401", "403", "AccessDenied", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch"})


def describe(file: Path, key: str) -> StoredObject:
    """Return a StoredObject with the key `key`, and the size and SHA-256 of the local file `file`.

    The storage is neither read nor changed.
    """
    with file.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
    return StoredObject(key, file.stat().st_size, digest)


def _copy(source: BinaryIO, sink: BinaryIO, key: str) -> StoredObject:
    digest, size_bytes = hashlib.sha256(), 0
    while chunk := source.read(CHUNK_BYTES):
        sink.write(chunk)
        digest.update(chunk)
        size_bytes += len(chunk)
    return StoredObject(key, size_bytes, digest.hexdigest())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _translated_os_errors(leftover: Path) -> Iterator[None]:
    """Raise errors of the operating system as StorageErrors, and delete a partial file."""
    try:
        yield
    except OSError as error:
        leftover.unlink(missing_ok=True)
        raise _from_os_error(error) from error


def _from_os_error(error: OSError) -> StorageError:
    kinds: dict[int | None, type[StorageError]] = {
        errno.ENOENT: ObjectMissing,
        errno.EACCES: AccessDenied,
        errno.EPERM: AccessDenied,
        errno.ELOOP: AccessDenied,
        errno.EISDIR: ObjectMissing,
        errno.ENOSPC: StorageFull,
        errno.EDQUOT: StorageFull,
    }
    return kinds.get(error.errno, StorageUnavailable)(str(error))


@contextmanager
def _translated_s3_errors(leftover: Path | None) -> Iterator[None]:
    """Raise boto3's errors as StorageErrors, and delete a partial file."""
    try:
        yield
    except (ClientError, BotoCoreError, Boto3Error, OSError) as error:
        if leftover is not None:
            leftover.unlink(missing_ok=True)
        raise _from_s3_error(error) from error


def _from_s3_error(error: Exception) -> StorageError:
    if isinstance(error, OSError) and error.errno is not None:
        return _from_os_error(error)
    cause = error.__context__ if isinstance(error, S3UploadFailedError) else error
    code = cause.response["Error"]["Code"] if isinstance(cause, ClientError) else ""
    if code in _MISSING_CODES:
        return ObjectMissing(str(error))
    return (AccessDenied if code in _DENIED_CODES else StorageUnavailable)(str(error))
