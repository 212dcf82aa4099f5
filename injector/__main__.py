"""`python -m injector`: send the videos of one run to the queue, all at once or over time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from core import cli, logs
from core.cli import WholeNumber, env_option
from core.errors import UsageError
from core.ffmpeg.encoding_check import require_encoding
from core.ffmpeg.profiles import PROFILES, find_profile
from core.load_shape import FORMS, parse_shape
from core.rate import parse_rate
from core.run import MOST_VIDEOS, POISSON, Mode, check_run_id
from core.seed_option import seed_option
from core.settings import MOST_SLOTS, MOST_WORKERS, Settings
from core.size_mix import DEFAULT_SEED, SizeMix, parse_sizes
from core.user_files import require_file, require_usable_folder
from injector.app_run import prepare_app_run
from injector.arrivals import arrivals_of_parts, poisson_arrivals, read_trace
from injector.injection import Injection, Request
from injector.monitor import follow
from injector.warm_up import warm_up
from injector.worker_fleet import read_fleet

DEFAULT_COUNT = 8
DEFAULT_SIZE = "50MB"
DEFAULT_RATE_PER_MINUTE = 10.0
LONGEST_USER_ID = 64
#: length of the column `runs.note`
LONGEST_NOTE = 256
MODES = tuple(mode.value for mode in Mode)

EXAMPLES = """\b
Examples:
  python -m injector --count 100 --size 50MB --mode burst --monitor
  python -m injector --count 50 --size 100MB --mode sustained --rate 10 \\
      --monitor
  python -m injector --count 8 --file /videos/mine.mp4
  python -m injector --count 240 --size 5MB --mode sustained --rate 20 \\
      --shape poisson --monitor
  python -m injector --count 24 --size 50MB:3+100MB:1 --monitor
  AFORO_APP_FILE=../proyecto/aforo.toml python -m injector --count 8 --monitor
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
@env_option(
    "--count",
    "COUNT",
    "Videos to inject",
    unset=f"default {DEFAULT_COUNT}",
    type=WholeNumber(1, MOST_VIDEOS),
    empty_is_value=True,
)
@env_option(
    "--size",
    "SIZE",
    "Size of each video, or a mix by weight such as 50MB:3+100MB:1",
    unset=f"default {DEFAULT_SIZE}",
    type=parse_sizes,
    empty_is_value=True,
)
@env_option(
    "--mode", "MODE", "Send all at once, or at RATE", default="burst", type=click.Choice(MODES), empty_is_value=True
)
@env_option(
    "--rate",
    "RATE",
    "Videos per minute of a sustained run",
    unset=f"default {DEFAULT_RATE_PER_MINUTE:g}",
    type=parse_rate,
)
@env_option("--shape", "SHAPE", f"Load shape of a sustained run: {FORMS}", unset="default equal intervals")
@seed_option
@env_option("--trace", "TRACE", "Send at the times in the first column of this CSV")
@env_option("--file", "FILE", "Your own video instead of SIZE: a path or s3://bucket/key", type=_file)
@env_option("--user-id", "USER_ID", "User id stored with the videos", type=_user_id)
@env_option(
    "--profile",
    "PROFILE",
    f"Encoding: {', '.join(PROFILES)} or the path of your own .toml",
    unset="then AFORO_WORKER_PROFILE",
    type=find_profile,
    metavar="NAME|PATH",
)
@env_option("--run-id", "RUN_ID", "Name of the run", unset="default mode, size, slots and time", type=check_run_id)
@env_option("--warmup", "WARMUP", "First process two videos per slot that are not measured", is_flag=True, metavar=None)
@env_option(
    "--concurrency",
    "CONCURRENCY",
    "Slots of each worker of an app",
    unset="then AFORO_WORKER_CONCURRENCY",
    type=WholeNumber(1, MOST_SLOTS),
)
@env_option("--workers", "WORKERS", "Workers of an app", default=1, type=WholeNumber(1, MOST_WORKERS))
@env_option("--yes", "YES", "Send to an app's queue without asking", is_flag=True, metavar=None)
@env_option("--note", "NOTE", "A remark stored with the run", default="", unset="default none", type=_note)
@click.option("--monitor", is_flag=True, help="Show live progress until every video has ended.")
@click.option("--check", is_flag=True, help="Check the options and inject nothing.")
def main(monitor: bool, check: bool, **options: Any) -> None:
    """Send the videos of one run to the queue, and record the run in the database.

    `python -m capacity` analyses the run afterwards.

    Exit codes: 0 all videos are sent, 1 the run failed, 2 wrong input, 3 a program or the queue is not available.
    """
    logs.configure("WARNING")
    settings = Settings.from_process()
    request = checked_request(settings, **options)
    if settings.app is None and settings.stack != "aws":
        require_encoding(request.profile)
    require_usable_folder("results folder", settings.results.path, "AFORO_RESULTS_PATH")
    if not check:
        _inject(settings, request, monitor)


def _inject(settings: Settings, request: Request, monitor: bool) -> None:
    if request.warmup:
        slots = None if settings.app is None else request.workers * request.concurrency
        warm_up(request, slots or read_fleet(settings).slots, lambda videos: _prepared(settings, videos), click.echo)
    injection = _prepared(settings, request)
    with injection.recorded():
        started = time.monotonic()
        log = injection.send()
        _print_sent(injection.run_id, request, time.monotonic() - started, log, injection.lateness_seconds())
        if monitor:
            stuck_seconds = injection.stuck_seconds()
            follow(injection.sessions, injection.run_id, injection.loss_watch(), stuck_seconds, settings.lang)


def _prepared(settings: Settings, request: Request) -> Injection:
    app = settings.app
    if app is None:
        return Injection.prepare(settings, request, click.echo)
    return prepare_app_run(settings, app, request, click.echo)


def _print_sent(run_id: str, request: Request, seconds: float, log: Path, late_seconds: float | None) -> None:
    late = "" if late_seconds is None else f", at most {max(0.0, late_seconds):.3f} s late"
    click.echo(f"run {run_id}: {request.count} tasks sent in {seconds:.1f} s{late}; ids in {log}")


def checked_request(settings: Settings, *, size: SizeMix | None, yes: bool, **options: Any) -> Request:
    """Check the command-line options of one injection and return them as a Request.

    Raise UsageError if two options contradict each other, or if one contradicts the settings.
    """
    mode, file = Mode(options.pop("mode")), options["file"]
    sizes = None if file else size or parse_sizes(DEFAULT_SIZE)
    is_mixed = sizes is not None and len(sizes.shares) > 1
    load = _load(mode, is_mixed, **{name: options.pop(name) for name in ("count", "rate", "shape", "seed", "trace")})
    app = settings.app
    if app is not None and options["profile"]:
        raise UsageError("PROFILE", "the encoding is the app's own", "leave it out with APP", value=options["profile"])
    if app is not None and file and file.startswith("s3://"):
        raise UsageError("FILE", "an app's input is placed from a local file", "give a path", value=file)
    if file and file.startswith("s3://") and settings.storage.backend != "s3":
        raise UsageError("FILE", "the storage is the filesystem", "set STORAGE_BACKEND=s3 or give a path", value=file)
    if file and size is not None:
        raise UsageError("SIZE", "FILE is given too, and has its own size", "leave one of them out", value=size.label)
    if sizes is not None:
        sizes.require_exact(load["count"])
    return Request(
        sizes=sizes,
        mode=mode,
        assume_yes=yes,
        **load,
        **{
            **options,
            "profile": options["profile"] or find_profile(settings.profile),
            "concurrency": options["concurrency"] or settings.worker.concurrency,
        },
    )


def _load(
    mode: Mode,
    is_mixed: bool,
    *,
    count: int | None,
    rate: float | None,
    shape: str | None,
    seed: int | None,
    trace: str | None,
) -> dict[str, Any]:
    """Return the fields of the request that say how many videos are sent, and when."""
    if seed is not None and shape != POISSON and not is_mixed:
        _refuse({"SEED": seed}, "only SHAPE=poisson and a mix of sizes are random", "leave it out")
    used = {"seed": DEFAULT_SEED if seed is None else seed} if is_mixed or shape == POISSON else {}
    if mode == Mode.BURST:
        given = {"RATE": rate, "SHAPE": shape, "TRACE": trace}
        _refuse(given, "a burst sends all at once", "leave it out or use MODE=sustained")
        return {"count": count or DEFAULT_COUNT, "rate_per_minute": None, **used}
    if trace is not None:
        given = {"RATE": rate, "SHAPE": shape, "COUNT": count}
        _refuse(given, "the trace gives the arrivals", "leave it out with TRACE")
        replayed = read_trace(Path(trace))
        arrivals, per_minute = replayed.arrivals, replayed.rate_per_minute
        times = {"count": len(arrivals), "rate_per_minute": per_minute, "shape": replayed.name, "arrivals": arrivals}
        return {**times, **used}
    return {**_shaped(count or DEFAULT_COUNT, rate, shape, used.get("seed", DEFAULT_SEED)), **used}


def _shaped(count: int, rate: float | None, shape: str | None, seed: int) -> dict[str, Any]:
    load = {"count": count, "rate_per_minute": rate or DEFAULT_RATE_PER_MINUTE}
    if shape is None:
        return load
    parsed = parse_shape(shape)
    if parsed.mean_rate_per_minute is None:
        return {**load, "shape": shape, "arrivals": poisson_arrivals(count, load["rate_per_minute"], seed)}
    _refuse({"RATE": rate}, "SHAPE gives the rates", "leave it out")
    arrivals = arrivals_of_parts(parsed.parts, count)
    return {**load, "rate_per_minute": parsed.mean_rate_per_minute, "shape": shape, "arrivals": arrivals}


def _refuse(given: dict[str, Any], why: str, remedy: str) -> None:
    """Raise UsageError for the first option that was given."""
    for name, value in given.items():
        if value is not None:
            raise UsageError(name, why, remedy, value=f"{value:g}" if isinstance(value, float) else value)


if __name__ == "__main__":
    cli.run(main, "python -m injector")
