"""Place the input files of an app's videos in a folder or in S3.

All videos share one file, or each video gets a file of its own: a copy or a hard link.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
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

    def is_placed(self, media: Path) -> bool:
        """Return True if the shared file is there, with the size of the video file `media`."""
        return self.source.is_file() and self.source.stat().st_size == media.stat().st_size

    def place(self, media: Path) -> None:
        """Copy the video file `media` to the place of the shared file.

        Raise EnvironmentFault if the folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            partial = self.source.with_suffix(".part")
            shutil.copyfile(media, partial)
            partial.replace(self.source)
        except OSError as error:
            why = error.strerror or str(error)
            raise EnvironmentFault(
                self.app.place("input.folder"), why, "give a folder that can be written", value=self.folder
            ) from None

    def shared(self) -> PlacedInput:
        """Return the input file that all videos of one size share."""
        return self._seen(self.source, made=None)

    def address(self, name: str | None = None) -> str:
        """Return the path of the file with this name, or of the shared file."""
        return str(self.source if name is None else self.folder / name)

    def own(self, name: str) -> PlacedInput:
        """Create and return the input file of one video: a copy or a hard link of the shared file.

        `name` is the name of the new file. Raise EnvironmentFault if the file cannot be created.
        """
        target = Path(self.address(name))
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

    def is_placed(self, _media: Path) -> bool:
        """Return True if the shared object is there. S3 has complete objects only."""
        return S3Storage(self.client, self.bucket).exists(self.source_key)

    def place(self, media: Path) -> None:
        """Upload the video file `media` as the shared object. Raise a StorageError if that fails."""
        S3Storage(self.client, self.bucket).upload(media, self.source_key)

    def shared(self) -> PlacedInput:
        """Return the input object that all videos of one size share."""
        return PlacedInput(self.address(), self.source_key)

    def address(self, name: str | None = None) -> str:
        """Return the s3:// address of the object with this name, or of the shared object."""
        return f"s3://{self.bucket}/{self.source_key if name is None else f'{self.prefix}{name}'}"

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
        address = self.address(name)
        return PlacedInput(address, key, address)


Inputs = FolderInputs | BucketInputs


def inputs_of(app: AppFile, default_folder: Path, name: str, s3: Callable[[], S3Client]) -> Inputs:
    """Return where the inputs of an app's videos of one size belong. Nothing is placed there yet.

    `name` is the name of the shared file. If `aforo.toml` names no folder or S3 bucket, the folder is `default_folder`.
    `s3` returns the S3 client.
    """
    if app.input.is_s3:
        bucket, _, prefix = str(app.input.folder).removeprefix("s3://").partition("/")
        prefix = f"{prefix.rstrip('/')}/" if prefix else ""
        return BucketInputs(app, s3(), bucket, prefix, f"{prefix}{name}")
    folder = Path(app.input.folder) if app.input.folder else default_folder.absolute()
    return FolderInputs(app, folder, folder / name)


def missing(inputs: Iterable[tuple[Inputs, Path]]) -> dict[str, tuple[Inputs, Path]]:
    """Return the shared files that are not there yet, by their path or s3:// address.

    `inputs` has the place and the video file of each size. S3 is asked once for each address.
    """
    places = {each.address(): (each, media) for each, media in inputs}
    return {address: (each, media) for address, (each, media) in places.items() if not each.is_placed(media)}


def addresses(inputs: Sequence[Inputs], shared: Iterable[str], app: AppFile, run_id: str) -> list[str]:
    """Return the paths or s3:// addresses of all files that `place` and `place_all` will make for a run, each once.

    `inputs` has the place of each video's input. `shared` has the addresses of the missing shared files. A shared file
    that is there already is left out, because other runs may use it.
    """
    own = [] if app.input.per_video == "shared" else [each.address(name) for each, name in _names(inputs, run_id)]
    return [*shared, *own]


def place_all(inputs: Sequence[Inputs], app: AppFile, run_id: str) -> list[PlacedInput]:
    """Return the input file of each video of a run, in the order of the videos.

    `inputs` has the place of each video's input. The shared files must be there. If `aforo.toml` demands a separate
    file for each video, this function creates the files. Call this function before any video is sent.
    """
    if app.input.per_video == "shared":
        return [each.shared() for each in inputs]
    return [each.own(name) for each, name in _names(inputs, run_id)]


def _names(inputs: Sequence[Inputs], run_id: str) -> list[tuple[Inputs, str]]:
    """Return the name of each video's own file, beside its place."""
    return [(each, f"aforo-{run_id}-{number}.mp4") for number, each in enumerate(inputs, start=1)]
