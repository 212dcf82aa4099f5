"""Entry point of `python -m local VERB`: start, stop and check Aforo's programs on this machine."""

from __future__ import annotations

import dataclasses
import os
import shutil
import sys
import time
from functools import partial
from pathlib import Path

import click

from core import cli
from core.errors import ExitCode, UsageError
from core.ffmpeg.profiles import PROFILES, profile_text
from core.queue_contract import Level
from core.settings import MOST_SLOTS, MOST_WORKERS, Settings
from core.slots_on_cores import many_slots_note, usable_cores
from local import app_doctor, app_worker, env_example, stack, supervisor
from local import doctor as checks
from local.app_cleaning import asked, clean_app
from local.app_file_wizard import write_app_file
from local.app_sending import send_one
from local.programs import STATE, Program, programs


@click.group()
def main() -> None:
    """Run every part of Aforo on this machine, on 127.0.0.1 only."""


@main.command(epilog="Example: CONCURRENCY=4 python -m local up")
@cli.env_option(
    "--concurrency",
    "CONCURRENCY",
    "Worker slots",
    unset="then AFORO_WORKER_CONCURRENCY",
    type=cli.WholeNumber(1, MOST_SLOTS),
    empty_is_value=True,
)
@cli.env_option(
    "--profile",
    "PROFILE",
    "Encoding of the videos",
    unset="then AFORO_WORKER_PROFILE",
    type=profile_text,
    metavar="NAME|PATH",
    empty_is_value=True,
)
@cli.env_option(
    "--workers", "WORKERS", "Workers of an app that `scale` starts", default=1, type=cli.WholeNumber(1, MOST_WORKERS)
)
def up(concurrency: int | None, profile: str | None, workers: int) -> None:
    """Start all programs that are not running yet, and wait until all programs are ready.

    If AFORO_APP_FILE is set, start the worker of that app in place of the reference worker.

    Exit codes: 0 all programs are ready, 2 wrong input, 3 a program or a port is not available.
    """
    settings = Settings.from_process()
    options = dataclasses.replace(worker_options(settings, concurrency, profile), workers=workers)
    app = settings.app
    if app is not None and app.worker.command and workers != 1:
        raise UsageError("WORKERS", "worker.command starts one worker", "use scale for several", value=workers)
    if app is None and (note := many_slots_note(options.concurrency, usable_cores())):
        click.echo(f"note: {note}", err=True)
    stack.up(settings, options)
    pages = [f"{p.name} {p.url}" for p in programs(settings) if p.name in {"prometheus", "grafana"}]
    whose = "a worker" if app is None else f"{workers} worker{'s' * (workers > 1)} of {app.name}"
    click.echo(" · ".join([f"up: {whose} with {options.concurrency} slots", *pages]))


@main.command(hidden=True)
def restore() -> None:
    """Run the shell command `worker.restore` of the app's aforo.toml, if there is one.

    The command brings the app's workers back to their state before the runs.
    """
    app = Settings.from_process().app
    if app is not None:
        app_worker.restore(app)


@main.command(epilog="Example: python -m local down")
def down() -> None:
    """Stop all programs, the worker first. Data and results stay.

    Exit codes: 0 all programs are stopped, 3 a program did not stop.
    """
    orphans = stack.down()
    click.echo(f"down; stopped {orphans} orphaned processes of an earlier stack" if orphans else "down")


@main.command(epilog="Example: python -m local status")
def status() -> None:
    """Show state, process id, uptime, number of crashes, and URL or port of each program.

    Exit codes: 0 shown, 2 a setting is invalid, 3 supervisord reports an error.
    """
    try:
        processes = supervisor.processes()
    except supervisor.Stopping:
        click.echo("stopping; `make down` waits until it has stopped")
        return
    if processes is None:
        click.echo("down; start it with `make up`")
        return
    click.echo(f"{'program':<16} {'state':<9} {'pid':>7} {'up':>9} {'crashes':>7}  page or port")
    for program in programs(Settings.from_process()):
        click.echo(_row(program, processes[program.name]))


@main.command(epilog="Example: python -m local logs prometheus --follow")
@click.argument("program", default="worker")
@click.option("--follow", "-f", is_flag=True, help="Print new lines as they come, until Ctrl-C.")
@click.option("--lines", "-n", type=cli.WholeNumber(1, 10**6), default=50, show_default=True, help="Number of lines.")
def logs(program: str, follow: bool, lines: int) -> None:
    """Print the end of the log of PROGRAM (default: worker).

    Exit codes: 0 printed, 2 there is no such log.
    """
    logs = {p.name: p.log for p in programs(Settings.from_process())}
    if program not in logs or not logs[program].exists():
        raise UsageError("log", "there is no log of that name", f"use one of {', '.join(logs)}", value=program)
    command = ["tail", "-n", str(lines), *(["-F"] if follow else []), str(logs[program])]
    # tail replaces this process, and so handles Ctrl-C and closed pipes itself
    os.execvp("tail", command)  # noqa: S606, S607


@main.command(epilog="Example: python -m local doctor")
@click.option("--send", is_flag=True, help="With an app: then send one small video from end to end.")
@cli.env_option("--user-id", "USER_ID", "User id of that video")
def doctor(send: bool, user_id: str | None) -> None:
    """Check what a run needs, and show a remedy for each problem.

    If AFORO_APP_FILE names an app's aforo.toml, check every line of this file instead. One check inserts the row of a
    video for the user USER_ID, and rolls the insertion back. With --send, start the stack with the app's workers after
    the checks, and send one small video to them. Nothing is started and sent if there is an error.

    Exit codes: 0 no error, 1 (with --send) the video is not done, 2 wrong input, 3 at least one error.
    """
    settings = Settings.from_process()
    app = settings.app
    if send and app is None:
        raise UsageError("doctor", "--send is for an app", "give APP=path/aforo.toml too")
    of_app = partial(app_doctor.findings, user_id=user_id, with_start=not send)
    levels = set()
    for finding in checks.findings(settings) if app is None else of_app(settings, app):
        levels.add(finding.level)
        click.echo(f"{finding.level:<6}{finding.subject}: {finding.line}")
    if Level.ERROR in levels:
        sys.exit(ExitCode.ENVIRONMENT)
    if send and app is not None:
        up.main([], standalone_mode=False)  # with CONCURRENCY and WORKERS, as the injector reads them
        send_one(settings, app, user_id)


@main.command(epilog="Example: python -m local clean --results")
@click.option("--results", is_flag=True, help="Remove results/ too: runs, table and report.")
@click.option("--videos", is_flag=True, help="Remove the videos of runs under UPLOAD_PATH too.")
@click.option("--rows", is_flag=True, help="With an app: remove the rows and inputs that its runs made, nothing else.")
@click.option("--outputs", is_flag=True, help="With an app: remove the outputs of its runs.")
@cli.env_option("--yes", "YES", "Do not ask before that", is_flag=True, metavar=None)
def clean(results: bool, videos: bool, rows: bool, outputs: bool, yes: bool) -> None:
    """Stop all programs, and remove the database, logs and metrics. Results and videos stay by default.

    With AFORO_APP_FILE, remove only what runs left in the app's systems.

    Exit codes: 0 removed, 2 wrong input, 3 a program, the database or the storage is not available.
    """
    settings = Settings.from_process()
    app = settings.app
    if app is not None:
        removed = clean_app(settings, app, rows=rows, outputs=outputs, ask=lambda question: asked(question, yes))
        click.echo(f"removed {removed}")
        return
    if rows or outputs:
        raise UsageError("clean", "--rows and --outputs are for an app", "give APP=path/aforo.toml too")
    stack.down()
    extra = [*([settings.results.path] if results else ()), *(video_folders(settings) if videos else ())]
    for folder in (STATE, *extra):
        shutil.rmtree(folder, ignore_errors=True)
    remaining = [settings.results.path] * (not results) + [settings.storage.path] * (not videos)
    click.echo("clean" + "".join(f"; {folder}/ is kept" for folder in remaining))


@main.command("app-file", epilog="Example: python -m local app-file path/of/your/app")
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
def app_file(folder: Path) -> None:
    """Ask five questions about your app, and write a first aforo.toml into FOLDER, the app's folder.

    Exit codes: 0 written, 2 FOLDER is missing or has an aforo.toml already, 3 the file cannot be written.
    """
    ask = lambda question, default: str(click.prompt(question, default=default, err=True))  # noqa: E731
    path = write_app_file(folder, ask)
    click.echo(f"{path}; check it with `make doctor APP={path}`")


@main.command("env-example")
def print_env_example() -> None:
    """Print the text of `.env.example`.

    Exit codes: 0 printed.
    """
    click.echo(env_example.render(), nl=False)


def video_folders(settings: Settings) -> list[Path]:
    """Return the folders of prepared inputs, of uploads and of outputs below UPLOAD_PATH.

    A folder that is not below UPLOAD_PATH is left out.
    """
    root = settings.storage.path.resolve()
    names = ("media", settings.storage.upload_prefix, settings.storage.processed_prefix)
    folders = [(root / name).resolve() for name in names]
    return [folder for folder in folders if folder != root and folder.is_relative_to(root)]


def worker_options(settings: Settings, concurrency: int | None, profile: str | None) -> stack.WorkerOptions:
    """Return the options of the worker: slots, name of a built-in profile, and threads of ffmpeg.

    `profile` is the name or the path of a profile. A path is replaced by the profile in AFORO_WORKER_PROFILE. If an
    argument is None, its value in `settings` is used.
    """
    slots = concurrency or settings.worker.concurrency
    # the worker reads a user's profile later, from the row of each run
    chosen = profile or settings.profile
    return stack.WorkerOptions(
        slots, chosen if chosen in PROFILES else settings.worker.profile, settings.worker.threads
    )


def _row(program: Program, process: supervisor.Process) -> str:
    uptime = f"{time.time() - process.started_at:.0f} s" if process.is_running else "-"
    where = program.url or f"port {program.port}"
    pid = process.pid or "-"
    return f"{program.name:<16} {process.state:<9} {pid:>7} {uptime:>9} {supervisor.restarts(program.name):>7}  {where}"


if __name__ == "__main__":
    cli.run(main, "python -m local")
