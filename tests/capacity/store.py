"""A store with a run in it, written as injector and worker write theirs."""

from __future__ import annotations

import numpy as np

from pipeline import database
from pipeline.models import AttemptRow, RunRow, VideoRow
from pipeline.run import Mode, RunStatus
from pipeline.video import Outcome, VideoState

HOST = {"name": "mesa", "system": "Linux", "cpu_model": "Test CPU", "cpu_count": 2, "memory_bytes": 8e9}


def open_store(path):
    engine = database.open_engine(f"sqlite:///{path}")
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
    """Record `row` with one done video for each start and end, both seconds after its creation."""
    start, end = np.asarray(start, float) + row.created_at, np.asarray(end, float) + row.created_at
    uploaded = np.full(start.size, row.created_at) if uploaded is None else np.asarray(uploaded) + row.created_at
    session.add(row)
    session.flush()
    for k in range(start.size):
        session.add(_video(row, k, uploaded[k], start[k], end[k]))
    session.flush()
    for k in range(start.size):
        session.add(_attempt(row, k, start[k], end[k], k % row.slots if slot is None else slot[k]))


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
        attempt=1,
    )


def _attempt(row, k, start, end, slot):
    service = float(end - start)
    return AttemptRow(
        run_id=row.id,
        video_id=f"{row.id}-v{k}",
        attempt=1,
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
