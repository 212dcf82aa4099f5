"""Preparation of a run of an app that is not ours: everything is checked before its first row is inserted."""

from __future__ import annotations

import dataclasses
import subprocess
import uuid
from collections.abc import Callable
from typing import Any

from core import aws, database, sqs_queue
from core.app_file import AppFile
from core.app_file.brake import Target, confirm
from core.app_file.placeholders import placeholders
from core.app_file.videos_table import VideosTable
from core.app_file.worker_probe import WorkerFacts, probe_worker
from core.broker import make_celery
from core.errors import UsageError
from core.results_folder import run_folder
from core.run import END_OF_VIDEO, EndOfVideo, Host, new_run_id
from core.settings import Settings
from core.size import size_label
from injector.app_inputs import PlacedInput, place_all, place_source
from injector.app_sender import AppSender, placeholder_values
from injector.injection import Injection, Request, Source, input_media, require_no_other_run, run_row
from injector.senders import Sender
from injector.worker_fleet import WorkerFleet, read_app_fleet

Say = Callable[[str], None]


def prepare_app_run(settings: Settings, app: AppFile, request: Request, say: Say) -> Injection:
    """Check the app's queue, table and worker, ask if needed, and place its inputs.

    If that raises an AforoError, no row was inserted and no task was sent; only inputs remain on disk.
    """
    _require_an_end(app)
    _require_user_id(app, request)
    require_other_database(settings, app)
    engine = database.open_engine(settings.database.url)
    database.upgrade_schema(engine)
    sessions = database.open_sessions(engine)
    with sessions.begin() as session:
        require_no_other_run(session, request.run_id)
    client = aws.client(settings, "sqs")
    url = sqs_queue.find_queue(client, app.queue)
    queue = sqs_queue.read_attributes(client, url)
    fleet = read_app_fleet(settings, app, request.concurrency, request.workers)
    table = None if app.videos is None else VideosTable.open(app)
    _try_row(app, table, request)
    target = Target(settings, app, queue, table)
    for line in target.lines(request.count):
        say(line)
    confirm(target, request.count, assume_yes=request.assume_yes)
    media = input_media(settings, request, say)
    run_id = request.run_id or new_run_id(request.mode, size_label(media.size_bytes), fleet.slots_per_node, app.name)
    name = f"aforo-{media.sha256[:16]}.mp4"
    default_folder = settings.storage.path / settings.storage.upload_prefix
    inputs = place_source(app, default_folder, media.path, name, lambda: aws.client(settings, "s3"))
    placed = place_all(inputs, app, run_id, request.count)
    origin = request.file or f"generated {size_label(media.size_bytes)}"
    source = Source(placed[0].path, media.size_bytes, media.sha256, media.duration_seconds, origin)
    request = dataclasses.replace(request, profile=app.name)
    row = run_row(settings, run_id, request, source, fleet)
    worker = probe_worker(app)
    facts = app_facts(app, table, fleet) | {"acks_late": worker.acks_late}
    row.environment["app"] = facts
    if app.worker.command is None:
        row.environment["canary_before_seconds"] = None  # the workers may run on another machine
    elif not fleet.is_measured:
        row.environment["workers"] = {"start": [declared_conditions(worker, fleet.slots_per_node)]}
    row.environment[END_OF_VIDEO] = EndOfVideo.TABLE if table else EndOfVideo.EXECUTIONS
    row.environment |= {
        "messages_before": queue.total,
        "dead_letters_before": sqs_queue.dead_letter_depth(client, queue),
        "is_warm": request.warmup,
    }
    row.executions_missed = 0 if fleet.is_measured else None
    folder = run_folder(settings.results.path, run_id)
    sender = AppSender(
        app,
        make_celery(settings, url),
        Sender(client, url),
        sessions,
        folder,
        placed,
        request.user_id,
        table,
    )
    return Injection(settings, request, run_id, source, sessions, sender, row)


def require_other_database(settings: Settings, app: AppFile) -> None:
    """Raise UsageError if our tables would appear among theirs."""
    if app.videos is None:
        return
    ours, theirs = (database.parse_url(url) for url in (settings.database.url, app.videos.url))
    if (ours.host, ours.port, ours.database) == (theirs.host, theirs.port, theirs.database):
        why = "it is the app's own database"
        remedy = "leave it out, or give Aforo a database of its own"
        raise UsageError("AFORO_DATABASE_URL", why, remedy, value=database.masked(settings.database.url))


def declared_conditions(worker: WorkerFacts, slots: int) -> dict[str, Any]:
    """Return the conditions of a worker that is not instrumented and runs on this machine, as far as they are known."""
    host = Host.this()
    versions = {name: getattr(worker, name) for name in ("python", "celery", "kombu")}
    machine = {"cpu_model": host.cpu_model, "cores": str(host.cpu_count), "memory_bytes": str(host.memory_bytes)}
    return {name: value for name, value in (versions | machine).items() if value is not None} | {"slots": slots}


def app_facts(app: AppFile, table: VideosTable | None, fleet: WorkerFleet) -> dict[str, Any]:
    """Return what the run stores about the app."""
    offset = None if table is None else table.clock_offset_seconds()
    return {
        "name": app.name,
        "version": app_version(app),
        "file": str(app.path),
        "sha256": app.sha256,
        "task": app.task,
        "queue": app.queue,
        "started_by": app.worker.command or app.worker.scale,
        "instrumented": fleet.is_measured,
        "database_clock_offset_seconds": offset,
    }


def app_version(app: AppFile) -> str:
    """Return the app's version. `git` is the commit of its folder, marked if files were changed."""
    if app.version != "git":
        return app.version
    git = ["git", "-C", str(app.worker.directory)]
    try:
        commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "-uno", "."], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return commit.stdout.strip() + ("-changed" if changed.stdout.strip() else "")


def _try_row(app: AppFile, table: VideosTable | None, request: Request) -> None:
    """Insert a row and roll it back, so that a refused one is known before anything is sent."""
    if table is None or app.producer is not None:
        return
    example = PlacedInput(f"{'x' * 40}.mp4", "x.mp4")
    table.try_insert(placeholder_values(0, str(uuid.uuid4()), example, "trial", request.user_id))


def _require_an_end(app: AppFile) -> None:
    if app.videos is None and not app.worker.instrument:
        why = "without it nothing says when a video has ended"
        raise UsageError(app.place("videos"), why, "describe their table, or set worker.instrument = true")


def _require_user_id(app: AppFile, request: Request) -> None:
    used = [*placeholders(app.args), *placeholders(app.kwargs), *placeholders(app.videos.insert if app.videos else {})]
    if request.user_id is None and "user_id" in used:
        remedy = "give USER_ID, the id of a user in their database"
        raise UsageError("USER_ID", f"{app.path.name} uses {{user_id}}", remedy)
