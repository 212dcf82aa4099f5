"""Stores with recorded runs. The rows are like those that injector and worker write."""

from __future__ import annotations

import numpy as np
from sqlalchemy import select

from capacity.runs.resource_samples import Resources
from capacity.runs.run_files import write_archive
from core import database
from core.models import ExecutionRow, RunRow, VideoRow
from core.run import Mode, RunStatus
from core.video import Outcome, VideoState

#: an address where no server listens
NO_SERVER = "http://127.0.0.1:9"
HOST = {"name": "mesa", "system": "Linux", "cpu_model": "Test CPU", "cpu_count": 2, "memory_bytes": 8e9}


def open_store(path):
    return open_url(f"sqlite:///{path}")


def open_url(url):
    engine = database.open_engine(url)
    database.upgrade_schema(engine)
    return database.open_sessions(engine)


def run_row(run_id="r1", *, count, mode=Mode.BURST, slots=2, created_at=1000.0, rate=None, **more):
    facts = dict(
        id=run_id,
        status=RunStatus.FINISHED,
        mode=mode,
        size_label="5MB",
        size_bytes=5_000_000,
        count=count,
        concurrency=slots,
        nodes=1,
        slots=slots,
        profile="full",
        rate_per_minute=rate,
        window_seconds=None if rate is None else 60 * count / rate,
        source="generated 5MB",
        source_sha256="ab" * 32,
        source_seconds=10.0,
        user_id=None,
        created_at=created_at,
        started_at=created_at,
        finished_at=created_at + 500,
        heartbeat_at=created_at + 500,
        tasks_log=None,
        note="",
        environment={"host": HOST, "ffmpeg": "5.1", "celery": "5.7"},
        capacity_per_minute=None,
        capacity_low_per_minute=None,
        capacity_high_per_minute=None,
        stability=None,
        bottleneck=None,
    )
    return RunRow(**{**facts, **more})


def add_run(session, row, start, end, uploaded=None, slot=None):
    """Record `row`, with one done video for each start and end.

    Starts and ends are seconds after the creation of the run.
    """
    start, end = np.asarray(start, float) + row.created_at, np.asarray(end, float) + row.created_at
    uploaded = np.full(start.size, row.created_at) if uploaded is None else np.asarray(uploaded) + row.created_at
    session.add(row)
    session.flush()
    for k in range(start.size):
        session.add(_video(row, k, uploaded[k], start[k], end[k]))
    session.flush()
    for k in range(start.size):
        session.add(_execution(row, k, start[k], end[k], k % row.slots if slot is None else slot[k]))


def _video(row, k, uploaded, start, end):
    return VideoRow(
        id=f"{row.id}-v{k}",
        run_id=row.id,
        sequence=k,
        task_id=f"{row.id}-t{k}",
        state=VideoState.DONE,
        source_key="uploads/a.mp4",
        source_bytes=row.size_bytes,
        source_sha256=row.source_sha256,
        profile=row.profile,
        output_key="processed/a.mp4",
        output_bytes=1000,
        intended_at=None if row.rate_per_minute is None else float(uploaded),
        uploaded_at=float(uploaded),
        sent_at=float(uploaded),
        started_at=float(start),
        updated_at=float(end),
        execution_number=1,
    )


def _execution(row, k, start, end, slot):
    service = float(end - start)
    return ExecutionRow(
        run_id=row.id,
        video_id=f"{row.id}-v{k}",
        execution_number=1,
        node="mesa",
        slot=int(slot),
        receive_count=1,
        started_at=float(start),
        ended_at=float(end),
        outcome=Outcome.DONE,
        claim_seconds=0.01,
        fetch_seconds=0.05 * service,
        probe_seconds=0.02 * service,
        transcode_seconds=0.88 * service,
        publish_seconds=0.04 * service,
        finish_seconds=0.01,
        ffmpeg_cpu_seconds=0.8 * service,
    )


def slow_down(session, run_id, factor=1.5):
    """Let ffmpeg cost `factor` times the CPU in the second half of a run, which makes the run invalid."""
    executions = session.scalars(select(ExecutionRow).where(ExecutionRow.run_id == run_id)).all()
    by_start = sorted(executions, key=lambda execution: execution.started_at)
    slots = session.get_one(RunRow, run_id).slots
    for execution in by_start[(len(by_start) - slots) // 2 :]:
        execution.ffmpeg_cpu_seconds *= factor


def waiting(k, run_id="r1"):
    """Return the k-th video of a run, uploaded and unclaimed."""
    return VideoRow(
        id=f"{run_id}-v{k}", run_id=run_id, sequence=k, task_id=f"{run_id}-t{k}", state=VideoState.UPLOADED,
        source_key="a", source_bytes=1, source_sha256="a", profile="full", uploaded_at=1000.0, sent_at=1000.0,
        updated_at=1000.0, execution_number=0,
    )  # fmt: skip


def finish(session, run_id, k, start, end):
    """Record that a worker finished a waiting video."""
    row, video = session.get_one(RunRow, run_id), session.get_one(VideoRow, f"{run_id}-v{k}")
    video.state, video.execution_number = VideoState.DONE, 1
    video.started_at, video.updated_at = row.created_at + start, row.created_at + end
    session.add(_execution(row, k, video.started_at, video.updated_at, k % row.slots))


def resources_of(row, seconds, busy=1.9):
    """Return samples of a machine with two cores, of which `busy` are used, every 5 s of a run."""
    times = row.created_at + np.arange(0.0, seconds + 1, 5.0)
    elapsed = times - times[0]
    idle = 2.0 - busy
    return Resources(
        times,
        {
            "cores": np.full(times.size, 2.0),
            "cpu.user": busy * elapsed,
            "cpu.idle": idle * elapsed,
            "cpu.steal": np.zeros(times.size),
            "pressure.cpu.some": 0.4 * elapsed,
            "pressure.io.some": 0.01 * elapsed,
            "pressure.io.full": 0.005 * elapsed,
            "pressure.memory.full": np.zeros(times.size),
            "disk.read": 1e6 * elapsed,
            "disk.written": 4e6 * elapsed,
        },
    )


def burst(slots, count, service, created_at, run_id):
    """Return a burst with its starts, ends and slots.

    Service times alternate between 95 %, 100 % and 105 % of `service`. The first start is after 2 s.
    """
    services = service * (1 + 0.05 * (np.arange(count) % 3 - 1))
    free = np.full(slots, 2.0)
    start, slot = np.empty(count), np.empty(count, dtype=int)
    for k in range(count):
        slot[k] = free.argmin()
        start[k] = free[slot[k]]
        free[slot[k]] += services[k] + 0.1
    row = run_row(run_id, count=count, slots=slots, created_at=created_at)
    return row, start, start + services, slot


def record_bursts(sessions, bursts):
    """Record bursts that have the form of the results of `burst`."""
    for row, start, end, slot in bursts:
        with sessions.begin() as session:
            add_run(session, row, start, end, slot=slot)


def fill_store(folder, settings):
    """Record bursts of 1, 2 and 4 slots and a sustained run, with their files.

    Return the sessions.
    """
    sessions = open_store(folder / "store.db")
    runs = [burst(1, 12, 5.0, 1e9, "b1"), burst(2, 12, 5.2, 1e9 + 1000, "b2"), burst(4, 16, 10.4, 1e9 + 2000, "b4")]
    for row, start, end, slot in runs:
        record_bursts(sessions, [(row, start, end, slot)])
        _archive(sessions, row.id, float(end.max()), settings, busy=1.9 if row.id != "b1" else 1.0)
    row = run_row("s2", count=60, mode=Mode.SUSTAINED, created_at=1e9 + 3000, rate=10.0, window_seconds=360.0)
    arrivals = np.arange(60) * 6.0
    with sessions.begin() as session:
        add_run(session, row, arrivals + 0.5, arrivals + 5.5 + 0.1 * (np.arange(60) % 2), uploaded=arrivals)
    _archive(sessions, "s2", 360.0, settings, busy=1.1)
    return sessions


def _archive(sessions, run_id, seconds, settings, busy):
    with sessions() as session:
        run = session.get_one(RunRow, run_id)
        write_archive(session, run, resources_of(run, seconds, busy), settings.results.path / "runs" / run_id)
