"""Six cells whose limit is known because it was put there, run by the real programs, and what `report` says of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from capacity.diagnosis.bottleneck import Cause
from testing import hardware_limits
from testing.native_stack import Stack
from testing.tcp_proxy import TcpProxy

#: what a limit gives the stack: settings, and what is done once a worker is up
Limit = Callable[[Stack], AbstractContextManager[tuple[dict[str, str], Callable[[Stack], None]]]]


@dataclass(frozen=True)
class Case:
    """A cell under a limit: `slots` is judged, alone and next to `sibling_slots` of the same videos."""

    label: Cause
    limit: Limit
    slots: int
    count: int
    sibling_slots: int
    sibling_count: int
    size: str = "2MB"


@dataclass(frozen=True)
class Verdict:
    """What `report --json` said: of the run by its files alone, or with its siblings."""

    cause: Cause
    confidence: str
    evidence: tuple[str, ...]
    flags: tuple[str, ...]
    videos_per_minute: float

    @classmethod
    def of(cls, report: dict[str, Any]) -> Verdict:
        found = report["bottleneck"]
        flags = tuple(flag["name"] for flag in report["flags"])
        evidence = tuple(measured["text"] for measured in found["evidence"])
        return cls(Cause(found["cause"]), found["confidence"], evidence, flags, report["x_sat_per_minute"])


@dataclass(frozen=True)
class Judged:
    """A case with its two verdicts."""

    case: Case
    alone: Verdict
    with_sibling: Verdict


def judge(case: Case, base: Stack) -> Judged:
    """Run the cell and its sibling under the case's limit, in a database of their own, and read the verdicts."""
    with case.limit(base) as (settings, seize):
        database = {"AFORO_DATABASE_URL": f"sqlite:///{base.folder}/.local/{case.label}.db"}
        stack = Stack(base.folder, base.environment | database | settings)
        try:
            _run(stack, seize, case.sibling_slots, case.sibling_count, case.size)
            run_id = _run(stack, seize, case.slots, case.count, case.size)
            whole = json.loads(_done(stack, "capacity", "report", run_id, "--json", "--lang", "en"))
            folder = f"results/runs/{run_id}"
            alone = json.loads(_done(stack, "capacity", "report", folder, "--json", "--lang", "en"))
        finally:
            _done(stack, "local", "down")
    return Judged(case, Verdict.of(alone), Verdict.of(whole))


def _run(stack: Stack, seize: Callable[[Stack], None], slots: int, count: int, size: str) -> str:
    if stack.run(
        "local", "up", "--concurrency", str(slots)
    ).returncode:  # under a limit a start may outlast its patience
        _done(stack, "local", "up", "--concurrency", str(slots))
    seize(stack)
    told = _done(stack, "injector", "--count", str(count), "--size", size)
    run_id = told.split("run ", 1)[1].split(":", 1)[0]
    _done(stack, "capacity", "wait", run_id)
    _done(stack, "capacity", "report", run_id)
    return run_id


def _done(stack: Stack, *arguments: str) -> str:
    ended = stack.run(*arguments)
    assert ended.returncode == 0, f"{' '.join(arguments)}: {ended.stderr[-2000:]}"
    return ended.stdout


def _nothing(_stack: Stack) -> None:
    """Leave the worker as it is."""


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
        yield {}, lambda stack: hardware_limits.enter(group, stack.worker_pid())


@contextmanager
def _slow_disk(stack: Stack) -> Iterator[tuple[dict[str, str], Callable[[Stack], None]]]:
    with hardware_limits.slow_disk(stack.folder, bytes_per_second=1_000_000) as place:
        yield {"AFORO_WORKER_WORK_PATH": f"{place}/work"}, _nothing


@contextmanager
def _bad_network(stack: Stack, **line: float) -> Iterator[tuple[dict[str, str], Callable[[Stack], None]]]:
    emulator = urlsplit(stack.environment["AWS_ENDPOINT_URL"])
    with TcpProxy(emulator.hostname or "", emulator.port or 0, **line) as proxy:
        yield {"STORAGE_BACKEND": "s3", "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{proxy.port}"}, _nothing


def _narrow(stack: Stack) -> AbstractContextManager[tuple[dict[str, str], Callable[[Stack], None]]]:
    return _bad_network(stack, bytes_per_second=400_000)


def _distant(stack: Stack) -> AbstractContextManager[tuple[dict[str, str], Callable[[Stack], None]]]:
    return _bad_network(stack, delay_seconds=1.0)


CASES = {
    case.label: case
    for case in (
        Case(Cause.CPU, _no_limit, slots=4, count=16, sibling_slots=1, sibling_count=6),
        Case(Cause.CPU_QUOTA, _quota, slots=2, count=6, sibling_slots=1, sibling_count=4, size="1MB"),
        Case(Cause.DISK, _slow_disk, slots=3, count=9, sibling_slots=1, sibling_count=4, size="1MB"),
        Case(Cause.NETWORK, _narrow, slots=4, count=12, sibling_slots=1, sibling_count=4, size="1MB"),
        Case(Cause.SINGLE_THREAD, _one_thread, slots=1, count=6, sibling_slots=2, sibling_count=8),
        Case(Cause.SLOTS, _distant, slots=1, count=5, sibling_slots=2, sibling_count=8, size="1MB"),
    )
}
