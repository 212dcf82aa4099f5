"""`python -m local up|down|status|logs|doctor|clean`: the native stack on this machine."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

import click

from core import cli
from core.errors import ExitCode, UsageError
from core.queue_contract import Level
from core.settings import MOST_SLOTS, PROFILE_NAMES, Settings
from local import doctor as checks
from local import env_example, stack, supervisor
from local.programs import STATE, Program, programs
from provision.resources import make_resources


@click.group()
def main() -> None:
    """Run every part of Aforo on this machine, on 127.0.0.1 only."""


@main.command(epilog="Example: CONCURRENCY=4 python -m local up")
@click.option(
    "--concurrency",
    cls=cli.EnvironmentOption,
    envvar="CONCURRENCY",
    help="Worker slots [env: CONCURRENCY, then AFORO_WORKER_CONCURRENCY, default 2].",
)
@click.option(
    "--profile",
    cls=cli.EnvironmentOption,
    envvar="PROFILE",
    help="full or showcase [env: PROFILE, then AFORO_WORKER_PROFILE, default full].",
)
def up(concurrency: str | None, profile: str | None) -> None:
    """Start what is down, give the worker its slots, and wait until Prometheus sees every part."""
    settings = Settings.from_process()
    options = worker_options(settings, concurrency, profile)
    stack.up(settings, options)
    pages = [f"{p.name} {p.url}" for p in programs(settings) if p.name in {"prometheus", "grafana"}]
    click.echo(" · ".join([f"up: a worker with {options.concurrency} slots", *pages]))


@main.command()
def down() -> None:
    """Stop everything, the worker first; data and results stay."""
    ended = stack.down(Settings.from_process())
    click.echo(f"down; {ended} processes had lost their supervisord" if ended else "down")


@main.command()
def status() -> None:
    """Show every program: state, process, uptime, deaths since the start, page."""
    try:
        found = supervisor.processes()
    except supervisor.Stopping:
        click.echo("stopping; `make down` waits for its end")
        return
    if found is None:
        click.echo("down; start it with `make up`")
        return
    click.echo(f"{'program':<16} {'state':<9} {'pid':>7} {'up':>9} {'deaths':>6}  page or port")
    for program in programs(Settings.from_process()):
        click.echo(_row(program, found[program.name]))


@main.command()
@click.argument("program", default="worker")
@click.option("--follow", "-f", is_flag=True, help="Go on as lines come; Ctrl-C ends it.")
@click.option("--lines", "-n", type=click.IntRange(1), default=50, show_default=True)
def logs(program: str, follow: bool, lines: int) -> None:
    """Show the last lines of PROGRAM's log (default: the worker's)."""
    known = {p.name: p.log for p in programs(Settings.from_process())}
    if program not in known or not known[program].exists():
        raise UsageError("log", "there is none of that name", f"use one of {', '.join(known)}", value=program)
    command = ["tail", "-n", str(lines), *(["-F"] if follow else []), str(known[program])]
    # tail takes over, so that Ctrl-C and closed pipes are its own business
    os.execvp("tail", command)  # noqa: S606, S607


@main.command()
def doctor() -> None:
    """Look at everything a run needs and say what to do about what is wrong; exit code 3 when something is."""
    settings, is_well = Settings.from_process(), True
    for finding in checks.findings(settings):
        is_well = is_well and finding.level is not Level.ERROR
        click.echo(f"{finding.level:<6}{finding.subject}: {finding.detail}")
    sys.exit(ExitCode.DONE if is_well else ExitCode.ENVIRONMENT)


@main.command()
@click.option("--results", is_flag=True, help="Remove results/ too: runs, table and report.")
@click.option("--videos", is_flag=True, help="Remove what runs left under UPLOAD_PATH too: made, stored and processed.")
def clean(results: bool, videos: bool) -> None:
    """Stop everything and remove its data (database, logs, metrics); results and videos stay unless asked."""
    settings = Settings.from_process()
    stack.down(settings)
    asked = [*([settings.results.path] if results else ()), *(video_folders(settings) if videos else ())]
    for folder in (STATE, *asked):
        shutil.rmtree(folder, ignore_errors=True)
    kept = [settings.results.path] * (not results) + [settings.storage.path] * (not videos)
    click.echo("clean" + "".join(f"; {folder}/ is kept" for folder in kept))


@main.command()
def resources() -> None:
    """Make the queue, the bucket and the tables where they are missing; on real AWS look for the queue."""
    make_resources(Settings.from_process())


@main.command("env-example")
def print_env_example() -> None:
    """Print `.env.example` as the settings are declared now."""
    click.echo(env_example.render(), nl=False)


def video_folders(settings: Settings) -> list[Path]:
    """Return the folders that runs fill under UPLOAD_PATH; a prefix that leads elsewhere is left alone."""
    root = settings.storage.path.resolve()
    names = ("media", settings.storage.upload_prefix, settings.storage.processed_prefix)
    folders = [(root / name).resolve() for name in names]
    return [folder for folder in folders if folder != root and folder.is_relative_to(root)]


def worker_options(settings: Settings, concurrency: str | None, profile: str | None) -> stack.WorkerOptions:
    """Return the worker's options: what was given, even if empty, else the setting; raise UsageError for nonsense."""
    slots = str(settings.worker.concurrency) if concurrency is None else concurrency
    if not (slots.isascii() and slots.isdigit() and 1 <= int(slots[:9]) <= MOST_SLOTS):
        raise UsageError("CONCURRENCY", "it must be a whole number of slots", f"give 1 to {MOST_SLOTS}", value=slots)
    kind = settings.worker.profile if profile is None else profile
    if kind not in PROFILE_NAMES:
        raise UsageError("PROFILE", "it is unknown", f"use {' or '.join(PROFILE_NAMES)}", value=kind)
    return stack.WorkerOptions(int(slots), kind, settings.worker.threads)


def _row(program: Program, process: supervisor.Process) -> str:
    uptime = f"{time.time() - process.started_at:.0f} s" if process.is_running else "-"
    where = program.url or f"port {program.port}"
    pid = process.pid or "-"
    return f"{program.name:<16} {process.state:<9} {pid:>7} {uptime:>9} {supervisor.restarts(program.name):>6}  {where}"


if __name__ == "__main__":
    cli.run(main, "python -m local")
