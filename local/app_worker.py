"""Start an app's worker as its aforo.toml says: by `worker.command` or by `worker.scale`.

`worker.command` starts one worker under supervisord. `worker.scale` is a shell command that starts workers elsewhere.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import click

from core.app_file import AppFile
from core.app_file.child_environment import child_environment, run_as_worker
from core.app_file.values import substituted
from core.errors import EnvironmentFault, first_line
from core.passwords import without_secrets
from core.settings import Settings
from core.worker_conditions import app_slots
from local import configuration, readiness, supervisor
from local.app_command import words_of
from local.programs import STATE

LOG = STATE / "log" / "worker.log"
POLL_SECONDS = 0.5
#: fails too where a package that measuring needs is missing
IMPORT = "import aforo, aforo.telemetry.instrument; print(aforo.__version__)"
#: A worker whose log does not say that it is ready counts as ready after this time.
QUIET_START_SECONDS = 10.0
STOP_MARGIN_SECONDS = 40.0
#: SQS's largest WaitTimeSeconds. kombu leaves the last poll of a worker open. A message that this poll gets comes back
#: only when its visibility timeout ends.
LAST_POLL_SECONDS = 20.0
#: file with the time at which a worker of an app was last stopped here, in epoch seconds
STOPPED_AT = STATE / "run" / "app_worker_stopped_at"
#: What changes the worker: its code and its settings.
SOURCES = frozenset({".py", ".toml", ".cfg", ".ini", ".yml", ".yaml", ".env"})


def run_app_worker(settings: Settings, app: AppFile, concurrency: int, workers: int) -> None:
    """Start the app's workers with `concurrency` slots each, and wait until they receive messages.

    With `worker.command` in aforo.toml, one worker starts, unless it runs already with the same slots and unchanged
    files. With `worker.scale`, this shell command starts `workers` workers. After a worker was stopped, wait up to 20 s
    more, because its last poll could still take a message. Raise EnvironmentFault if a worker ends, or is not ready
    after `worker.ready_seconds`.
    """
    if app.worker.command is None:
        _scale(settings, app, concurrency, workers)
    else:
        _run_command(settings, app, concurrency)


def restore(app: AppFile) -> None:
    """Run the shell command `worker.restore` of the app's aforo.toml, if there is one.

    After our runs, this command brings the app's workers back to their usual state.
    """
    if app.worker.restore is not None:
        _run_line(app, "worker.restore", app.worker.restore)


def require_aforo(app: AppFile) -> str:
    """Return the version of the package `aforo` that is installed for the app's worker.

    Raise EnvironmentFault if the Python of the worker (`worker.python`) cannot import the package.
    """
    answer = run_as_worker(app, [str(app.worker.python), "-c", IMPORT])
    if answer.returncode != 0:
        remedy = f"run `make wheel` and {app.worker.python} -m pip install dist/aforo-*.whl, or set instrument = false"
        last = (answer.stderr.strip().splitlines() or ["without a message"])[-1]
        why = f"aforo is not installed there: {first_line(last)}"
        raise EnvironmentFault(app.place("worker.instrument"), why, remedy, value=app.worker.python)
    return answer.stdout.strip()


def _run_command(settings: Settings, app: AppFile, concurrency: int) -> None:
    words = words_of(app, concurrency)
    if app.worker.instrument:
        require_aforo(app)
    text = configuration.app_worker_options(app, concurrency)
    file = configuration.WORKER_OPTIONS
    process = (supervisor.processes() or {}).get("worker")
    is_running = process is not None and process.is_running
    has_changed = not file.exists() or file.read_text() != text
    if is_running and process and (has_changed or changed_since(app, process.started_at)):
        click.echo("stopping the worker", err=True)
        supervisor.stop("worker")
        is_running = False
    if not is_running:
        stop_seconds = app.worker.stop_seconds + STOP_MARGIN_SECONDS
        readiness.until(lambda: not _is_alive(), "the end of the worker", stop_seconds, LOG)
        if process is not None and process.started_at > 0:
            record_stop()
        file.write_text(text)
        click.echo(f"starting the worker in {app.worker.directory}: {' '.join(words)}", err=True)
        start = LOG.stat().st_size if LOG.exists() else 0
        supervisor.start("worker")
        _wait(settings, app, concurrency, 1, start)
    _wait_for_last_poll(_stopped_at())


def _scale(settings: Settings, app: AppFile, concurrency: int, workers: int) -> None:
    start = LOG.stat().st_size if LOG.exists() else 0
    earlier = app_slots(settings, app) if app.worker.instrument else []
    _run_line(app, "worker.scale", substituted(str(app.worker.scale), concurrency, workers))
    _wait(settings, app, concurrency, workers, start)
    if earlier != [concurrency] * workers:  # others ran before, or it is unknown which
        _wait_for_last_poll(time.time())


def record_stop() -> None:
    """Store that a worker of an app has just ended, so that the next start waits for its last poll."""
    STOPPED_AT.parent.mkdir(parents=True, exist_ok=True)
    STOPPED_AT.write_text(str(time.time()))


def _stopped_at() -> float:
    """Return when a worker of an app was last stopped here, in epoch seconds, or 0 if none was."""
    try:
        return float(STOPPED_AT.read_text())
    except (FileNotFoundError, ValueError):
        return 0.0


def _wait_for_last_poll(ended_at: float) -> None:
    """Wait until SQS has answered the last poll of a worker that ended at `ended_at`, in epoch seconds."""
    seconds = min(ended_at + LAST_POLL_SECONDS - time.time(), LAST_POLL_SECONDS)  # the clock may be set back
    if seconds > 0:
        click.echo(f"waiting {seconds:.0f} s: the last poll of the ended worker could take a message", err=True)
        time.sleep(seconds)


def _run_line(app: AppFile, key: str, line: str) -> None:
    """Run one shell line of the file in the file's folder.

    Raise EnvironmentFault with its last output if it fails.
    """
    click.echo(f"{key}: {without_secrets(line)}", err=True)
    environment = child_environment(app, {"AFORO_STOP_SECONDS": str(app.worker.stop_seconds)})
    ended = subprocess.run(
        ["/bin/sh", "-c", line],  # aforo.toml is code, like a Makefile
        cwd=app.folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ended.returncode != 0:
        last = first_line((ended.stdout.strip().splitlines() or ["without output"])[-1])
        raise EnvironmentFault(app.place(key), f"it ended with {ended.returncode}: {last}", "correct that line")


def _wait(settings: Settings, app: AppFile, concurrency: int, workers: int, log_start: int) -> None:
    """Wait until the workers consume. Raise EnvironmentFault if they end, or after the time in aforo.toml."""
    if app.worker.ready is not None:
        click.echo(f"worker.ready: {without_secrets(app.worker.ready)}", err=True)
    deadline = time.monotonic() + app.worker.ready_seconds
    started = time.monotonic()
    start = Start([concurrency] * workers, started, lambda: _log_since(log_start), _is_starting)
    while not is_ready(settings, app, start):
        if app.worker.command is not None and not _is_starting():
            supervisor.stop("worker")
            raise EnvironmentFault("worker", f"it ended at its start: {last_line(log_start)}", f"its log is {LOG}")
        if time.monotonic() > deadline:
            raise not_ready(app)
        time.sleep(POLL_SECONDS)


@dataclass(frozen=True)
class Start:
    """Facts about a start of an app's workers, by which the function `is_ready` judges them.

    - `slots`: number of slots of each started worker.
    - `at`: time of the start by `time.monotonic`.
    - `log`: function that returns what the worker has written since the start.
    - `is_alive`: function that returns False if the worker has ended.
    """

    slots: Sequence[int]
    at: float
    log: Callable[[], str]
    is_alive: Callable[[], bool]


def is_ready(settings: Settings, app: AppFile, start: Start) -> bool:
    """Return True if the workers that were started receive messages.

    The first of these facts that applies decides:

    - aforo.toml has `worker.ready`: this shell command succeeds in the time that is left of `worker.ready_seconds`.
    - The worker is instrumented: the /metrics pages show the expected numbers of slots.
    - `worker.scale` started the workers: they count as ready.
    - `worker.command` started the worker: its log says `ready.`, or it has run for 10 s.
    """
    seconds = time.monotonic() - start.at
    if app.worker.ready is not None:
        return _succeeds(app, app.worker.ready, max(0.0, app.worker.ready_seconds - seconds))
    if app.worker.instrument:
        return app_slots(settings, app) == start.slots
    if app.worker.command is None:
        return True
    return "ready." in start.log() or (start.is_alive() and seconds > QUIET_START_SECONDS)


def _succeeds(app: AppFile, line: str, seconds: float) -> bool:
    """Return True if a shell line of the file ends with 0 in this time. Kill it with its children after the time."""
    process = subprocess.Popen(
        ["/bin/sh", "-c", line],
        cwd=app.folder,
        env=child_environment(app),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(seconds) == 0
    except subprocess.TimeoutExpired:
        return False
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def not_ready(app: AppFile) -> EnvironmentFault:
    """Return the error of a worker that is not ready after `worker.ready_seconds`."""
    if app.worker.ready is not None:
        why = f"it did not succeed in {app.worker.ready_seconds} s"
        return EnvironmentFault(app.place("worker.ready"), why, f"correct it, or see {LOG}")
    why = "aforo is installed but was not loaded" if app.worker.command else "no worker with these slots answers"
    remedy = "start the worker by Celery's command line or `app.worker_main`, or call `aforo.instrument(app)`"
    return EnvironmentFault("worker", f"{why} within {app.worker.ready_seconds} s", remedy, value=app.name)


def _is_starting() -> bool:
    """Return True unless supervisord saw the process end, in which case it would start it again and again."""
    process = (supervisor.processes() or {}).get("worker")
    return process is not None and process.is_running and process.pid != 0


def _is_alive() -> bool:
    process = (supervisor.processes() or {}).get("worker")
    return process is not None and process.pid != 0


def _log_since(start: int) -> str:
    if not LOG.exists():
        return ""
    with LOG.open("rb") as file:
        file.seek(min(start, LOG.stat().st_size))
        return file.read().decode(errors="replace")


def last_line(start: int = 0) -> str:
    """Return the last line that the worker has written into its log since the position `start` in bytes.

    If there is none, return a text that says so.
    """
    return last_line_of(_log_since(start)) or "without a line in its log"


def last_line_of(text: str) -> str:
    """Return the last line of `text` that is not blank, shortened for an error message.

    Return '' if there is no such line.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    return first_line(lines[-1]) if lines else ""


def changed_since(app: AppFile, moment: float) -> bool:
    """Return True if a file of the app's code or settings was written after `moment` (epoch seconds)."""
    for folder, folders, files in os.walk(app.worker.directory):
        folders[:] = [name for name in folders if not name.startswith(".") and not _is_environment(Path(folder, name))]
        for name in files:
            is_source = Path(name).suffix in SOURCES or name.startswith(".env")
            # a link of an editor may lead nowhere, and a file may be deleted meanwhile
            with suppress(FileNotFoundError):
                if is_source and Path(folder, name).stat().st_mtime > moment:
                    return True
    return False


def _is_environment(folder: Path) -> bool:
    return folder.name in {"node_modules", "__pycache__"} or (folder / "pyvenv.cfg").exists()
