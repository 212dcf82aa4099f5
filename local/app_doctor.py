"""`make doctor APP=…`: check every line of an app's aforo.toml, and suggest a remedy for each problem."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

from core import aws, database, promql, sqs_queue
from core.app_file import AppFile
from core.app_file.video_message import try_video
from core.app_file.videos_table import VideosTable
from core.app_file.worker_probe import WorkerFacts, celery_app, probe_worker, require_task
from core.errors import AforoError, EnvironmentFault, printable
from core.queue_contract import Finding, Level
from core.settings import Settings, is_local
from local import app_worker, configuration, supervisor
from local.app_command import words_of
from local.app_trial import try_worker
from local.app_worker import require_aforo
from local.programs import STATE

CONTAINER_LINES = (
    "AFORO_INSTRUMENT=1",
    "AFORO_METRICS_HOST=0.0.0.0",
    "ports 9101-9110:9101",
)


def findings(settings: Settings, app: AppFile, user_id: str | None, *, with_start: bool = True) -> Iterator[Finding]:
    """Check an app's aforo.toml, worker, queue, database and videos. Yield a finding for each check.

    A finding says OK, or names a problem and its remedy. `user_id` is the owner of the row that one check inserts and
    rolls back, or None if the app needs no owner. With `with_start`, one check starts the worker and stops it again,
    but only if no worker runs and the app's queue is on this machine and empty.
    """
    yield Finding(app.path.name, Level.OK, f"{app.name}, every line is known")
    yield from _worker(app)
    yield from _queue(settings, app)
    yield _run("database", lambda: _database(settings, app))
    yield _run("row", lambda: _row(app, user_id))
    yield _run("input", lambda: _input(app))
    yield _run("stack", _stack)
    yield from _collector(settings, app)
    if with_start and app.worker.command is not None:
        yield _start(settings, app)


def _run(subject: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, Level.OK, check())
    except AforoError as error:
        return Finding(subject, Level.ERROR, str(error))


def _worker(app: AppFile) -> Iterator[Finding]:
    if app.worker.command is None:
        yield from _elsewhere(app)
    else:
        yield _run("command", lambda: " ".join(words_of(app, 2)))
    can_import = app.worker.python is not None and celery_app(app) is not None
    if not can_import:
        why = "its name in Celery is unknown: kombu deletes no message if a prefix or predefined_queues makes it differ"
        yield Finding("queue, name in Celery", Level.WARN, why, "give worker.app and worker.python in that case")
    if can_import or app.worker.command is not None:
        facts = probe_worker(app)
        yield _run("task", lambda: _task(app, facts))
        yield _acknowledgement(facts)
    if app.worker.command is None:
        return
    if app.worker.instrument:
        yield _run("aforo there", lambda: require_aforo(app))
    else:
        why = "the worker is not instrumented: X_sat is from completion times only"
        yield Finding("aforo there", Level.WARN, why, "pip install aforo there and set instrument = true")


def _elsewhere(app: AppFile) -> Iterator[Finding]:
    yield Finding("worker", Level.OK, f"started elsewhere by: {app.worker.started_by}")
    if app.worker.instrument:
        yield Finding("container", Level.OK, f"it needs {'; '.join(CONTAINER_LINES)}")
    elif app.worker.ready is None:
        why = "a worker that is not instrumented counts as ready as soon as worker.scale ends"
        yield Finding("ready", Level.WARN, why, "give worker.ready, unless that line waits for the worker")


def _task(app: AppFile, facts: WorkerFacts) -> str:
    """Return task and versions.

    Raise an AforoError for an app that cannot be imported or does not know the task.
    """
    require_task(app, facts)
    return f"{app.task}, Celery {facts.celery}, kombu {facts.kombu}, Python {facts.python}"


def _acknowledgement(facts: WorkerFacts) -> Finding:
    if facts.acks_late is None:
        return Finding("acknowledgement", Level.WARN, "unknown", "Little's law and lost messages stay unknown")
    when = "after the task (acks_late)" if facts.acks_late else "before the task: SQS does not count running tasks"
    return Finding("acknowledgement", Level.OK, when)


def _queue(settings: Settings, app: AppFile) -> Iterator[Finding]:
    try:
        queue = _attributes(settings, app)
    except AforoError as error:
        yield _no_queue(settings, error)
        return
    endpoint = settings.aws.endpoint_of("sqs")
    is_here = is_local(endpoint)
    place = endpoint or f"AWS, region {settings.aws.region}"
    yield Finding("queue", Level.OK if is_here else Level.WARN, f"{app.queue} at {place}", "" if is_here else "sure?")
    if queue.total:
        yield Finding("queue, messages", Level.WARN, f"{queue.total} are in it", "they are processed first")
    if queue.dead_letter_arn is None:
        why = "no redrive policy: a message that always fails is delivered again and again"
        yield Finding("queue, redrive policy", Level.WARN, why, "give the queue a dead-letter queue")
    seconds = queue.visibility_timeout_seconds
    yield Finding("queue, visibility timeout", Level.OK, f"{seconds} s; a task that takes longer is delivered twice")


def _attributes(settings: Settings, app: AppFile) -> sqs_queue.QueueAttributes:
    client = aws.client(settings, "sqs")
    return sqs_queue.read_attributes(client, sqs_queue.find_queue(client, app.queue))


def _no_queue(settings: Settings, error: AforoError) -> Finding:
    """Return the finding for a queue that could not be read.

    Aforo's emulator runs only while its stack is up, and `up` creates the queue there.
    """
    endpoint = settings.aws.endpoint_of("sqs") or ""
    if settings.stack == "native" and is_local(endpoint):
        if not _listens(endpoint):
            return Finding(
                "queue", Level.WARN, f"nothing listens at {endpoint} yet", "`make up APP=…` starts an emulator"
            )
        if "emulator" in (supervisor.processes() or {}):
            return Finding("queue", Level.WARN, "Aforo's emulator does not have it", "`make up APP=…` creates it")
    return Finding("queue", Level.ERROR, str(error))


def _listens(url: str) -> bool:
    place = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((place.hostname, place.port or 80)) == 0


def _database(settings: Settings, app: AppFile) -> str:
    if app.videos is None:
        return "no table; the end of a video comes from its executions"
    table = VideosTable.open(app)
    return f"{app.videos.table} at {database.masked(app.videos.url)}: {table.count()} rows"


def _row(app: AppFile, user_id: str | None) -> str:
    """Insert a row of the template and roll it back, and encode the message of its task."""
    table = None if app.videos is None or app.producer is not None else VideosTable.open(app)
    row = try_video(app, table, user_id)
    if table is None:
        return "made by the producer" if app.producer else "none"
    shown = ", ".join(f"{name}={value}" for name, value in row.items() if value is not None)
    return printable(f"taken and rolled back: {shown}", limit=300)


def _input(app: AppFile) -> str:
    if app.input.is_s3 or app.input.folder is None:
        return str(app.input.folder or "Aforo's own folder")
    seen = f", seen by the worker as {app.input.seen_by_worker_as}" if app.input.seen_by_worker_as else ""
    return f"{app.input.folder}, {app.input.per_video}{seen}"


def _start(settings: Settings, app: AppFile) -> Finding:
    """Check that the worker starts. It is started only if its queue is on this machine and empty."""
    process = (supervisor.processes() or {}).get("worker")
    if process is not None and not configuration.names_app_worker(app):
        return Finding("worker", Level.WARN, "not started here: another worker runs", "`make up APP=…` replaces it")
    if process is not None:
        if process.pid:
            return Finding("worker", Level.OK, "it runs")
        error = EnvironmentFault(
            "worker", f"it does not run: {app_worker.last_line()}", "correct it, then `make up APP=…`"
        )
        return Finding("worker", Level.ERROR, str(error))
    try:
        messages = _attributes(settings, app).total
    except AforoError:
        return Finding("worker", Level.WARN, "not started here: its queue does not answer", "`make up APP=…` starts it")
    if messages or not is_local(settings.aws.endpoint_of("sqs")):
        place = f"take the {messages} messages of its queue" if messages else "read a queue that is not on this machine"
        return Finding("worker", Level.WARN, f"not started here: it would {place}", "`make up APP=…` starts it")
    return _run("worker", lambda: try_worker(settings, app))


def _stack() -> str:
    return "down" if supervisor.processes() is None else "up"


def _collector(settings: Settings, app: AppFile) -> Iterator[Finding]:
    """Say how many workers the collector reads. A stack that is down has no collector."""
    families = promql.scrape("127.0.0.1", settings.collector.port)
    if families is None:
        return
    workers = int(sum(sample.value for sample in families.get("aforo_collector_workers", [])))
    if workers or not app.worker.instrument:
        yield Finding("collector", Level.OK, f"it reads the executions of {workers} workers")
        return
    failures = families.get("aforo_collector_errors", [])
    reasons = sorted({s.labels["reason"] for s in failures if "reason" in s.labels and 0 < s.value < 1e9})
    remedy = f"install aforo in the worker's environment and start it, or see {STATE / 'log' / 'collector.log'}"
    why = ", ".join(reasons) or "none has answered"
    yield Finding("collector", Level.WARN, f"it reads the executions of no worker ({why})", remedy)
