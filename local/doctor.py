"""`make doctor`: check this machine, the stack and the queue, and suggest a remedy for each problem."""

from __future__ import annotations

import dataclasses
import json
import resource
import shutil
import tempfile
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from core import aws, database, sqs_queue
from core.errors import AforoError, EnvironmentFault, first_line
from core.lost_videos import LOST_VIDEOS, REMEDY
from core.models import RunRow
from core.queue_contract import Finding, Level, check_contract
from core.settings import Settings
from core.storage import open_storage
from core.user_files import require_usable_folder
from local import preflight, supervisor
from local.programs import programs

MOST_SKEW_SECONDS = 300
FEWEST_FILES = 1024
#: The dashboards' JSON has a schema that every Grafana from this version on reads.
OLDEST_GRAFANA = 10
ANSWER_SECONDS = 3.0


def findings(settings: Settings) -> Iterator[Finding]:
    """Check tools, disk, stack, storage, database, queue and clock. Yield a finding for each check.

    A finding says OK, or names a problem and its remedy. The checks upload and delete small objects in the storage, and
    update the schema of the database.
    """
    yield _run("tools", preflight.check_tools)
    yield _run("encoders", preflight.check_encoders)
    yield _process_groups()
    yield _run("disk", preflight.check_disk)
    yield _run("open files", _open_files)
    yield _run("stack", lambda: _stack(settings))
    yield grafana_finding(settings)
    yield _run(
        "results folder", lambda: require_usable_folder("results folder", settings.results.path, "AFORO_RESULTS_PATH")
    )
    yield _run(
        "work folder", lambda: require_usable_folder("work folder", settings.worker.work_path, "AFORO_WORKER_WORK_PATH")
    )
    yield _run("storage", lambda: _storage(settings))
    yield _run("database", lambda: _database(settings))
    yield from _queue(settings)
    yield _run("clock", lambda: _clock(settings))
    yield _lost_videos(settings)


def _run(subject: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, Level.OK, check())
    except AforoError as error:
        return Finding(subject, Level.ERROR, str(error))


def _process_groups() -> Finding:
    if shutil.which("setpriv") is None:
        detail = "there is no setpriv, so ffmpeg outlives a killed worker"
        return Finding("ffmpeg processes", Level.WARN, detail, "install util-linux")
    return Finding("ffmpeg processes", Level.OK, "ffmpeg ends with its worker")


def _open_files() -> str:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit < FEWEST_FILES:
        raise EnvironmentFault("open files", f"{FEWEST_FILES} are needed", f"ulimit -n {FEWEST_FILES}", value=limit)
    return f"{limit} allowed"


def _stack(settings: Settings) -> str:
    processes = supervisor.processes()
    if processes is None:
        if orphans := supervisor.orphans():
            raise EnvironmentFault("stack", "orphaned processes are running", "make down", value=len(orphans))
        preflight.check_ports(programs(settings))
        return "down; every port is free"
    for program in programs(settings):
        if not processes[program.name].is_running:
            state = processes[program.name].state
            raise EnvironmentFault(program.name, f"it is {state}", f"see `make logs ARGS={program.name}`")
    return f"up; {len(programs(settings))} programs run"


def grafana_finding(settings: Settings) -> Finding:
    """Return a finding about Grafana: a warning if Grafana is too old for our dashboards, otherwise OK.

    The finding is also OK if no Grafana answers, because the stack works without Grafana.
    """
    url = settings.prometheus.grafana_url
    version = grafana_version(url) if url else None
    if version is None and shutil.which("grafana") is None:
        return Finding("grafana", Level.OK, "not installed, so `make up` starts none; the live page shows the runs")
    if version is None:
        return Finding("grafana", Level.OK, "installed; `make up` starts it")
    if int(version.partition(".")[0]) < OLDEST_GRAFANA:
        remedy = f"install Grafana {OLDEST_GRAFANA} or later"
        return Finding(
            "grafana", Level.WARN, f"version {version} at {url} may show parts of the boards wrongly", remedy
        )
    return Finding("grafana", Level.OK, f"version {version} at {url}")


def grafana_version(url: str) -> str | None:
    """Return the version of the Grafana at `url`, such as `10.4.2`, or None if no Grafana answers."""
    try:
        with urllib.request.urlopen(f"{url}/api/health", timeout=ANSWER_SECONDS) as answer:  # noqa: S310 (a setting)
            return str(json.load(answer)["version"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _storage(settings: Settings) -> str:
    """Upload, fetch and delete a small object under each prefix, as injector and worker do."""
    place = f"bucket {settings.storage.bucket}"
    if settings.storage.backend == "filesystem":
        place = require_usable_folder("storage folder", settings.storage.path, "UPLOAD_PATH")
    storage = open_storage(settings)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe")
        source.write_bytes(b"aforo doctor")
        for prefix in (settings.storage.upload_prefix, settings.storage.processed_prefix):
            key = f"{prefix}aforo-doctor-{uuid.uuid4().hex}"
            storage.upload(source, key)
            storage.fetch(key, Path(folder, uuid.uuid4().hex))
            storage.delete(key)
    return f"{place}: an object was uploaded, fetched and deleted under each prefix"


def _database(settings: Settings) -> str:
    url = database.require_sound(settings.database.url)
    database.upgrade_schema(database.open_engine(settings.database.url))
    return url


def _queue(settings: Settings) -> Iterator[Finding]:
    try:
        contract = check_contract(aws.client(settings, "sqs"), settings)
    except AforoError as error:
        yield Finding("queue", Level.ERROR, str(error))
        return
    for finding in contract:
        yield dataclasses.replace(finding, subject=f"queue, {finding.subject}")


def _lost_videos(settings: Settings) -> Finding:
    """Return whether the queue has lost videos of the newest run, as the program that waited for it found."""
    subject = "lost videos"
    try:
        with database.open_sessions(database.open_engine(settings.database.url))() as session:
            run = session.scalars(select(RunRow).order_by(RunRow.created_at.desc()).limit(1)).first()
            lost = run.environment.get(LOST_VIDEOS) if run else None
            detail = f"{lost} of {run.count} videos of run {run.id} were lost by the queue" if run and lost else ""
    except SQLAlchemyError as error:
        return Finding(subject, Level.OK, f"unknown: {first_line(error)}")
    return Finding(subject, Level.WARN, detail, REMEDY) if detail else Finding(subject, Level.OK, "none are known")


def _clock(settings: Settings) -> str:
    """Compare our clock with the time in a response of SQS.

    AWS rejects signatures whose time differs by 5 minutes.
    """
    sqs = aws.client(settings, "sqs")
    sqs_queue.find_queue(sqs, settings.queue.name)
    headers = sqs.get_queue_url(QueueName=settings.queue.name)["ResponseMetadata"]["HTTPHeaders"]
    if "date" not in headers:
        return "unknown: the answer of SQS has no date"
    skew = (datetime.now(UTC) - parsedate_to_datetime(headers["date"])).total_seconds()
    if abs(skew) > MOST_SKEW_SECONDS:
        remedy = "set the clock, for example with NTP"
        raise EnvironmentFault("clock", "it differs from that of SQS", remedy, value=f"{skew:.0f} s")
    return f"{skew:+.0f} s from that of SQS"
