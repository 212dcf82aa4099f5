"""`python -m injector`: send a burst of real videos to the queue, or videos at a fixed rate."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from core import cli, logs
from core.cli import WholeNumber, env_option
from core.errors import UsageError
from core.rate import parse_rate
from core.run import MOST_VIDEOS, Mode, check_run_id
from core.settings import PROFILE_NAMES, Settings
from core.size import parse_size, size_label
from core.user_files import require_file, require_usable_folder
from injector.injection import Injection, Request
from injector.monitor import follow, follow_own
from injector.own_run import OwnRun
from injector.own_task import PLACEHOLDERS, parse_own_task
from injector.own_videos import require_own_videos
from injector.warm_up import warm_up

DEFAULT_SIZE = "50MB"
DEFAULT_RATE_PER_MINUTE = 10.0
LONGEST_USER_ID = 64
#: length of the column `runs.note`
LONGEST_NOTE = 256
MODES = tuple(mode.value for mode in Mode)

EXAMPLES = """\b
Examples:
  python -m injector --count 100 --size 50MB --mode burst --monitor
  python -m injector --count 50 --size 100MB --mode sustained --rate 10 --monitor
  python -m injector --count 8 --file /videos/mine.mp4
  python -m injector --count 8 --task app.tasks.process_video \\
      --payload '{"video_id": "{video_id}", "path": "{path}"}'
"""


def _file(text: str) -> str:
    return text if text.startswith("s3://") else str(require_file("FILE", text, "give the path of a video"))


def _user_id(text: str) -> str:
    if len(text) > LONGEST_USER_ID or not text.isprintable():
        remedy = f"give at most {LONGEST_USER_ID} characters"
        raise UsageError("USER_ID", "it is too long or not printable", remedy, value=text)
    return text


def _note(text: str) -> str:
    if len(text) > LONGEST_NOTE:
        raise UsageError("note", "it is too long", f"give at most {LONGEST_NOTE} characters", value=text)
    return text


@click.command(epilog=EXAMPLES)
@env_option("--count", "COUNT", "Videos to inject", default=8, type=WholeNumber(1, MOST_VIDEOS), empty_is_value=True)
@env_option(
    "--size", "SIZE", "Size of each video", unset=f"default {DEFAULT_SIZE}", type=parse_size, empty_is_value=True
)
@env_option(
    "--mode", "MODE", "Send all at once, or at RATE", default="burst", type=click.Choice(MODES), empty_is_value=True
)
@env_option("--rate", "RATE", "Videos per minute of a sustained run", unset="default 10", type=parse_rate)
@env_option("--file", "FILE", "Your own video instead of SIZE: a path or s3://bucket/key", type=_file)
@env_option("--user-id", "USER_ID", "User id stored with the videos", type=_user_id)
@env_option(
    "--profile", "PROFILE", "What the worker does", unset="then AFORO_WORKER_PROFILE", type=click.Choice(PROFILE_NAMES)
)
@env_option("--run-id", "RUN_ID", "Name of the run", unset="default mode, size, slots and time", type=check_run_id)
@env_option("--warmup", "WARMUP", "First process two videos per slot that are not measured", is_flag=True, metavar=None)
@env_option("--task", "TASK", "Task of your own app to send instead of ours; our database is not used")
@env_option("--payload", "PAYLOAD", f"Its keyword arguments, JSON with placeholders {', '.join(PLACEHOLDERS)}")
@click.option("--note", default="", type=_note, metavar="TEXT", help="A remark stored with the run.")
@click.option("--monitor", is_flag=True, help="Show live progress until every video has ended.")
@click.option("--check", is_flag=True, help="Check the options and inject nothing.")
def main(monitor: bool, check: bool, **options: Any) -> None:
    """Inject real videos and record the run. `python -m capacity` analyses the run afterwards."""
    logs.configure("WARNING")
    settings = Settings.from_process()
    request = checked_request(settings, **options)
    require_usable_folder("results folder", settings.results.path, "AFORO_RESULTS_PATH")
    if check:
        return
    if request.own_task is not None:
        _inject_own(settings, request, monitor)
    else:
        _inject(settings, request, monitor)


def _inject(settings: Settings, request: Request, monitor: bool) -> None:
    if request.warmup:
        warm_up(settings, request, click.echo)
    injection = Injection.prepare(settings, request, click.echo)
    with injection.recorded():
        started = time.monotonic()
        log = injection.send()
        _print_sent(injection.run_id, request, time.monotonic() - started, log, injection.lateness_seconds())
        if monitor:
            follow(injection.sessions, injection.run_id)


def _inject_own(settings: Settings, request: Request, monitor: bool) -> None:
    run = OwnRun.prepare(settings, request, click.echo)
    before = require_own_videos(settings) if monitor else None
    with run.recorded():
        started = time.monotonic()
        log = run.send()
        _print_sent(run.run_id, request, time.monotonic() - started, log, run.lateness_seconds)
        if before is not None:
            follow_own(settings, request.count, before, started)


def _print_sent(run_id: str, request: Request, seconds: float, log: Path, late_seconds: float | None) -> None:
    late = "" if late_seconds is None else f", at most {max(0.0, late_seconds):.3f} s late"
    click.echo(f"run {run_id}: {request.count} tasks sent in {seconds:.1f} s{late}; ids in {log}")


def checked_request(
    settings: Settings, *, size: int | None, rate: float | None, task: str | None, payload: str | None, **options: Any
) -> Request:
    """Return the request.

    Raise UsageError for options that contradict each other or the settings.
    """
    mode, file = Mode(options.pop("mode")), options["file"]
    if rate and mode == Mode.BURST:
        raise UsageError("RATE", "a burst has no rate", "leave it out or use MODE=sustained", value=f"{rate:g}")
    if payload and not task:
        raise UsageError("PAYLOAD", "it is for a task of your own", "give TASK too, or leave it out", value=payload)
    if task and options["warmup"]:
        remedy = "leave it out, or send a run before"
        raise UsageError("WARMUP", "the videos of a task of your own are not followed", remedy, value=task)
    if file and file.startswith("s3://") and settings.storage.backend != "s3":
        raise UsageError("FILE", "the storage is the filesystem", "set STORAGE_BACKEND=s3 or give a path", value=file)
    if file and size is not None:
        why = "FILE is given too, and has its own size"
        raise UsageError("SIZE", why, "leave one of them out", value=size_label(size))
    return Request(
        size_bytes=None if file else size or parse_size(DEFAULT_SIZE),
        mode=mode,
        rate_per_minute=rate or DEFAULT_RATE_PER_MINUTE if mode == Mode.SUSTAINED else None,
        own_task=parse_own_task(task, payload or "") if task else None,
        **{**options, "profile": options["profile"] or settings.profile},
    )


if __name__ == "__main__":
    cli.run(main, "python -m injector")
