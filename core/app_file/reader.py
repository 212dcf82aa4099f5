"""Reader of `aforo.toml`. The error for an invalid line names line, key, value and what is allowed."""

from __future__ import annotations

import functools
import os
import pwd
import stat
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dotenv import dotenv_values

from core.app_file import values
from core.app_file.lines import key_lines
from core.app_file.placeholders import ALLOWED, is_known, placeholders
from core.app_file.sections import AppFile, InputSection, StatusMapping, VideosSection, WorkerSection
from core.errors import EnvironmentFault, UsageError

Check = Callable[[Any], Any]
REQUIRED = object()
MISSING = ("it is missing", "add the line; docs/your-own-worker.md has an example")


@functools.cache
def read_app_file(path: Path) -> AppFile:
    """Read and check the `aforo.toml` at `path`.

    Raise UsageError if there is no such file, and for its first invalid line. Raise EnvironmentFault if the file cannot
    be read, or if other users may have written it or may replace it. A later call with the same path returns the same
    object, and does not read the file again.
    """
    path = path.expanduser().absolute()
    _require_safe(path)
    text = _read(path)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError("AFORO_APP_FILE", f"it is not TOML: {error}", "correct that line", value=path) from None
    return _Reader(path, text, content, key_lines(text)).app_file()


@dataclass(frozen=True)
class _Key:
    """One key of a section: its check, and its default. A REQUIRED key has no default."""

    check: Check
    default: Any = None


APP_KEYS = {
    "name": _Key(values.name, REQUIRED),
    "task": _Key(values.task_name, REQUIRED),
    "args": _Key(values.array, ()),
    "kwargs": _Key(values.table, {}),
    "headers": _Key(values.table, {}),
    "protocol": _Key(values.one_of(1, 2), 2),
    "priority": _Key(values.whole(0, 255)),
    "queue": _Key(values.queue_name, REQUIRED),
    "version": _Key(values.text, "git"),
    "producer": _Key(values.text),
    "env_file": _Key(values.text),
}
WORKER_KEYS = {
    "directory": _Key(values.text, "."),
    "python": _Key(values.text),
    "command": _Key(values.command),
    "app": _Key(values.text),
    "instrument": _Key(values.boolean, True),
    "scale": _Key(values.shell_line),
    "ready": _Key(values.shell_line),
    "restore": _Key(values.shell_line),
    "ready_seconds": _Key(values.whole(1, 3600), 120),
    "stop_seconds": _Key(values.whole(1, 43200), 1800),
    "metrics": _Key(values.targets, ()),
}
VIDEOS_KEYS = {
    "url": _Key(values.text, REQUIRED),
    "url_from_here": _Key(values.text),
    "table": _Key(values.table_name, REQUIRED),
    "id": _Key(values.text, "id"),
    "status": _Key(values.status, REQUIRED),
    "uploaded_at": _Key(values.text, REQUIRED),
    "updated_at": _Key(values.text, REQUIRED),
    "times": _Key(values.one_of("timestamp", "epoch", "epoch_ms"), "timestamp"),
    "timezone": _Key(values.time_zone, "UTC"),
    "insert": _Key(values.filled_table, {}),
}
INPUT_KEYS = {
    "folder": _Key(values.text),
    "seen_by_worker_as": _Key(values.text),
    "per_video": _Key(values.one_of("shared", "copy", "link"), "shared"),
    "outputs": _Key(values.text),
}
SECTIONS = {"app": APP_KEYS, "worker": WORKER_KEYS, "videos": VIDEOS_KEYS, "input": INPUT_KEYS}


@dataclass(frozen=True)
class _Reader:
    path: Path
    text: str
    content: Mapping[str, Any]
    lines: Mapping[str, int]

    def app_file(self) -> AppFile:
        for name in self.content:
            if name not in SECTIONS:
                self._refuse(name, "it is unknown", f"use the sections {', '.join(SECTIONS)}")
        app, worker, source = (self._section(name) for name in ("app", "worker", "input"))
        env_file = self._existing(app.pop("env_file"), "app.env_file")
        environment = _variables(env_file)
        producer = self._existing(app.pop("producer"), "app.producer")
        section = self._worker(worker)
        videos = self._videos(environment, section.directory, producer) if "videos" in self.content else None
        self._check_placeholders(app, "app.args", "app.kwargs", "app.headers", with_row=videos is not None)
        return AppFile(
            path=self.path,
            text=self.text,
            worker=section,
            input=self._input(source),
            videos=videos,
            env_file=env_file,
            environment=environment,
            producer=producer,
            lines=self.lines,
            **app | {"args": tuple(app["args"])},
        )

    def _section(self, name: str) -> dict[str, Any]:
        """Return the checked values of a section by key."""
        keys, given = SECTIONS[name], self.content.get(name, {})
        if not isinstance(given, Mapping):
            self._refuse(name, "it is not a section", f"write [{name}] on a line of its own", given)
        for key in given:
            if key not in keys:
                self._refuse(f"{name}.{key}", "it is unknown", f"use {', '.join(keys)}", given[key])
        return {key: self._value(f"{name}.{key}", given.get(key, REQUIRED), spec) for key, spec in keys.items()}

    def _value(self, place: str, given: Any, spec: _Key) -> Any:
        if given is REQUIRED:
            if spec.default is REQUIRED:
                self._refuse(place, *MISSING)
            return spec.default
        try:
            return spec.check(given)
        except ValueError as error:
            self._refuse(place, f"it must be {error}", "correct that line", given)

    def _worker(self, worker: dict[str, Any]) -> WorkerSection:
        directory = self._resolved(worker.pop("directory"))
        if not directory.is_dir():
            self._refuse("worker.directory", "there is no such folder", "give the app's folder", directory)
        if worker["command"] and worker["scale"]:
            self._refuse("worker.scale", "the worker has a command too", "keep one of both", worker["scale"])
        if not worker["command"] and not worker["scale"]:
            self._refuse("worker.command", "it is missing", "say how the worker is started, or give scale")
        python = worker.pop("python")
        if worker["command"] and python is None:
            self._refuse("worker.python", "it is missing", "give the interpreter of the worker's environment")
        if worker["restore"] and worker["command"]:
            self._refuse("worker.restore", "a command is stopped by us", "leave it out", worker["restore"])
        return WorkerSection(directory, python=self._python(python, directory), **worker)

    def _python(self, python: str | None, directory: Path) -> Path | None:
        if python is None:
            return None
        path = (directory / Path(python).expanduser()).absolute()  # not resolved: .venv/bin/python is a link
        if not os.access(path, os.X_OK):
            self._refuse("worker.python", "there is no such program", "give the path from worker.directory", path)
        return path

    def _videos(self, environment: Mapping[str, str], directory: Path, producer: Path | None) -> VideosSection:
        given = self._section("videos")
        if not given["insert"] and producer is None:
            self._refuse("videos.insert", *MISSING)
        self._check_placeholders(given, "videos.insert", with_row=False)
        url, from_here = given.pop("url"), given.pop("url_from_here")
        try:
            url = values.database_url(url, from_here, environment, directory)
        except ValueError as error:
            self._refuse("videos.url", str(error), "correct that line", None if "://" in url else url)
        status = given.pop("status")
        return VideosSection(url=url, status=StatusMapping(**status), **given)

    def _input(self, given: dict[str, Any]) -> InputSection:
        folder = given.pop("folder")
        if folder is None and given["seen_by_worker_as"]:
            self._refuse("input.seen_by_worker_as", "there is no input.folder", "give the folder on this side too")
        section = InputSection(folder, **given)
        if section.is_s3 and section.per_video == "link":
            self._refuse("input.per_video", "S3 has no links", "use copy or shared", "link")
        if section.is_s3 or folder is None:
            return section
        return InputSection(str(self._resolved(folder)), **given)

    def _check_placeholders(self, section: Mapping[str, Any], *places: str, with_row: bool) -> None:
        for place in places:
            for name in placeholders(section[place.split(".")[1]]):
                if not is_known(name, with_row=with_row):
                    why = "there is no [videos] row" if name.startswith("row.") else "there is no such placeholder"
                    self._refuse(place, why, f"use {ALLOWED}", f"{{{name}}}")

    def _existing(self, name: str | None, place: str) -> Path | None:
        if name is None:
            return None
        path = self._resolved(name)
        if not path.is_file():
            self._refuse(place, "there is no such file", "correct that line", path)
        if _others_may_write(facts := path.stat()):
            remedy = f"{_closing(facts, path.name)}, after reading it"
            raise EnvironmentFault(self._where(place), "other users may have written it", remedy, value=path)
        return path

    def _resolved(self, name: str) -> Path:
        return Path(os.path.normpath(self.path.parent / Path(name).expanduser()))

    def _refuse(self, place: str, why: str, remedy: str, value: Any = None) -> None:
        raise UsageError(self._where(place), why, remedy, value=value)

    def _where(self, place: str) -> str:
        line = self.lines.get(place) or self.lines.get(place.split(".", maxsplit=1)[0])
        return f"{self.path.name}{f', line {line}' if line else ''}, {place}"


def _require_safe(path: Path) -> None:
    """Raise an error if other users can have written the file or may replace it, because it runs commands.

    Members of the file's group count as trusted.
    """
    try:
        facts = path.stat()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise UsageError(
            "APP", why, "give the path of an aforo.toml, or write one: make app-file", value=path
        ) from None
    if not stat.S_ISREG(facts.st_mode):
        raise UsageError("APP", "it is not a file", "give the path of an aforo.toml", value=path)
    if facts.st_uid not in {0, os.getuid()}:
        why = f"{_owner(facts)}, its owner, may change it"
        remedy = "copy it to a folder of yours and correct its relative paths, after reading it: it runs commands"
        raise EnvironmentFault("APP", why, remedy, value=path)
    if _others_may_write(facts):
        remedy = f"{_closing(facts, path.name)}, after reading it: it runs commands"
        raise EnvironmentFault("APP", "other users may have written it", remedy, value=path)
    if _others_may_write(folder := path.parent.stat()):
        remedy = f"{_closing(folder, path.parent)}, after reading the file: it runs commands"
        raise EnvironmentFault("APP", "other users may replace it in its folder", remedy, value=path)


def _closing(facts: os.stat_result, name: str | Path) -> str:
    """Return how a file or folder is closed to other users. Only its owner and root may change its mode."""
    command = f"chmod o-w {name}"
    return command if os.getuid() in {0, facts.st_uid} else f"ask {_owner(facts)}, its owner, for {command}"


def _owner(facts: os.stat_result) -> str:
    try:
        return f"user {pwd.getpwuid(facts.st_uid).pw_name}"
    except KeyError:
        return f"user {facts.st_uid}"


def _others_may_write(facts: os.stat_result) -> bool:
    """Return True if users outside of its group may write this file, or add and replace files in this folder.

    In a folder with the sticky bit, such as /tmp, they may not replace the files of others.
    """
    is_sticky = stat.S_ISDIR(facts.st_mode) and facts.st_mode & stat.S_ISVTX
    return bool(facts.st_mode & stat.S_IWOTH) and not is_sticky


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise EnvironmentFault("APP", why, "give a readable aforo.toml", value=path) from None


def _variables(env_file: Path | None) -> dict[str, str]:
    if env_file is None:
        return {}
    return {k: v for k, v in dotenv_values(env_file, encoding="utf-8-sig").items() if v is not None}
