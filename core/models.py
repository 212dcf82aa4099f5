"""Tables of Aforo's database: runs, videos, executions, workers, and how far the collector has read.

Times are UTC seconds since the epoch, in double precision (about 0.25 µs). SQLite, PostgreSQL, Python and Prometheus
therefore compute equal sums and differences of times (docs/adr/0003).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Double, ForeignKey, Index, Integer, String, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from core.run import is_heartbeat_overdue


class Base(DeclarativeBase):
    """SQLAlchemy base class of the tables. A test compares its metadata with the migrated schema."""


class RunRow(Base):
    """One run: its parameters, the workers that processed it, its conditions and its latest verdicts."""

    __tablename__ = "runs"

    id: Mapped[str] = mapped_column(String(63), primary_key=True)
    status: Mapped[str] = mapped_column(String(16))
    mode: Mapped[str] = mapped_column(String(16))
    #: SQLite keeps the length of the first migration, which it does not enforce.
    size_label: Mapped[str] = mapped_column(String(64).with_variant(String(16), "sqlite"))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    count: Mapped[int] = mapped_column(Integer)
    #: Slots per node, nodes, and all slots, as the workers report them at the start of the run.
    concurrency: Mapped[int] = mapped_column(Integer)
    nodes: Mapped[int] = mapped_column(Integer)
    slots: Mapped[int] = mapped_column(Integer)
    profile: Mapped[str] = mapped_column(String(32))
    rate_per_minute: Mapped[float | None] = mapped_column(Double)
    #: Length of the arrival schedule of a sustained run. Null for a burst, which ends with its last video.
    window_seconds: Mapped[float | None] = mapped_column(Double)
    source: Mapped[str] = mapped_column(String(1024))
    source_sha256: Mapped[str] = mapped_column(String(64))
    source_seconds: Mapped[float | None] = mapped_column(Double)
    user_id: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[float] = mapped_column(Double)
    started_at: Mapped[float | None] = mapped_column(Double)
    finished_at: Mapped[float | None] = mapped_column(Double)
    heartbeat_at: Mapped[float | None] = mapped_column(Double)
    tasks_log: Mapped[str | None] = mapped_column(String(1024))
    note: Mapped[str] = mapped_column(String(256), default="")
    #: Host, versions and settings: the conditions that `compare` checks.
    environment: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)

    #: Latest analysis of the run: X_sat in videos per minute with its 95 % interval, and its verdicts.
    capacity_per_minute: Mapped[float | None] = mapped_column(Double)
    capacity_low_per_minute: Mapped[float | None] = mapped_column(Double)
    capacity_high_per_minute: Mapped[float | None] = mapped_column(Double)
    stability: Mapped[str | None] = mapped_column(String(32))
    bottleneck: Mapped[str | None] = mapped_column(String(64))
    #: valid, indicative or invalid, with the codes of the reasons
    validity: Mapped[str | None] = mapped_column(String(16))
    validity_reasons: Mapped[list[str] | None] = mapped_column(JSON)

    #: Executions that left a full spool while this run was active, before the collector had read them. Their run is not
    #: known. Null in a run whose executions do not come from the collector.
    executions_missed: Mapped[int | None] = mapped_column(Integer)

    __table_args__ = (Index("runs_created_at", "created_at"),)

    def is_dead(self, now: float) -> bool:
        """Return True if the last heartbeat of this run is so old that its injector must have died.

        `now` is in epoch seconds. The function `core.run.is_heartbeat_overdue` defines the longest allowed age. The
        status of the run is not looked at.
        """
        return is_heartbeat_overdue(self.heartbeat_at or self.created_at, self.rate_per_minute, now)


class VideoRow(Base):
    """One video of a run: its state, times and sizes.

    `execution_number` is its fencing token: an execution with an older number can no longer change the state.
    """

    __tablename__ = "videos"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id"))
    sequence: Mapped[int] = mapped_column(Integer)
    task_id: Mapped[str] = mapped_column(String(36))
    user_id: Mapped[str | None] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(32))
    source_key: Mapped[str] = mapped_column(String(1024))
    source_bytes: Mapped[int] = mapped_column(BigInteger)
    source_sha256: Mapped[str] = mapped_column(String(64))
    profile: Mapped[str] = mapped_column(String(32))
    output_key: Mapped[str | None] = mapped_column(String(1024))
    output_bytes: Mapped[int | None] = mapped_column(BigInteger)
    #: Times of: the scheduled send (sustained mode), row created and task handed to SQS, confirmation by SQS (null: not
    #: confirmed), first line of the task, last state change.
    intended_at: Mapped[float | None] = mapped_column(Double)
    uploaded_at: Mapped[float] = mapped_column(Double)
    sent_at: Mapped[float | None] = mapped_column(Double)
    started_at: Mapped[float | None] = mapped_column(Double)
    updated_at: Mapped[float] = mapped_column(Double)
    execution_number: Mapped[int] = mapped_column(Integer, default=0, server_default=text("0"))
    #: Worker that holds the claim, and the expiry of the claim.
    owner: Mapped[str | None] = mapped_column(String(128))
    lease_until: Mapped[float | None] = mapped_column(Double)

    __table_args__ = (
        Index("videos_run_state", "run_id", "state"),
        Index("videos_updated_at", "updated_at"),
        Index("videos_task", "task_id"),
    )


class ExecutionRow(Base):
    """One execution, that is one delivery of a task: its worker, slot, start, end and outcome."""

    __tablename__ = "executions"

    id: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True)
    run_id: Mapped[str] = mapped_column(String(63))
    video_id: Mapped[str] = mapped_column(ForeignKey("videos.id"))
    #: Fencing token of the claim. 0 if the claim was denied.
    execution_number: Mapped[int] = mapped_column(Integer)
    node: Mapped[str] = mapped_column(String(64))
    #: Worker that ran it: node, pid and start time of its main process. Null in rows from before this column.
    worker: Mapped[str | None] = mapped_column(String(128))
    #: Number of the slot in its worker, from 0. A replacement of a dead child has the number of that child. The slot is
    #: a process id where `worker` is null.
    slot: Mapped[int] = mapped_column(Integer)
    receive_count: Mapped[int | None] = mapped_column(Integer)
    started_at: Mapped[float] = mapped_column(Double)
    ended_at: Mapped[float | None] = mapped_column(Double)
    outcome: Mapped[str | None] = mapped_column(String(16))
    reason: Mapped[str | None] = mapped_column(String(32))
    claim_seconds: Mapped[float | None] = mapped_column(Double)
    fetch_seconds: Mapped[float | None] = mapped_column(Double)
    probe_seconds: Mapped[float | None] = mapped_column(Double)
    transcode_seconds: Mapped[float | None] = mapped_column(Double)
    publish_seconds: Mapped[float | None] = mapped_column(Double)
    finish_seconds: Mapped[float | None] = mapped_column(Double)
    #: Resources that ffmpeg used, from the rusage of wait4.
    ffmpeg_cpu_seconds: Mapped[float | None] = mapped_column(Double)
    ffmpeg_max_rss_bytes: Mapped[int | None] = mapped_column(BigInteger)
    ffmpeg_read_bytes: Mapped[int | None] = mapped_column(BigInteger)
    ffmpeg_written_bytes: Mapped[int | None] = mapped_column(BigInteger)
    #: Only executions that the collector read from an instrumented worker have the following columns. `worker` is then
    #: the id of the spool, and `spool_number` the number of the record in it.
    spool_number: Mapped[int | None] = mapped_column(BigInteger)
    task: Mapped[str | None] = mapped_column(String(255))
    task_id: Mapped[str | None] = mapped_column(String(255))
    retries: Mapped[int | None] = mapped_column(Integer)
    queue_wait_seconds: Mapped[float | None] = mapped_column(Double)
    #: CPU time of the slot's process and its ended child programs. Null where it cannot be known (threads).
    cpu_seconds: Mapped[float | None] = mapped_column(Double)
    #: Exclusive seconds by stage name, as the task named them.
    stage_seconds: Mapped[dict[str, float] | None] = mapped_column(JSON)
    #: Ids of the messages that the task sent. A video without a table ends when all of them have ended.
    sent_task_ids: Mapped[list[str] | None] = mapped_column(JSON)

    __table_args__ = (
        Index("executions_spool_number", "worker", "spool_number", unique=True),
        Index("executions_run", "run_id"),
        Index("executions_video", "video_id"),
        Index("executions_ended_at", "ended_at"),
    )


class WorkerRow(Base):
    """One worker, identified by node, pid and start time of its main process, with its last heartbeat."""

    __tablename__ = "workers"

    owner: Mapped[str] = mapped_column(String(128), primary_key=True)
    seen_at: Mapped[float] = mapped_column(Double)
    #: Queue that the worker reads. Null in rows of workers from before this column.
    queue: Mapped[str | None] = mapped_column(String(80))


class SpoolRow(Base):
    """One spool of a worker, and how far the collector has read it.

    A spool has the execution records of one Celery main process. `last_number` is the number of the last record that
    the collector has read.
    """

    __tablename__ = "spools"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    #: Celery's name of the worker. Two workers of a host may share it.
    node: Mapped[str] = mapped_column(String(64))
    #: Address at which the spool was read last: HOST:PORT, or the name of a file.
    address: Mapped[str] = mapped_column(String(255))
    last_number: Mapped[int] = mapped_column(BigInteger)
    #: Records that left the full spool before the collector had read them.
    missed: Mapped[int] = mapped_column(BigInteger)
    #: Start of the last reading that reached the newest record of that moment.
    complete_at: Mapped[float | None] = mapped_column(Double)
    read_at: Mapped[float] = mapped_column(Double)
    #: The worker's clock minus the collector's, from the reading with the shortest round trip.
    clock_offset_seconds: Mapped[float | None] = mapped_column(Double)
    round_trip_seconds: Mapped[float | None] = mapped_column(Double)


class OtherExecutionRow(Base):
    """One execution whose video is not in the database.

    A new row has the whole execution record in `record`, and no `run_id`. If the video is added later, the collector
    moves the row to the table `executions`. If a run overlapped the execution in time, the row gets the run's id after
    the end of the run, and `record` becomes null. Any other row is deleted an hour after the end of the execution.
    """

    __tablename__ = "other_executions"

    spool: Mapped[str] = mapped_column(String(32), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    root_id: Mapped[str | None] = mapped_column(String(255))
    record: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    run_id: Mapped[str | None] = mapped_column(String(63))
    node: Mapped[str] = mapped_column(String(64))
    slot: Mapped[int | None] = mapped_column(Integer)
    started_at: Mapped[float] = mapped_column(Double)
    ended_at: Mapped[float] = mapped_column(Double)

    __table_args__ = (Index("other_executions_root", "root_id"), Index("other_executions_run", "run_id"))
