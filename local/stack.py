"""Start and stop the native stack: all programs of Aforo on this machine."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import click

from core import database
from core.errors import UsageError
from core.remote_write import require_receiver
from core.settings import Settings
from local import configuration, preflight, readiness, supervisor
from local.app_worker import record_stop, run_app_worker
from local.programs import STATE, Program, programs
from provision.resources import create_own_resources, create_resources

FOUNDATION_SECONDS = 60.0
#: On a busy machine a cold start of Celery took 40 s.
WORKER_SECONDS = 120.0
SCRAPE_SECONDS = 60.0
STOP_MARGIN_SECONDS = 40.0
#: file with the time that supervisord gives the running worker to stop
STOP_SECONDS = STATE / "run" / "stop_seconds"
FOUNDATIONS = frozenset({"emulator", "events", "prometheus", "grafana"})


@dataclass(frozen=True)
class WorkerOptions:
    """Options of the worker that can differ between runs.

    `concurrency` is the number of slots per worker. `profile` is the name of the encoding profile. `threads` is the
    number of ffmpeg threads per slot, and 0 means automatic.
    """

    concurrency: int
    profile: str
    threads: int
    #: workers of an app that is scaled elsewhere
    workers: int = 1


def up(settings: Settings, options: WorkerOptions) -> None:
    """Start Aforo's programs with `settings`, and the worker with `options`. Wait until all are ready.

    The function `create_resources` creates what is missing, such as the queue. For an app, only the tables of Aforo's
    own database and their read-only user are created. If the settings have changed, a running stack is restarted. Raise
    EnvironmentFault if a program does not become ready, and UsageError if `settings.stack` is compose.
    """
    if settings.stack == "compose":
        raise UsageError("STACK", "this starts the native stack", "use `make up STACK=compose`", value=settings.stack)
    preflight.check_scrapes(settings)
    preflight.check_central_store(settings)
    database.require_sound(settings.database.url)
    with _lock():
        _restart_if_settings_changed(settings)
        if supervisor.processes() is None:
            _launch(settings)
        _start_foundations(settings)
        if settings.app_file is None:
            create_resources(settings)
        else:
            create_own_resources(settings)  # the queue and the bucket are the app's
        _start_programs(settings, options)


def down() -> int:
    """Stop all programs of this machine's stack. Return the number of orphans ended.

    Orphans are processes that a dead supervisord left running.
    """
    with _lock():
        return _stop()


def _stop() -> int:
    if _is_up():
        has_app_worker = _has_app_worker()
        supervisor.shut_down()
        timeout_seconds = _stop_seconds() + STOP_MARGIN_SECONDS
        log = STATE / "log" / "supervisord.log"
        readiness.until(lambda: not supervisor.orphans(), "the end of all processes", timeout_seconds, log)
        if has_app_worker:
            record_stop()
        return 0
    return _end_orphans()


def _end_orphans() -> int:
    ended = supervisor.end_orphans()
    if ended and configuration.names_app_worker():
        record_stop()
    return ended


def _has_app_worker() -> bool:
    """Return True if a worker of an app has run in the stack that is up, or may have run if the stack is stopping."""
    try:
        process = (supervisor.processes() or {}).get("worker")
    except supervisor.Stopping:
        return configuration.names_app_worker()
    return process is not None and process.started_at > 0 and configuration.names_app_worker()


def _stop_seconds() -> float:
    """Return how long the worker of the running stack may take to stop: ours, or that of an app."""
    try:
        return float(STOP_SECONDS.read_text())
    except (FileNotFoundError, ValueError):
        return Settings().worker.shutdown_seconds + 20.0


def _is_up() -> bool:
    """Return True if supervisord runs, or is still shutting down after a killed `make down`."""
    try:
        return supervisor.processes() is not None
    except supervisor.Stopping:
        return True


def _restart_if_settings_changed(settings: Settings) -> None:
    """Stop a stack that runs with other settings, so that the next steps start it with the new settings."""
    current = configuration.FINGERPRINT.read_text() if configuration.FINGERPRINT.exists() else ""
    if supervisor.processes() is not None and current != configuration.fingerprint(settings, os.environ):
        click.echo("settings changed: restarting the stack", err=True)
        _stop()


def _launch(settings: Settings) -> None:
    if ended := _end_orphans():
        click.echo(f"ended {ended} orphaned processes of an earlier stack", err=True)
    preflight.check_tools()
    preflight.check_encoders()
    preflight.check_disk()
    preflight.check_ports(_own_programs(settings))
    require_receiver(settings.prometheus)
    click.echo("starting the stack", err=True)
    supervisor.launch(configuration.supervisord_environment(settings, os.environ))
    configuration.FINGERPRINT.write_text(configuration.fingerprint(settings, os.environ))
    STOP_SECONDS.write_text(str(configuration.worker_stop_seconds(settings)))
    configuration.write_prometheus_config(programs(settings), settings.prometheus, settings.app)


def _start_foundations(settings: Settings) -> None:
    foundations = [program for program in _own_programs(settings) if program.name in FOUNDATIONS]
    _start_missing(foundations)
    for program in foundations:
        _wait_for_port(program)


def _start_programs(settings: Settings, options: WorkerOptions) -> None:
    every = programs(settings)
    _start_missing([p for p in every if p.name not in FOUNDATIONS and p.name != "worker"])
    app = settings.app
    if app is None:
        _run_worker(next(program for program in every if program.name == "worker"), settings, options)
    else:
        run_app_worker(settings, app, options.concurrency, options.workers)
    _wait_for_scrapes(settings.prometheus.url, [p for p in every if p.scraped])


def _own_programs(settings: Settings) -> list[Program]:
    """Return the programs that this stack starts itself.

    An emulator is left out if the app already runs one at its endpoint.
    """
    every = programs(settings)
    emulator = next((program for program in every if program.name == "emulator"), None)
    if settings.app_file is None or emulator is None or _is_running("emulator"):
        return every
    return [p for p in every if p is not emulator] if readiness.listens(emulator.port) else every


def _start_missing(required: list[Program]) -> None:
    running = supervisor.processes() or {}
    for program in required:
        if not running[program.name].is_running:
            supervisor.start(program.name)


def _run_worker(worker: Program, settings: Settings, options: WorkerOptions) -> None:
    """Start the worker, or restart it if its options changed.

    Wait until the worker's /metrics shows the number of slots.
    """
    text = configuration.worker_options(options.concurrency, options.profile, options.threads)
    file = configuration.WORKER_OPTIONS
    current = file.read_text() if file.exists() else ""
    if _is_running("worker") and current != text:
        click.echo("restarting the worker with other options", err=True)
        supervisor.stop("worker")
    if not _is_running("worker"):  # it may still be stopping, for this call or for an earlier one that was killed
        timeout_seconds = settings.worker.shutdown_seconds + STOP_MARGIN_SECONDS
        readiness.until(lambda: not _is_alive("worker"), "the end of the worker", timeout_seconds, worker.log)
        file.write_text(text)
        supervisor.start("worker")
    has_slots = f"a worker with {options.concurrency} slots"
    readiness.until(
        lambda: readiness.worker_slots(worker) == options.concurrency, has_slots, WORKER_SECONDS, worker.log
    )


def _wait_for_port(program: Program) -> None:
    readiness.until(lambda: readiness.listens(program.port), program.name, FOUNDATION_SECONDS, program.log)


def _wait_for_scrapes(prometheus_url: str, scraped: list[Program]) -> None:
    """Wait until every job has `up == 1` in Prometheus, so that Prometheus misses nothing of a run."""
    for program in scraped:
        readiness.until(
            partial(readiness.is_scraped, prometheus_url, program.name, program.port),
            f"{program.name} in Prometheus",
            SCRAPE_SECONDS,
            program.log,
        )


def _is_running(name: str) -> bool:
    process = (supervisor.processes() or {}).get(name)
    return process is not None and process.is_running


def _is_alive(name: str) -> bool:
    process = (supervisor.processes() or {}).get(name)
    return process is not None and process.pid != 0


@contextmanager
def _lock() -> Iterator[None]:
    """Hold the lock of the stack, so that two `make` commands do not start or stop it at the same time."""
    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / "stack.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            click.echo(f"waiting for process {lock.read().strip()}, which starts or stops the stack", err=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
