"""Content of `aforo.toml` as checked dataclasses, one per section. Paths are absolute.

A field has the name and the meaning of its key in the file. docs/your-own-worker.md explains the keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.passwords import without_secrets


@dataclass(frozen=True)
class WorkerSection:
    """Section `[worker]` of aforo.toml: how to start the app's worker with a given number of slots.

    `command` starts the worker on this machine. For workers elsewhere, the shell command `scale` sets the numbers of
    workers and of slots per worker. One of `command` and `scale` is None. `app` is the name of the Celery app, as in
    Celery's option `-A`. The field `app` is used only if `command` has no such option.
    """

    directory: Path
    python: Path | None
    command: str | None
    app: str | None
    instrument: bool
    scale: str | None
    ready: str | None
    restore: str | None
    ready_seconds: int
    stop_seconds: int
    metrics: tuple[str, ...]

    @property
    def started_by(self) -> str:
        """Return `command` or `scale`, without secrets."""
        return without_secrets(self.command or self.scale or "")


@dataclass(frozen=True)
class StatusMapping:
    """Column of the app's table that holds a video's status, and the values that mean done and failed."""

    column: str
    done: tuple[Any, ...]
    failed: tuple[Any, ...]

    def is_done(self, value: Any) -> bool:
        """Return True if the status `value` means that the video was completed."""
        return value in self.done or str(value) in self.done

    def is_failed(self, value: Any) -> bool:
        """Return True if the status `value` means that the video failed."""
        return value in self.failed or str(value) in self.failed


@dataclass(frozen=True)
class VideosSection:
    """Section `[videos]` of aforo.toml: the app's own database table of videos, and its columns.

    `url` is the complete database URL, including a password. `insert` maps each column of a new row to its value.
    `insert` may be empty if the app has a `producer`, a script that inserts the rows.
    """

    url: str = field(repr=False)
    table: str
    id: str
    status: StatusMapping
    uploaded_at: str
    updated_at: str
    insert: Mapping[str, Any]
    times: str
    timezone: str


@dataclass(frozen=True)
class InputSection:
    """Section `[input]` of aforo.toml: where input videos are placed, and where the app writes outputs.

    `folder` is where inputs are placed: the path of a folder, or `s3://bucket/prefix`.
    """

    folder: str | None
    seen_by_worker_as: str | None
    per_video: str
    outputs: str | None

    @property
    def is_s3(self) -> bool:
        """Return True if the input videos are placed in an S3 bucket."""
        return bool(self.folder) and str(self.folder).startswith("s3://")


@dataclass(frozen=True)
class AppFile:
    """A checked `aforo.toml`: the description of an app under test.

    `environment` holds the variables of the app's `env_file`, including its secrets.
    """

    path: Path
    text: str = field(repr=False)
    name: str
    task: str
    queue: str
    worker: WorkerSection
    input: InputSection
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    headers: Mapping[str, Any]
    protocol: int
    priority: int | None
    version: str
    producer: Path | None
    env_file: Path | None
    environment: Mapping[str, str] = field(repr=False)
    videos: VideosSection | None
    #: line of each `section.key` in the file, for error messages
    lines: Mapping[str, int] = field(repr=False)

    @property
    def folder(self) -> Path:
        """Return the folder that contains the aforo.toml. Paths in the file are relative to this folder."""
        return self.path.parent

    @property
    def message(self) -> dict[str, Any]:
        """Return `args`, `kwargs` and `headers` of the task's message by these names, with their placeholders."""
        return {"args": self.args, "kwargs": self.kwargs, "headers": self.headers}

    @property
    def aws_variables(self) -> dict[str, str]:
        """Return the variables of the app's `env_file` whose names start with AWS_."""
        return {name: value for name, value in self.environment.items() if name.startswith("AWS_")}

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the text of the aforo.toml, in hex."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def redacted(self) -> str:
        """Return the text of the aforo.toml without its secrets, as `without_secrets` masks them."""
        return without_secrets(self.text)

    def place(self, key: str) -> str:
        """Return the beginning of an error message about `key`: the file name, the line, and `key` itself.

        `key` is a key of aforo.toml with its section, such as `worker.command`.
        """
        line = self.lines.get(key)
        return f"{self.path.name}{f', line {line}' if line else ''}: {key}"
