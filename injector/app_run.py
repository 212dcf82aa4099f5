"""Prepare a run of the app under test. Everything is checked before the first row is inserted."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable
from typing import Any

from core import aws, database, sqs_queue
from core.app_confirmation import Target, confirm
from core.app_file import AppFile
from core.app_file.injected import start_list
from core.app_file.video_message import require_user_id, try_video
from core.app_file.videos_table import VideosTable
from core.app_file.worker_probe import WorkerFacts, probe_worker, require_task
from core.broker import make_celery
from core.errors import UsageError
from core.results_folder import run_folder
from core.run import END_OF_VIDEO, UNKNOWN_VERSION, EndOfVideo, Host, new_run_id
from core.settings import Settings
from core.size import size_label
from injector.app_inputs import Inputs, PlacedInput, addresses, inputs_of, missing, place_all
from injector.app_sender import AppSender
from injector.injection import Injection, Request, input_media, open_store, run_row
from injector.input_video import MediaFile
from injector.run_inputs import RunInputs, Source
from injector.senders import Sender
from injector.worker_fleet import WorkerFleet, read_app_fleet

Say = Callable[[str], None]


def prepare_app_run(settings: Settings, app: AppFile, request: Request, say: Say) -> Injection:
    """Return a run of the app under test that is ready to start: its input files are in place.

    The user sees what the run will use, and is asked to confirm the run if needed. Raise an AforoError if the app's
    queue, table or worker fails a check, or if the user does not confirm the run. This function sends no task. `say`
    prints a line of text for the user.
    """
    _require_an_end(app)
    require_user_id(app, request.user_id)
    require_other_database(settings, app)
    worker = probe_worker(app)
    require_task(app, worker)
    sessions = open_store(settings, request)
    fleet = read_app_fleet(settings, app, request.concurrency, request.workers)
    target = Target.read(settings, app)
    try_video(app, target.table, request.user_id)
    for line in target.lines(request.count):
        say(line)
    confirm(target, request.count, assume_yes=request.assume_yes)
    run_id, inputs, placed = _place_inputs(settings, app, request, fleet, say)
    request = dataclasses.replace(request, profile=dataclasses.replace(request.profile, name=app.name))
    row = run_row(settings, run_id, request, inputs, fleet)
    row.environment |= _environment(app, target, fleet, worker)
    row.executions_missed = 0 if fleet.is_measured else None
    maker = AppSender(
        app=app,
        celery=make_celery(settings, target.queue.url),
        sender=Sender(target.client, target.queue.url),
        sessions=sessions,
        folder=run_folder(settings.results.path, run_id),
        inputs=placed,
        table=target.table,
        routing_key=worker.routing_key,
        clock_offset_seconds=row.environment["app"]["database_clock_offset_seconds"] or 0.0,
    )
    return Injection(settings, request, run_id, inputs, sessions, maker, row)


def _place_inputs(
    settings: Settings, app: AppFile, request: Request, fleet: WorkerFleet, say: Say
) -> tuple[str, RunInputs, list[PlacedInput]]:
    """Make or check the inputs, and put them where the app expects them. Return run id, files and placed inputs.

    They are listed in the run's folder first, so that `make clean APP=…` can remove them whatever happens.
    """
    files = input_media(settings, request, say)
    stored = [_inputs(settings, app, media) for media in files]
    order = request.order()
    sources = tuple(
        Source(
            inputs.shared().path,
            media.size_bytes,
            media.sha256,
            media.duration_seconds,
            request.file or f"generated {size_label(media.size_bytes)}",
        )
        for media, inputs in zip(files, stored, strict=True)
    )
    run_inputs = RunInputs(sources, order, request.sizes)
    run_id = request.run_id or new_run_id(
        request.mode, run_inputs.label, fleet.slots_per_node, app.name, nodes=fleet.nodes
    )
    each = [stored[position] for position in order]
    absent = missing(zip(stored, (media.path for media in files), strict=True))
    start_list(run_folder(settings.results.path, run_id), app, addresses(each, absent, app, run_id))
    for inputs, media in absent.values():
        inputs.place(media)
    return run_id, run_inputs, place_all(each, app, run_id)


def _inputs(settings: Settings, app: AppFile, media: MediaFile) -> Inputs:
    folder = settings.storage.path / settings.storage.upload_prefix
    name = f"aforo-{media.sha256[:16]}.mp4"
    return inputs_of(app, folder, name, lambda: aws.client(settings, "s3"))


def _environment(app: AppFile, target: Target, fleet: WorkerFleet, worker: WorkerFacts) -> dict[str, Any]:
    """Return the conditions that only a run of an app has, or has in another way."""
    known = {"acks_late": worker.acks_late, "dead_letter_queue": target.queue.dead_letter_arn is not None}
    environment: dict[str, Any] = {
        "app": app_facts(app, target.table, fleet) | known,
        END_OF_VIDEO: EndOfVideo.TABLE if target.table else EndOfVideo.EXECUTIONS,
        "messages_before": target.queue.total,
        "dead_letters_before": sqs_queue.dead_letter_depth(target.client, target.queue),
    }
    if app.worker.command is None:
        environment["canary_before_seconds"] = None  # the workers may run on another machine
    elif not fleet.is_measured:
        environment["workers"] = {"start": [declared_conditions(worker, fleet.slots_per_node)]}
    return environment


def require_other_database(settings: Settings, app: AppFile) -> None:
    """Raise UsageError if Aforo and the app use the same database, because their tables would mix."""
    if app.videos is None:
        return
    ours, theirs = (database.parse_url(url) for url in (settings.database.url, app.videos.url))
    if (ours.host, ours.port, ours.database) == (theirs.host, theirs.port, theirs.database):
        why = "it is the app's own database"
        remedy = "leave it out, or give Aforo a database of its own"
        raise UsageError("AFORO_DATABASE_URL", why, remedy, value=database.masked(settings.database.url))


def declared_conditions(worker: WorkerFacts, slots: int) -> dict[str, Any]:
    """Return the conditions of an app's worker that runs on this machine and is not instrumented.

    They are the versions of Python, Celery and kombu, the CPU, the memory and the number of slots. Unknown conditions
    are left out.
    """
    host = Host.this()
    versions = {name: getattr(worker, name) for name in ("python", "celery", "kombu")}
    machine = {"cpu_model": host.cpu_model, "cores": str(host.cpu_count), "memory_bytes": str(host.memory_bytes)}
    return {name: value for name, value in (versions | machine).items() if value is not None} | {"slots": slots}


def app_facts(app: AppFile, table: VideosTable | None, fleet: WorkerFleet) -> dict[str, Any]:
    """Return the facts about the app under test that are stored with a run, such as name and version.

    `table` is the app's table of videos, or None. `fleet` has the app's running workers. The function runs git for the
    version, and asks the app's database for its clock.
    """
    offset = None if table is None else table.clock_offset_seconds()
    return {
        "name": app.name,
        "version": app_version(app),
        "file": str(app.path),
        "sha256": app.sha256,
        "task": app.task,
        "queue": app.queue,
        "started_by": app.worker.started_by,
        "instrumented": fleet.is_measured,
        "database_clock_offset_seconds": offset,
    }


def app_version(app: AppFile) -> str:
    """Return the version of the app, from the key `version` of aforo.toml.

    If the value of this key is `git`, return a git commit instead. The commit is that of the worker's folder.
    `-changed` follows the commit if tracked files have uncommitted changes. The version is `unknown` if git fails.
    """
    if app.version != "git":
        return app.version
    git = ["git", "-C", str(app.worker.directory)]
    try:
        commit = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "-uno", "."], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return UNKNOWN_VERSION
    return commit.stdout.strip() + ("-changed" if changed.stdout.strip() else "")


def _require_an_end(app: AppFile) -> None:
    if app.videos is None and not app.worker.instrument:
        why = "without it nothing says when a video has ended"
        raise UsageError(app.place("videos"), why, "describe their table, or set worker.instrument = true")
