"""Sections of `aforo.toml` as checked records. Paths are absolute."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_PASSWORD = re.compile(r"(?<=://)([^:/@\s\"']*):[^@/\s\"']+@")


@dataclass(frozen=True)
class WorkerSection:
    """How the worker is started: by `command` under our supervision, or elsewhere by `scale`."""

    directory: Path
    python: Path | None
    command: str | None
    instrument: bool
    scale: str | None
    ready: str | None
    restore: str | None
    ready_seconds: int
    stop_seconds: int
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class StatusMapping:
    """Column with a video's status, and its values that are final."""

    column: str
    done: tuple[Any, ...]
    failed: tuple[Any, ...]

    def is_done(self, value: Any) -> bool:
        """Return True if `value` means a completed video."""
        return value in self.done or str(value) in self.done

    def is_failed(self, value: Any) -> bool:
        """Return True if `value` means a failed video."""
        return value in self.failed or str(value) in self.failed


@dataclass(frozen=True)
class VideosSection:
    """The app's own table of videos. `url` is resolved, so it may hold a password."""

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
    """Where the input videos are placed. `folder` is a path or an `s3://bucket/prefix`."""

    folder: str | None
    seen_by_worker_as: str | None
    per_video: str
    outputs: str | None

    @property
    def is_s3(self) -> bool:
        """Return True if the input goes to a bucket."""
        return bool(self.folder) and str(self.folder).startswith("s3://")


@dataclass(frozen=True)
class AppFile:
    """A checked `aforo.toml`. `environment` holds the variables of `env_file`, with the app's secrets."""

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
        """Return the folder of the file, to which its paths are relative."""
        return self.path.parent

    @property
    def aws_variables(self) -> dict[str, str]:
        """Return the AWS variables of `env_file`."""
        return {name: value for name, value in self.environment.items() if name.startswith("AWS_")}

    @property
    def sha256(self) -> str:
        """Return the digest of the file's text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def redacted(self) -> str:
        """Return the file's text without the passwords in its URLs."""
        return _PASSWORD.sub(r"\1:***@", self.text)

    def place(self, key: str) -> str:
        """Return file and line of `section.key`, for an error message."""
        line = self.lines.get(key)
        return f"{self.path.name}{f', line {line}' if line else ''}: {key}"
