"""Table of jobs of the app in `chaos_app.py`: one row per job, with the claim of its task."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from sqlalchemy import Column, Engine, Float, Integer, MetaData, String, Table, update

JOBS = Table(
    "jobs",
    MetaData(),
    Column("id", String(32), primary_key=True),
    Column("state", String(16), nullable=False, default="uploaded"),
    Column("pid", Integer),
    Column("executions", Integer, nullable=False, default=0),
    Column("done_count", Integer, nullable=False, default=0),
    Column("ended_at", Float),
)


@dataclass(frozen=True)
class Jobs:
    """Access of the app to its table of jobs.

    With `is_reentrant`, a task can claim a job that is being processed already, because the earlier task may have died.
    """

    engine: Engine
    is_reentrant: bool

    def claim(self, job: str) -> bool:
        """Mark a job as being processed by this process. Return False if the claim is denied."""
        free = ("uploaded", "processing") if self.is_reentrant else ("uploaded",)
        values = {"state": "processing", "pid": os.getpid(), "executions": JOBS.c.executions + 1}
        with self.engine.begin() as connection:
            query = update(JOBS).where(JOBS.c.id == job, JOBS.c.state.in_(free)).values(values)
            return connection.execute(query).rowcount == 1

    def release(self, job: str) -> None:
        """Set a claimed job back to `uploaded`, before its task is retried."""
        self._write(job, state="uploaded", pid=None)

    def finish(self, job: str) -> None:
        """Mark a job as done, and increase its column `done_count` by one."""
        self._write(job, state="done", pid=None, done_count=JOBS.c.done_count + 1, ended_at=time.time())

    def fail(self, job: str) -> None:
        """Mark a job as failed."""
        self._write(job, state="failed", pid=None, ended_at=time.time())

    def _write(self, job: str, **values: object) -> None:
        with self.engine.begin() as connection:
            connection.execute(update(JOBS).where(JOBS.c.id == job).values(values))
