"""`python -m worker`: check the environment, run a Celery worker, and shut down cleanly."""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable, Iterable
from typing import IO

import click
from prometheus_client import disable_created_metrics
from sqlalchemy.exc import SQLAlchemyError

from core import aws, cli, database, logs, ports, sqs_queue
from core.errors import EnvironmentFault
from core.ffmpeg.requirement import require_ffmpeg
from core.ffmpeg.sandbox import missing_protections
from core.queue_contract import Finding, Level, require_contract
from core.settings import MOST_SLOTS, Settings
from core.slots_on_cores import many_slots_note, usable_cores
from worker import app, cleanup, shutdown

logger = logging.getLogger(__name__)
#: how long a starting worker waits for the queue and the database
START_SECONDS = 60.0
RETRY_SECONDS = 1.0


@click.command(epilog="Example: python -m worker --concurrency 4")
@click.option(
    "--concurrency",
    type=cli.WholeNumber(1, MOST_SLOTS),
    help=f"Slots [env: AFORO_WORKER_CONCURRENCY, default {Settings().worker.concurrency}].",
)
@click.option(
    "--pool",
    type=click.Choice(["prefork", "threads", "solo"]),
    default="prefork",
    show_default=True,
    help="What a slot is: a process, a thread, or the worker itself.",
)
@click.option(
    "--loglevel",
    type=click.Choice(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], case_sensitive=False),
    default="INFO",
    show_default=True,
    help="Least severe level that is logged.",
)
def main(concurrency: int | None, pool: str, loglevel: str) -> None:
    """Run a worker that processes videos from SQS until SIGTERM or Ctrl-C.

    Exit codes: 0 the worker was stopped, 2 usage, 3 the environment is not ready.
    """
    logs.configure(loglevel)
    disable_created_metrics()  # type: ignore[no-untyped-call]  # an unused second sample of each counter
    settings = _with_concurrency(Settings.from_process(), concurrency)
    with _prepare(settings):
        parts = app.create_app(settings)
        app.clean_up(parts, settings)
        app.serve_metrics(parts, settings)
        app.watch_dead_letters(parts, settings)
        app.write_heartbeats(parts, settings)
        app.clean_up_after_dead_slots(settings)
        shutdown.limit(settings.worker.shutdown_seconds)
        slots = str(settings.worker.concurrency)
        flags = ["--pool", pool, "--concurrency", slots, "--loglevel", loglevel, "-Ofair"]
        try:
            parts.celery.worker_main(["worker", *flags, "--without-gossip", "--without-mingle", "--events"])
        finally:
            _leave(settings)


def wait_for(what: str, check: Callable[[], object], seconds: float = START_SECONDS) -> None:
    """Call `check` once a second until it raises no EnvironmentFault.

    After `seconds`, raise the EnvironmentFault of the last call. `what` is a name for the log message, such as `queue`.
    """
    deadline, is_logged = time.monotonic() + seconds, False
    while True:
        try:
            check()
            return
        except EnvironmentFault as fault:
            if time.monotonic() >= deadline:
                raise
            if not is_logged:
                logger.warning("waiting up to %.0f s for the %s: %s", seconds, what, fault)
                is_logged = True
        time.sleep(RETRY_SECONDS)


def warn(findings: Iterable[Finding], queue_name: str) -> None:
    """Log a warning for each problem that does not prevent the worker from starting.

    `findings` has one result for each check of the queue `queue_name`. Each protection that this machine cannot give to
    ffmpeg is logged too.
    """
    for finding in findings:
        if finding.level is not Level.OK:
            logger.warning("queue %s, %s: %s; %s", queue_name, finding.subject, finding.detail, finding.remedy)
    for missing in missing_protections():
        logger.warning("this machine lacks a protection: %s", missing)


def _with_concurrency(settings: Settings, concurrency: int | None) -> Settings:
    if concurrency is None:
        return settings
    return dataclasses.replace(settings, worker=dataclasses.replace(settings.worker, concurrency=concurrency))


def _prepare(settings: Settings) -> IO[str]:
    """Check the requirements of a worker and log problems. Return the open lock file of the work folder."""
    worker = settings.worker
    require_ffmpeg()
    ports.require_free(worker.metrics_host, worker.metrics_port, "the worker", "AFORO_WORKER_METRICS_PORT")
    lock = cleanup.take_work_folder(worker.work_path)
    client = aws.client(settings, "sqs")
    wait_for("queue", lambda: sqs_queue.find_queue(client, settings.queue.name))
    warn(require_contract(client, settings), settings.queue.name)
    engine = database.open_engine(settings.database.url, forks=True)
    if note := many_slots_note(worker.concurrency, usable_cores()):
        logger.warning("%s", note)
    wait_for("database", lambda: database.upgrade_schema(engine))
    return lock


def _leave(settings: Settings) -> None:
    try:
        app.leave(settings)
    except SQLAlchemyError as error:
        logger.warning("could not free this worker's claims, other workers wait until the leases expire: %s", error)


if __name__ == "__main__":
    cli.run(main, "python -m worker")
