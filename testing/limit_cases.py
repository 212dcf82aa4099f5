"""Carry out test cases in which an imposed limit makes one known resource the bottleneck.

The worker is ours, or that of the example app. The real programs run each case. A test compares the bottleneck that the
command `report` names with the known bottleneck.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg

from capacity.diagnosis.bottleneck import Cause
from testing import hardware_limits, postgresql
from testing.example_app import copied_example, install_aforo
from testing.native_stack import Stack, copied_stack
from testing.tcp_proxy import TcpProxy

#: Yields the settings of the stack, and a function that limits its running worker.
Limit = Callable[[Stack], AbstractContextManager[tuple[dict[str, str], Callable[[Stack], None]]]]
#: Gives the settings of a limit to the worker under test, and returns the environment variables of the stack for it.
Configure = Callable[[Mapping[str, str]], Mapping[str, str]]
#: Setting of the reference worker → setting of the example app that does the same.
SETTINGS_OF_EXAMPLE = {"AFORO_WORKER_THREADS": "FFMPEG_THREADS", "AFORO_WORKER_WORK_PATH": "OUTPUT_FOLDER"}


@dataclass(frozen=True)
class Case:
    """One test case: a limited resource, and the bottleneck that the command `report` must name.

    The field `limit` limits the resource. The field `label` is the expected bottleneck. A case has two runs under the
    limit. The command reports on the main run, which has `slots` slots and `count` videos. The comparable run has
    `comparable_slots` slots and `comparable_count` videos.
    """

    name: str
    label: Cause
    limit: Limit
    slots: int
    count: int
    comparable_slots: int
    comparable_count: int
    size: str = "2MB"


@dataclass(frozen=True)
class Verdict:
    """Bottleneck of one run, read from the output of `report --json`, with its evidence.

    `flags` has the names of the run's warnings. `videos_per_minute` is the nominal capacity.
    """

    cause: Cause
    confidence: str
    evidence: tuple[str, ...]
    flags: tuple[str, ...]
    videos_per_minute: float

    @classmethod
    def of(cls, report: dict[str, Any]) -> Verdict:
        bottleneck = report["bottleneck"]
        flags = tuple(flag["name"] for flag in report["flags"])
        evidence = tuple(each["text"] for each in bottleneck["evidence"])
        return cls(Cause(bottleneck["cause"]), bottleneck["confidence"], evidence, flags, report["x_sat_per_minute"])


@dataclass(frozen=True)
class Diagnosis:
    """Result of a test case: two verdicts of the command `report` on the main run of the case.

    For the verdict `alone`, the command reads only the main run. For the verdict `with_comparable`, it also reads the
    comparable run. The class Case describes both runs.
    """

    case: Case
    alone: Verdict
    with_comparable: Verdict


def diagnose(case: Case, base: Stack, configure: Configure = dict) -> Diagnosis:
    """Carry out both runs of a test case under its limit, and return the verdicts.

    The runs use the programs of the stack `base`, with a separate database. The function `configure` gets the settings
    that belong to the limit, under the names of the reference worker's settings. It returns the environment variables
    of the stack that pass these settings to the worker under test.
    """
    with case.limit(base) as (settings, limit_worker):
        database = {"AFORO_DATABASE_URL": f"sqlite:///{base.folder}/.local/{case.name}.db"}
        stack = Stack(base.folder, {**base.environment, **database, **configure(settings)})
        try:
            _run(stack, limit_worker, case.comparable_slots, case.comparable_count, case.size)
            run_id = _run(stack, limit_worker, case.slots, case.count, case.size)
            whole = json.loads(stack.done("capacity", "report", run_id, "--json", "--lang", "en"))
            folder = f"results/runs/{run_id}"
            alone = json.loads(stack.done("capacity", "report", folder, "--json", "--lang", "en"))
        finally:
            stack.done("local", "down")
    return Diagnosis(case, Verdict.of(alone), Verdict.of(whole))


def _run(stack: Stack, limit_worker: Callable[[Stack], None], slots: int, count: int, size: str) -> str:
    if stack.run("local", "up", "--concurrency", str(slots)).returncode:  # under a limit the first start may time out
        stack.done("local", "up", "--concurrency", str(slots))
    limit_worker(stack)
    output = stack.done("injector", "--count", str(count), "--size", size, "--concurrency", str(slots))
    run_id = output.split("run ", 1)[1].split(":", 1)[0]
    stack.done("capacity", "wait", run_id)
    stack.done("capacity", "report", run_id)
    return run_id


def _nothing(_stack: Stack) -> None:
    """Impose no limit on the worker."""


@contextmanager
def _no_limit(_stack: Stack, **settings: str) -> Iterator[tuple[dict[str, str], Callable[[Stack], None]]]:
    yield settings, _nothing


@contextmanager
def _one_thread(stack: Stack) -> Iterator[tuple[dict[str, str], Callable[[Stack], None]]]:
    with _no_limit(stack, AFORO_WORKER_THREADS="1") as given:
        yield given


@contextmanager
def _quota(_stack: Stack) -> Iterator[tuple[dict[str, str], Callable[[Stack], None]]]:
    with hardware_limits.cpu_quota(cores=0.8) as group:
        yield {}, lambda stack: hardware_limits.enter(group, stack.pid("worker"))


@contextmanager
def _slow_disk(stack: Stack) -> Iterator[tuple[dict[str, str], Callable[[Stack], None]]]:
    with hardware_limits.slow_disk(stack.folder, bytes_per_second=1_000_000) as place:
        yield {"AFORO_WORKER_WORK_PATH": f"{place}/work"}, _nothing


@contextmanager
def _bad_network(stack: Stack, **line: Any) -> Iterator[tuple[dict[str, str], Callable[[Stack], None]]]:
    emulator = urlsplit(stack.environment["AWS_ENDPOINT_URL"])
    with TcpProxy(emulator.hostname or "", emulator.port or 0, **line) as proxy:
        yield {"STORAGE_BACKEND": "s3", "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{proxy.port}"}, _nothing


def _narrow(stack: Stack) -> AbstractContextManager[tuple[dict[str, str], Callable[[Stack], None]]]:
    return _bad_network(stack, bytes_per_second=400_000)


def _distant(stack: Stack) -> AbstractContextManager[tuple[dict[str, str], Callable[[Stack], None]]]:
    return _bad_network(stack, delay_seconds=1.0)


def _download(stack: Stack) -> AbstractContextManager[tuple[dict[str, str], Callable[[Stack], None]]]:
    return _bad_network(stack, bytes_per_second=250_000, only_back=True)


@contextmanager
def _quota_on_a_full_host(stack: Stack) -> Iterator[tuple[dict[str, str], Callable[[Stack], None]]]:
    with hardware_limits.busy_cores(), hardware_limits.cpu_quota(cores=0.4) as group:
        yield {}, lambda running: hardware_limits.enter(group, running.pid("worker"))


@contextmanager
def _slow_storage(stack: Stack) -> Iterator[tuple[dict[str, str], Callable[[Stack], None]]]:
    """Keep the videos on a slow mounted filesystem, and the temporary files on the machine's own disk."""
    with hardware_limits.slow_disk(stack.folder, bytes_per_second=200_000) as place:
        yield {"UPLOAD_PATH": f"{place}/videos"}, _nothing


@contextmanager
def _one_ffmpeg_at_a_time(stack: Stack) -> Iterator[tuple[dict[str, str], Callable[[Stack], None]]]:
    """Put a program named ffmpeg on the path that takes a lock before it starts the real one."""
    folder = stack.folder / "locked"
    folder.mkdir(exist_ok=True)
    program, real = folder / "ffmpeg", shutil.which("ffmpeg")
    program.write_text(f'#!/bin/sh\nexec flock {folder}/lock {real} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    path = f"{folder}:{stack.environment['PATH']}"
    yield {"PATH": path, "AFORO_WORKER_THREADS": "1"}, _nothing


@contextmanager
def _slow_polls(_stack: Stack) -> Iterator[tuple[dict[str, str], Callable[[Stack], None]]]:
    """Freeze the queue for 4 s of every 4.5 s; the videos are on the filesystem."""
    ended = threading.Event()
    freezers: list[threading.Thread] = []

    def freeze(running: Stack) -> None:
        if not freezers:
            freezers.append(threading.Thread(target=_freeze_at_intervals, args=(running.pid("emulator"), ended)))
            freezers[0].start()

    try:
        yield {}, freeze
    finally:
        ended.set()
        for freezer in freezers:
            freezer.join()


def _freeze_at_intervals(pid: int, ended: threading.Event) -> None:
    queue = psutil.Process(pid)
    with suppress(psutil.NoSuchProcess):  # the stack stops before the limit ends
        while not ended.wait(0.5):
            queue.suspend()
            ended.wait(4.0)
            queue.resume()


@contextmanager
def _slow_database(stack: Stack) -> Iterator[tuple[dict[str, str], Callable[[Stack], None]]]:
    """Let each claim hold a lock of the database for 3 s."""
    folder = tempfile.TemporaryDirectory(prefix="limits-postgresql-")
    with folder as name, postgresql.running_server(Path(name)) as url:
        yield {"AFORO_DATABASE_URL": url}, lambda _running: _lock_claims(url)


def _lock_claims(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "CREATE OR REPLACE FUNCTION wait_in_turn() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_advisory_xact_lock(77); PERFORM pg_sleep(3); RETURN NEW; END $$"
        )
        connection.execute(
            "CREATE OR REPLACE TRIGGER wait_in_turn BEFORE INSERT ON executions "
            "FOR EACH ROW EXECUTE FUNCTION wait_in_turn()"
        )


CASES = {
    case.name: case
    for case in (
        Case("cpu", Cause.CPU, _no_limit, slots=4, count=16, comparable_slots=1, comparable_count=6),
        Case(
            "cpu_quota", Cause.CPU_QUOTA, _quota, slots=2, count=6, comparable_slots=1, comparable_count=4, size="1MB"
        ),
        Case("disk", Cause.DISK, _slow_disk, slots=3, count=9, comparable_slots=1, comparable_count=4, size="1MB"),
        Case("network", Cause.NETWORK, _narrow, slots=4, count=12, comparable_slots=1, comparable_count=4, size="1MB"),
        Case(
            "single_thread", Cause.SINGLE_THREAD, _one_thread, slots=1, count=6, comparable_slots=2, comparable_count=8
        ),
        Case("slots", Cause.SLOTS, _distant, slots=1, count=5, comparable_slots=2, comparable_count=8, size="1MB"),
        Case("database", Cause.DATABASE, _slow_database, 3, 9, comparable_slots=1, comparable_count=4, size="1MB"),
        Case(
            "queue_polling", Cause.QUEUE_POLLING, _slow_polls, 1, 5, comparable_slots=2, comparable_count=8, size="1MB"
        ),
        Case("lock", Cause.SERIALISATION, _one_ffmpeg_at_a_time, 3, 9, comparable_slots=1, comparable_count=4),
        Case(
            "quota_full_host",
            Cause.CPU_QUOTA,
            _quota_on_a_full_host,
            2,
            6,
            comparable_slots=1,
            comparable_count=4,
            size="1MB",
        ),
        Case("slow_storage", Cause.NETWORK, _slow_storage, 3, 9, comparable_slots=1, comparable_count=4, size="1MB"),
        Case("download", Cause.NETWORK, _download, 4, 12, comparable_slots=1, comparable_count=4, size="1MB"),
    )
}
#: Limits of the example app's worker. A video must take several seconds, because the stock transport of that app polls
#: once per second. The app only shrinks videos, which takes less time than what the reference worker does.
EXAMPLE_CASES = {
    name: replace(CASES[name], size=size)
    for name, size in {"cpu": "30MB", "cpu_quota": "20MB", "disk": "3MB", "single_thread": "30MB"}.items()
}


def example_stack(folder: Path) -> tuple[Stack, Configure]:
    """Return a stack in `folder` that measures the example app, and the function that configures the app.

    This function gives the settings of a limit to the app, and returns the environment variables for the stack. The
    package `aforo` is built and installed in the virtual environment of the app before.
    """
    install_aforo(folder / "dist")
    stack = copied_stack(folder / "s")
    app = copied_example(folder / "service", stack)

    def configure(settings: Mapping[str, str]) -> dict[str, str]:
        app.configure({SETTINGS_OF_EXAMPLE[name]: value for name, value in settings.items()})
        return {"YES": "1"}

    return stack, configure
