"""Starting and stopping the native stack: check, start in order, wait by name."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import click

from core.errors import UsageError
from core.settings import Settings
from local import configuration, preflight, readiness, supervisor
from local.programs import STATE, Program, programs
from provision.resources import make_resources

FOUNDATION_SECONDS = 60.0
#: generous: beside other work a cold start of Celery has taken 40 s
WORKER_SECONDS = 120.0
SCRAPE_SECONDS = 60.0
STOP_MARGIN_SECONDS = 40.0
FOUNDATIONS = frozenset({"emulator", "events", "prometheus", "grafana"})


@dataclass(frozen=True)
class WorkerOptions:
    """What may differ from run to run."""

    concurrency: int
    profile: str
    threads: int


def up(settings: Settings, options: WorkerOptions) -> None:
    """Bring the stack to `settings` and the worker to `options`; a second call changes nothing and is quick."""
    if settings.stack == "compose":
        raise UsageError("STACK", "this starts the native stack", "use `make up STACK=compose`", value=settings.stack)
    preflight.check_scrapes(settings)
    with _only_one():
        _restart_if_settings_changed(settings)
        if supervisor.processes() is None:
            _launch(settings)
        _start_foundations(settings)
        make_resources(settings)
        _start_programs(settings, options)


def down(settings: Settings) -> int:
    """Stop everything, the worker first; return how many processes a dead supervisord had left behind."""
    with _only_one():
        return _stop(settings)


def _stop(settings: Settings) -> int:
    if _is_up():
        supervisor.shut_down()
        patience = settings.worker.shutdown_seconds + STOP_MARGIN_SECONDS
        log = STATE / "log" / "supervisord.log"
        readiness.until(lambda: not supervisor.leftovers(), "the end of every process", patience, log)
        return 0
    return supervisor.end_leftovers()


def _is_up() -> bool:
    """Say whether there is a supervisord, be it one that a killed `make down` left stopping."""
    try:
        return supervisor.processes() is not None
    except supervisor.Stopping:
        return True


def _restart_if_settings_changed(settings: Settings) -> None:
    """Stop a stack that runs with other settings; the next steps start it with these."""
    told = configuration.FINGERPRINT.read_text() if configuration.FINGERPRINT.exists() else ""
    if supervisor.processes() is not None and told != configuration.fingerprint(settings):
        click.echo("settings changed: restarting the stack", err=True)
        _stop(settings)


def _launch(settings: Settings) -> None:
    if ended := supervisor.end_leftovers():
        click.echo(f"ended {ended} processes of an earlier stack that had lost its supervisord", err=True)
    preflight.check_tools()
    preflight.check_encoders()
    preflight.check_disk()
    preflight.check_ports(programs(settings))
    click.echo("starting the stack", err=True)
    supervisor.launch(configuration.supervisord_environment(settings))
    configuration.FINGERPRINT.write_text(configuration.fingerprint(settings))
    configuration.write_prometheus_config(programs(settings))


def _start_foundations(settings: Settings) -> None:
    wanted = [program for program in programs(settings) if program.name in FOUNDATIONS]
    _start_missing(wanted)
    for program in wanted:
        _wait_for_port(program)


def _start_programs(settings: Settings, options: WorkerOptions) -> None:
    wanted = programs(settings)
    worker = next(program for program in wanted if program.name == "worker")
    _start_missing([p for p in wanted if p.name not in FOUNDATIONS and p is not worker])
    _run_worker(worker, settings, options)
    _wait_for_scrapes(settings.prometheus.url, [p for p in wanted if p.scraped])


def _start_missing(wanted: list[Program]) -> None:
    running = supervisor.processes() or {}
    for program in wanted:
        if not running[program.name].is_running:
            supervisor.start(program.name)


def _run_worker(worker: Program, settings: Settings, options: WorkerOptions) -> None:
    """Start the worker, or restart it when it runs with other options, and wait until it says so itself."""
    wanted = configuration.worker_options(options.concurrency, options.profile, options.threads)
    file = configuration.WORKER_OPTIONS
    told = file.read_text() if file.exists() else ""
    if _is_running("worker") and told != wanted:
        click.echo("restarting the worker with other options", err=True)
        supervisor.stop("worker")
    if not _is_running("worker"):  # it may be stopping, for us or for a program that was killed while it waited
        patience = settings.worker.shutdown_seconds + STOP_MARGIN_SECONDS
        readiness.until(lambda: not _is_alive("worker"), "the end of the worker", patience, worker.log)
        file.write_text(wanted)
        supervisor.start("worker")
    has_slots = f"a worker with {options.concurrency} slots"
    readiness.until(
        lambda: readiness.worker_slots(worker) == options.concurrency, has_slots, WORKER_SECONDS, worker.log
    )


def _wait_for_port(program: Program) -> None:
    readiness.until(lambda: readiness.listens(program.port), program.name, FOUNDATION_SECONDS, program.log)


def _wait_for_scrapes(prometheus_url: str, wanted: list[Program]) -> None:
    """Wait until Prometheus has `up == 1` of every job: from then on nothing is missed."""
    for program in wanted:
        readiness.until(
            partial(readiness.is_scraped, prometheus_url, program.name),
            f"{program.name} in Prometheus",
            SCRAPE_SECONDS,
            program.log,
        )


def _is_running(name: str) -> bool:
    found = (supervisor.processes() or {}).get(name)
    return found is not None and found.is_running


def _is_alive(name: str) -> bool:
    found = (supervisor.processes() or {}).get(name)
    return found is not None and found.pid != 0


@contextmanager
def _only_one() -> Iterator[None]:
    """Hold the stack's lock, so that two makes at once do not start or stop it together."""
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
