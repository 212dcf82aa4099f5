"""`make doctor`: what is right and what is not on this machine, each finding with its remedy."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from core import aws, database, sqs_queue
from core.errors import AforoError, EnvironmentFault
from core.queue_contract import Level, check_contract
from core.settings import Settings
from local import preflight, supervisor
from local.programs import programs

MOST_SKEW_SECONDS = 300
FEWEST_FILES = 1024


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what was found and, unless it is well, what to do."""

    subject: str
    level: Level
    detail: str


def findings(settings: Settings) -> Iterator[Finding]:
    """Look at everything a run needs, one thing after the other; no check stops another."""
    yield _look("tools", preflight.check_tools)
    yield _look("encoders", preflight.check_encoders)
    yield _containment()
    yield _look("disk", preflight.check_disk)
    yield _look("open files", _open_files)
    yield _look("stack", lambda: _stack(settings))
    yield _look("database", lambda: _database(settings))
    yield from _queue(settings)
    yield _look("clock", lambda: _clock(settings))


def _look(subject: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(subject, Level.OK, check())
    except AforoError as error:
        return Finding(subject, Level.ERROR, str(error))


def _containment() -> Finding:
    if shutil.which("setpriv") is None:
        missing = "there is no setpriv, so ffmpeg outlives a killed worker; install util-linux"
        return Finding("containment", Level.WARN, missing)
    return Finding("containment", Level.OK, "ffmpeg ends with its worker")


def _open_files() -> str:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit < FEWEST_FILES:
        raise EnvironmentFault("open files", f"{FEWEST_FILES} are needed", f"ulimit -n {FEWEST_FILES}", value=limit)
    return f"{limit} allowed"


def _stack(settings: Settings) -> str:
    found = supervisor.processes()
    if found is None:
        if left := supervisor.leftovers():
            raise EnvironmentFault("stack", "processes of a lost supervisord run on", "make down", value=len(left))
        preflight.check_ports(programs(settings))
        return "down; every port is free"
    for program in programs(settings):
        if not found[program.name].is_running:
            state = found[program.name].state
            raise EnvironmentFault(program.name, f"it is {state}", f"see `make logs ARGS={program.name}`")
    return f"up; {len(programs(settings))} programs run"


def _database(settings: Settings) -> str:
    database.upgrade_schema(database.open_engine(settings.database.url))
    return database.masked(settings.database.url)


def _queue(settings: Settings) -> Iterator[Finding]:
    try:
        contract = check_contract(aws.client(settings, "sqs"), settings)
    except AforoError as error:
        yield Finding("queue", Level.ERROR, str(error))
        return
    for found in contract:
        yield Finding(f"queue, {found.point}", found.level, "; ".join(filter(None, (found.found, found.remedy))))


def _clock(settings: Settings) -> str:
    """Compare our clock with SQS's answer: AWS refuses a signature that is 5 minutes off."""
    sqs = aws.client(settings, "sqs")
    sqs_queue.find_queue(sqs, settings.queue.name)
    headers = sqs.get_queue_url(QueueName=settings.queue.name)["ResponseMetadata"]["HTTPHeaders"]
    if "date" not in headers:
        return "unknown: SQS told no time"
    skew = (datetime.now(UTC) - parsedate_to_datetime(headers["date"])).total_seconds()
    if abs(skew) > MOST_SKEW_SECONDS:
        raise EnvironmentFault("clock", "it differs from SQS's", "set it, for example with NTP", value=f"{skew:.0f} s")
    return f"{skew:+.0f} s from SQS's"
