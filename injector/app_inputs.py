"""Place the input files of an app's videos in a folder or in S3.

All videos share one file, or each video gets a file of its own: a copy or a hard link.
"""

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
    """Input file of one video, and where the app's worker finds it.

    - `path` is the path or `s3://` address under which the worker reads the file.
    - `key` is the file name, or the key of the object in S3.
    - `made` is the path or address of a file made for this video alone, or None for a shared file.
    """

    path: str
    key: str
    made: str | None = None


@dataclass(frozen=True)
class FolderInputs:
    """Input files for the videos of one size, in a local folder: a shared file, or one per video.

    `source` is the path of the shared file.
    """

    app: AppFile
    folder: Path
    source: Path

    def shared(self) -> PlacedInput:
        """Return the input file that all videos of one size share."""
        return self._seen(self.source, made=None)

    def own(self, name: str) -> PlacedInput:
        """Create and return the input file of one video: a copy or a hard link of the shared file.

        `name` is the name of the new file. Raise EnvironmentFault if the file cannot be created.
        """
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
    """Input objects for the videos of one size, in an S3 bucket: a shared object, or one per video.

    `source_key` is the key of the shared object. All keys start with `prefix`.
    """

    app: AppFile
    client: S3Client
    bucket: str
    prefix: str
    source_key: str

    def shared(self) -> PlacedInput:
        """Return the input object that all videos of one size share."""
        return PlacedInput(f"s3://{self.bucket}/{self.source_key}", self.source_key)

    def own(self, name: str) -> PlacedInput:
        """Create and return the input object of one video: a copy of the shared object.

        `name` is the end of the new key, after the prefix. Raise EnvironmentFault if S3 rejects the copy.
        """
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
    """Copy the video file `media` to where the app expects its input files, under the file name `name`.

    If `aforo.toml` names no folder or S3 bucket, the copy goes to `default_folder`. The methods `shared` and `own` of
    the result return input files for videos. `s3` returns the S3 client. Raise EnvironmentFault if the folder cannot be
    written.
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
    """Return the input file of each video of a run, in the order of the videos.

    `inputs` has the result of the function `place_source` for each video. If `aforo.toml` demands a separate file for
    each video, this function creates the files. Call it before any video is sent.
    """
    if app.input.per_video == "shared":
        return [each.shared() for each in inputs]
    return [each.own(f"aforo-{run_id}-{number}.mp4") for number, each in enumerate(inputs, start=1)]
