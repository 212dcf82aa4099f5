"""`python -m injector`: put a burst or a fixed rate of real videos on the queue."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import click

from core import cli, logs
from core.cli import EnvironmentOption
from core.errors import UsageError
from core.rate import parse_rate
from core.run import Mode, check_run_id
from core.settings import PROFILE_NAMES, Settings
from core.size import parse_size
from injector.injection import Injection, Request
from injector.monitor import follow, follow_own
from injector.own_run import OwnRun
from injector.own_task import PLACEHOLDERS, parse_own_task
from injector.own_videos import require_own_videos

MOST_VIDEOS = 1_000_000
#: what the column `runs.note` holds
LONGEST_NOTE = 256

EXAMPLES = """\b
Examples:
  python -m injector --count 100 --size 50MB --mode burst --monitor
  python -m injector --count 50 --size 100MB --mode sustained --rate 10 --monitor
  python -m injector --count 8 --file /videos/mine.mp4
  python -m injector --count 8 --task app.tasks.process_video \\
      --payload '{"video_id": "{video_id}", "path": "{path}"}'
"""


@click.command(epilog=EXAMPLES)
@click.option(
    "--count",
    cls=EnvironmentOption,
    envvar="COUNT",
    default="8",
    show_default=True,
    help="Videos to inject [env: COUNT].",
)
@click.option(
    "--size",
    cls=EnvironmentOption,
    envvar="SIZE",
    default="50MB",
    show_default=True,
    help="Size of a video [env: SIZE].",
)
@click.option(
    "--mode",
    cls=EnvironmentOption,
    envvar="MODE",
    default="burst",
    show_default=True,
    help="burst or sustained [env: MODE].",
)
@click.option(
    "--rate", cls=EnvironmentOption, envvar="RATE", help="Videos a minute, sustained only [env: RATE, default 10]."
)
@click.option(
    "--file",
    cls=EnvironmentOption,
    envvar="FILE",
    help="Your own video, a path or s3://bucket/key, instead of SIZE [env: FILE].",
)
@click.option("--user-id", cls=EnvironmentOption, envvar="USER_ID", help="Whom the videos belong to [env: USER_ID].")
@click.option(
    "--profile",
    cls=EnvironmentOption,
    envvar="PROFILE",
    help="full or showcase [env: PROFILE, then AFORO_WORKER_PROFILE].",
)
@click.option(
    "--run-id", cls=EnvironmentOption, envvar="RUN_ID", help="Name of the run; made when left out [env: RUN_ID]."
)
@click.option(
    "--task",
    cls=EnvironmentOption,
    envvar="TASK",
    help="Send a task of your own app instead of ours; our database stays out of it [env: TASK].",
)
@click.option(
    "--payload",
    cls=EnvironmentOption,
    envvar="PAYLOAD",
    help=f"Its keyword arguments, JSON with placeholders {', '.join(PLACEHOLDERS)} [env: PAYLOAD].",
)
@click.option("--note", default="", help="A remark kept with the run.")
@click.option("--monitor", is_flag=True, help="Show live progress until every video has ended.")
@click.option("--check", is_flag=True, help="Check the options and inject nothing.")
def main(monitor: bool, check: bool, **options: str | None) -> None:
    """Inject real videos and record the run; the analysis follows with `python -m capacity`."""
    logs.configure("WARNING")
    settings = Settings.from_process()
    request = parse_request(settings, **options)
    if check:
        return
    if request.own_task is not None:
        _inject_own(settings, request, monitor)
    else:
        _inject(settings, request, monitor)


def _inject(settings: Settings, request: Request, monitor: bool) -> None:
    injection = Injection.prepare(settings, request, click.echo)
    with injection.recorded():
        started = time.monotonic()
        log = injection.send()
        _tell_sent(injection.run_id, request, time.monotonic() - started, log, injection.lateness_seconds())
        if monitor:
            follow(injection.sessions, injection.run_id)


def _inject_own(settings: Settings, request: Request, monitor: bool) -> None:
    run = OwnRun.prepare(settings, request, click.echo)
    before = require_own_videos(settings) if monitor else None
    with run.recorded():
        started = time.monotonic()
        log = run.send()
        _tell_sent(run.run_id, request, time.monotonic() - started, log, run.lateness_seconds)
        if before is not None:
            follow_own(settings, request.count, before, started)


def _tell_sent(run_id: str, request: Request, seconds: float, log: Path, late_seconds: float | None) -> None:
    late = "" if late_seconds is None else f", at most {max(0.0, late_seconds):.3f} s late"
    click.echo(f"run {run_id}: {request.count} tasks sent in {seconds:.1f} s{late}; ids in {log}")


def parse_request(
    settings: Settings,
    count: str | None,
    size: str | None,
    mode: str | None,
    rate: str | None,
    file: str | None,
    user_id: str | None,
    profile: str | None,
    run_id: str | None,
    note: str | None,
    task: str | None = None,
    payload: str | None = None,
) -> Request:
    """Return the checked request; raise UsageError, in one line, for the first option that cannot be meant."""
    kind = _choice("MODE", mode or "", [m.value for m in Mode])
    if rate and kind == Mode.BURST:
        raise UsageError("RATE", "a burst has no rate", "leave it out or use MODE=sustained", value=rate)
    if payload and not task:
        raise UsageError("PAYLOAD", "it is for a task of your own", "give TASK too, or leave it out", value=payload)
    return Request(
        count=_count(count or ""),
        size_bytes=None if file else parse_size(size or ""),
        mode=Mode(kind),
        rate_per_minute=parse_rate(rate or "10") if kind == Mode.SUSTAINED else None,
        file=_file(settings, file) if file else None,
        user_id=_user(user_id) if user_id else None,
        profile=_choice("PROFILE", profile or settings.worker.profile, PROFILE_NAMES),
        run_id=check_run_id(run_id) if run_id else None,
        note=_note(note or ""),
        own_task=parse_own_task(task, payload or "") if task else None,
    )


def _choice(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise UsageError(name, "it is unknown", f"use {' or '.join(allowed)}", value=value)
    return value


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:9]) >= 1 and int(text) <= MOST_VIDEOS):
        raise UsageError(
            "COUNT", "it must be a whole number of videos", f"give 1 to {MOST_VIDEOS}, such as COUNT=24", value=text
        )
    return int(text)


def _file(settings: Settings, text: str) -> str:
    if text.startswith("s3://") and settings.storage.backend != "s3":
        raise UsageError("FILE", "the storage is the filesystem", "set STORAGE_BACKEND=s3 or give a path", value=text)
    if not text.startswith("s3://") and not Path(text).is_file():
        raise UsageError("FILE", "there is no such file", "give the path of a video", value=text)
    return text


def _user(text: str) -> str:
    if len(text) > 64 or not text.isprintable():
        raise UsageError("USER_ID", "it is too long or not printable", "give at most 64 characters", value=text)
    return text


def _note(text: str) -> str:
    if len(text) > LONGEST_NOTE:
        raise UsageError("note", "it is too long", f"give at most {LONGEST_NOTE} characters", value=text)
    return text


if __name__ == "__main__":
    cli.run(main, "python -m injector")
