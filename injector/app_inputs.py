"""Input files of an app's videos: one for all, or a copy or link per video, in a folder or in S3."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from core.app_file import AppFile
from core.errors import EnvironmentFault
from core.storage import S3Storage

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client


@dataclass(frozen=True)
class PlacedInput:
    """One input as the worker sees it. `made` is its address if it was made for one video alone."""

    path: str
    key: str
    made: str | None = None


@dataclass(frozen=True)
class FolderInputs:
    """Inputs in a folder that the worker may see under another path."""

    app: AppFile
    folder: Path
    source: Path

    def shared(self) -> PlacedInput:
        """Return the input that all videos share."""
        return self._seen(self.source, made=None)

    def own(self, name: str) -> PlacedInput:
        """Make the input of one video by copy or hard link. Raise EnvironmentFault if the folder refuses it."""
        target = self.folder / name
        try:
            (os.link if self.app.input.per_video == "link" else shutil.copyfile)(self.source, target)
        except OSError as error:
            why = error.strerror or str(error)
            raise EnvironmentFault(
                self.app.place("input.per_video"), why, "free space, or use copy or shared", value=target
            ) from None
        return self._seen(target, made=str(target))

    def _seen(self, file: Path, made: str | None) -> PlacedInput:
        seen = self.app.input.seen_by_worker_as
        path = file if seen is None else Path(seen) / file.relative_to(self.folder)
        return PlacedInput(str(path), file.name, made)


@dataclass(frozen=True)
class BucketInputs:
    """Inputs under a prefix of a bucket. Copies are made by S3 itself."""

    app: AppFile
    client: S3Client
    bucket: str
    prefix: str
    source_key: str

    def shared(self) -> PlacedInput:
        """Return the input that all videos share."""
        return PlacedInput(f"s3://{self.bucket}/{self.source_key}", self.source_key)

    def own(self, name: str) -> PlacedInput:
        """Copy the input to a key of one video. Raise EnvironmentFault if S3 refuses it."""
        key = f"{self.prefix}{name}"
        try:
            self.client.copy({"Bucket": self.bucket, "Key": self.source_key}, self.bucket, key)
        except (ClientError, BotoCoreError) as error:
            raise EnvironmentFault(
                self.app.place("input.folder"), str(error), "check bucket and policy", value=key
            ) from None
        address = f"s3://{self.bucket}/{key}"
        return PlacedInput(address, key, address)


Inputs = FolderInputs | BucketInputs


def place_source(app: AppFile, default_folder: Path, media: Path, name: str, s3: Callable[[], S3Client]) -> Inputs:
    """Put the run's input where the app expects it, unless it is there. `name` is its file name there.

    Raise EnvironmentFault if the folder or the bucket cannot be written.
    """
    if app.input.is_s3:
        bucket, _, prefix = str(app.input.folder).removeprefix("s3://").partition("/")
        prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        client = s3()
        storage = S3Storage(client, bucket)
        if not storage.exists(f"{prefix}{name}"):
            storage.upload(media, f"{prefix}{name}")
        return BucketInputs(app, client, bucket, prefix, f"{prefix}{name}")
    folder = Path(app.input.folder) if app.input.folder else default_folder.absolute()
    target = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not target.is_file() or target.stat().st_size != media.stat().st_size:
            partial = target.with_suffix(".part")
            shutil.copyfile(media, partial)
            partial.replace(target)
    except OSError as error:
        why = error.strerror or str(error)
        raise EnvironmentFault(
            app.place("input.folder"), why, "give a folder that can be written", value=folder
        ) from None
    return FolderInputs(app, folder, target)


def place_all(inputs: Sequence[Inputs], app: AppFile, run_id: str) -> list[PlacedInput]:
    """Return the inputs of a run's videos, one entry of `inputs` per video.

    With `per_video`, make one for each video before anything is sent.
    """
    if app.input.per_video == "shared":
        return [each.shared() for each in inputs]
    return [each.own(f"aforo-{run_id}-{number}.mp4") for number, each in enumerate(inputs, start=1)]
