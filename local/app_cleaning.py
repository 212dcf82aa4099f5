"""Remove the rows, input files and outputs that runs left in an app's systems, and nothing else.

Each run has in its results folder lists of what it created.
"""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from botocore.exceptions import BotoCoreError, ClientError

from core import aws
from core.app_file import AppFile
from core.app_file.injected import FILE, INPUTS_FILE, InjectedVideo, header, injected, listed_inputs
from core.app_file.videos_table import VideosTable
from core.aws import aws_fault
from core.errors import UsageError
from core.settings import Settings

CLEANED = ".cleaned"


@dataclass(frozen=True)
class Leftovers:
    """Rows and input files that the runs of one app left in its systems.

    The field `lists` has the path of each run's lists. The field `videos` has all listed videos, each with the key of
    its row. The field `inputs` has the path or s3:// address of each input file.
    """

    lists: tuple[Path, ...]
    videos: tuple[InjectedVideo, ...]
    inputs: tuple[str, ...]


def leftovers(settings: Settings, app: AppFile) -> Leftovers:
    """Return the rows and input files that the runs of `app` left in the app's systems.

    They are read from the lists in the results folder of each run.
    """
    files = [file for name in (FILE, INPUTS_FILE) for file in settings.results.path.glob(f"runs/*/{name}")]
    lists = [file for file in files if _is_of(file.parent, app)]
    folders = dict.fromkeys(file.parent for file in lists)
    videos = [video for folder in folders for video in injected(folder)]
    # runs of earlier versions have listed their inputs with the videos
    inputs = [address for folder in folders for address in listed_inputs(folder)]
    inputs += [video.made for video in videos if video.made]
    return Leftovers(tuple(lists), tuple(videos), tuple(dict.fromkeys(inputs)))


def clean_app(settings: Settings, app: AppFile, *, rows: bool, outputs: bool, ask: Callable[[str], bool]) -> str:
    """Remove what runs left in an app's systems. Return a text that says what was removed.

    With `rows`, remove rows and input files, and rename the lists of the runs, so that the next call does not find
    them. With `outputs`, remove output files. `ask` puts a question to the user. Raise UsageError if the answer is no,
    or if `rows` and `outputs` are both False.
    """
    if not rows and not outputs:
        remedy = "give ARGS=--rows, ARGS=--outputs or both"
        raise UsageError("clean", "with APP it removes only what runs made in the app's systems", remedy)
    left = leftovers(settings, app)
    files = outputs_of(app, left.videos) if outputs else []
    if not ask(_question(app, left if rows else Leftovers((), (), ()), files)):
        raise UsageError("clean", "it was not confirmed", "answer y, or give YES=1")
    removed = [f"{_remove_rows(settings, app, left)}"] if rows else []
    for file in files:
        file.unlink(missing_ok=True)
    return "; ".join([*removed, *([f"{len(files)} outputs"] if outputs else [])])


def outputs_of(app: AppFile, videos: Sequence[InjectedVideo]) -> list[Path]:
    """Return the paths of the output files that the app wrote for these videos.

    The files match the pattern `input.outputs` of aforo.toml. Raise UsageError if aforo.toml has no such pattern or no
    table of videos. Also raise UsageError if the pattern lacks the placeholder for a row's key.
    """
    pattern = app.input.outputs
    if pattern is None or app.videos is None:
        raise UsageError(app.place("input.outputs"), "it is missing", "say where the app writes its outputs")
    key = f"{{row.{app.videos.id}}}"
    if key not in pattern:
        why = "it does not contain the key of the row, so it may name files of others"
        raise UsageError(app.place("input.outputs"), why, f"use {key} in it", value=pattern)
    names = (pattern.replace(key, glob.escape(str(video.row))) for video in videos if video.row is not None)
    return [Path(path) for name in names for path in glob.glob(str(app.folder / name))]


def _question(app: AppFile, left: Leftovers, files: Sequence[Path]) -> str:
    rows = [video.row for video in left.videos if video.row is not None]
    parts = [f"{len(rows)} rows of {app.videos.table}"] if app.videos and rows else []
    parts += [f"{len(left.inputs)} inputs"] if left.inputs else []
    parts += [f"{len(files)} outputs, such as {files[0]}"] if files else []
    return f"remove {', '.join(parts) or 'nothing'}"


def _remove_rows(settings: Settings, app: AppFile, left: Leftovers) -> str:
    keys = [video.row for video in left.videos if video.row is not None]
    rows = VideosTable.open(app).delete(keys) if app.videos and keys else 0
    for address in left.inputs:
        _remove_input(settings, address)
    for file in left.lists:
        file.rename(file.with_name(f"{file.name}{CLEANED}"))
    return f"{rows} rows, {len(left.inputs)} inputs"


def _remove_input(settings: Settings, address: str) -> None:
    if not address.startswith("s3://"):
        Path(address).unlink(missing_ok=True)
        return
    bucket, _, key = address.removeprefix("s3://").partition("/")
    try:
        aws.client(settings, "s3").delete_object(Bucket=bucket, Key=key)
    except (ClientError, BotoCoreError) as error:
        raise aws_fault(error, "S3") from None


def _is_of(folder: Path, app: AppFile) -> bool:
    """Return True if the run of this folder sent videos to this app."""
    copies = folder.glob("*.toml")
    return any(copy.read_text(encoding="utf-8").startswith(header(app.name)) for copy in copies)


def asked(question: str, assume_yes: bool) -> bool:
    """Ask the user a yes-no question, and return True for yes.

    With `assume_yes`, return True without asking.
    """
    if assume_yes:
        return True
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        return False
