"""Read-only access to the database: snapshots, and typed queries on them, each with a time limit."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, QueuePool, TextClause, create_engine, event
from sqlalchemy.engine import URL

from core.database import POSTGRESQL, masked, open_engine, parse_url
from core.errors import UsageError
from core.run import FINAL_STATUSES, OWN_APP, app_name, is_heartbeat_overdue, queue_of_run
from core.video import Stage, VideoState
from exporters.db.run_aggregates import Run
from exporters.db.statements import VideosTable, load_all
from exporters.db.tally import Execution, Group, Video

#: SQLite checks the time limit after this many of its instructions, which take about a millisecond.
_INSTRUCTIONS = 20_000
_BUSY_TIMEOUT_SECONDS = 2
_ROWS_AT_ONCE = 10_000
#: columns of a run; `Run` has two more fields, which come from the column `environment`
_RUN = tuple(name for name in Run._fields if name not in Run._field_defaults)
#: columns of the sums of an execution, in the order of `Execution.sums`
_SUMS = (*(f"{stage}_seconds" for stage in Stage), "ffmpeg_cpu_seconds")
_EXECUTION = (*(name for name in Execution._fields if name != "sums"), *_SUMS)


@dataclass(frozen=True)
class Database:
    """A database of runs and videos from which consistent snapshots can be read."""

    engine: Engine
    table: VideosTable
    statements: dict[str, TextClause]
    #: App and queue of each run that was read. A run never changes them.
    origins: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def place(self) -> str:
        """Return the database URL without its password, to name the database in error messages."""
        return masked(str(self.engine.url))

    @contextmanager
    def snapshot(self, timeout_seconds: float) -> Iterator[Reader]:
        """Context manager: yield a Reader whose queries all see the database at one moment.

        A query that takes longer than `timeout_seconds` fails with the error of the database.
        """
        with self.engine.connect() as connection:
            _limit(connection, timeout_seconds)
            yield Reader(connection, self.table, self.statements, self.origins)


@dataclass(frozen=True)
class Reader:
    """Execute the queries of `statements.sql` on one snapshot of the database, and return typed rows."""

    connection: Connection
    table: VideosTable
    statements: dict[str, TextClause]
    origins: dict[str, tuple[str, str]]

    def newest_runs(self, limit: int) -> list[Run]:
        """Return the newest runs, newest first, at most `limit`.

        The list is empty if the videos table has no column `run_id`.
        """
        if not self.table.has_runs:
            return []
        rows = self._rows("runs_newest", _RUN, limit=limit)
        if unknown := [row.id for row in rows if row.id not in self.origins]:
            self.origins.update(self._origins_of(unknown))
        return [Run._make((*row, *self.origins[row.id])) for row in rows]

    def _origins_of(self, runs: list[str]) -> dict[str, tuple[str, str]]:
        """Return app and queue of each run, and '' for a queue that was not recorded.

        SQLite returns a JSON column as text, PostgreSQL as a dictionary.
        """
        rows = self._rows("runs_environment", ("id", "environment"), runs=runs)
        environments = {key: json.loads(stored) if isinstance(stored, str) else stored for key, stored in rows}
        return {
            key: (app_name(environment or {}) or OWN_APP, queue_of_run(environment or {}) or "")
            for key, environment in environments.items()
        }

    def has_active_run(self, now: float) -> bool:
        """Return True if any run has no final status and its injector is alive at `now` (epoch seconds).

        The function `core.run.is_heartbeat_overdue` decides whether an injector is alive. Return False if the videos
        table has no column `run_id`.
        """
        if not self.table.has_runs:
            return False
        rows = self._rows("runs_active", ("heartbeat_at", "rate_per_minute"), ended=sorted(FINAL_STATUSES))
        return any(not is_heartbeat_overdue(heartbeat_at, rate, now) for heartbeat_at, rate in rows)

    def statuses_of_rest(self, runs: Iterable[str]) -> list[tuple[str, int]]:
        """Count the runs whose ids are not in `runs`. Return one pair (status, number) per status.

        The list is empty if the videos table has no column `run_id`.
        """
        rows = self._rows("runs_rest", ("status", "runs"), runs=list(runs)) if self.table.has_runs else ()
        return [(status, count) for status, count in rows]

    def changed_videos(self, since: float) -> Iterator[Video]:
        """Yield the videos whose row changed at `since` (epoch seconds) or later."""
        return self._videos(self._rows("videos_changed", Video._fields, since=since))

    def live_videos(self, since: float) -> Iterator[Video]:
        """Yield the open videos of all runs, and the videos that changed at `since` or later.

        `since` is in epoch seconds.
        """
        return self._videos(self._streamed("videos_live", Video._fields, since=since, final=self.table.final))

    def live_videos_of(self, run_id: str, since: float) -> Iterator[Video]:
        """Yield the open videos of one run, and its videos that changed at `since` or later.

        `since` is in epoch seconds.
        """
        values = {"run_id": run_id, "since": since, "final": self.table.final}
        return self._videos(self._rows("videos_live_of_run", Video._fields, **values))

    def groups_of(self, run_id: str, window_end: float) -> list[Group]:
        """Return counts and sums over the videos of one run: one Group for each state and failure reason.

        The sums are those of response time, queue wait and service time in seconds. `window_end` is the end of the
        run's test window in epoch seconds. The field `in_window` of a Group is the number of its videos whose last
        update is not after `window_end`.
        """
        return self._groups("videos_of_run", run_id=run_id, window_end=window_end)

    def groups_of_rest(self, runs: Iterable[str]) -> list[Group]:
        """Return counts and sums over the videos whose run id is not in `runs`: one Group for each state.

        The sums are those of response time, queue wait and service time in seconds.
        """
        return self._groups("videos_rest", runs=list(runs))

    def processing(self, runs: list[str]) -> set[str]:
        """Return the ids of the videos in state `processing`, for the runs whose ids are in `runs`."""
        if not runs:
            return set()
        states = self.table.named(VideoState.PROCESSING)
        return {str(row[0]) for row in self._rows("videos_processing", ("id",), runs=runs, processing=states)}

    def changed_executions(self, since: float) -> list[Execution]:
        """Return the executions that ended at `since` (epoch seconds) or later."""
        return [_execution(row) for row in self._rows("executions_changed", _EXECUTION, since=since)]

    def recent_executions_of(self, run_id: str, since: float) -> list[Execution]:
        """Return the executions of one run that ended at `since` (epoch seconds) or later."""
        rows = self._rows("executions_recent_of_run", _EXECUTION, run_id=run_id, since=since)
        return [_execution(row) for row in rows]

    def executions_of(self, run_id: str) -> list[tuple[str, int, tuple[float | None, ...]]]:
        """Return the number of ended executions of one run, and sums over them, by outcome.

        Each item is (outcome, number, sums). `sums` has the seconds of each stage in the order of `core.video.Stage`,
        then the CPU seconds of ffmpeg. A sum is None if no execution recorded the value.
        """
        rows = self._rows("executions_of_run", ("outcome", "executions", *_SUMS), run_id=run_id)
        return [(outcome, count, tuple(sums)) for outcome, count, *sums in rows]

    def lost_executions(self) -> list[tuple[str, str, int]]:
        """Count the lost executions. Return one item (run id, outcome, number) per run and outcome.

        An execution is lost if its process died at an unknown time.
        """
        rows = self._rows("executions_lost", ("run_id", "outcome", "executions"))
        return [(run_id, outcome, count) for run_id, outcome, count in rows]

    def oldest_waiting(self, runs: list[str]) -> float | None:
        """Return the epoch time at which the oldest waiting task was sent, or None if no task waits.

        A task waits if its video is in state `uploaded` and SQS has accepted its message. Only the runs with the ids
        `runs` are considered.
        """
        if not runs:
            return None
        states = self.table.named(VideoState.UPLOADED)
        rows = self._rows("waiting_oldest", ("sent_at",), runs=runs, uploaded=states)
        return next((row.sent_at for row in rows), None)

    def _videos(self, rows: Iterable[Any]) -> Iterator[Video]:
        state = self.table.state
        for key, run_id, theirs, *rest in rows:
            yield Video(str(key), run_id, state(theirs), *rest)

    def _groups(self, statement: str, **values: Any) -> list[Group]:
        rows = self._rows(statement, Group._fields, **values)
        return [Group(self.table.state(theirs), *rest) for theirs, *rest in rows]

    def _rows(self, statement: str, columns: Sequence[str], **values: Any) -> Sequence[Any]:
        """Return the rows of a statement, with the named columns in this order, whatever their order in the SQL."""
        result = self.connection.execute(self.statements[statement], values)
        return result.columns(*columns).fetchall()  # row by row takes five times longer

    def _streamed(self, statement: str, columns: Sequence[str], **values: Any) -> Iterable[Any]:
        """Yield the rows of a statement as `_rows` returns them, in batches: a full count reads every waiting video."""
        options: dict[str, Any] = {"yield_per": _ROWS_AT_ONCE}
        return self.connection.execute(self.statements[statement], values, execution_options=options).columns(*columns)


def open_database(url: str, table: VideosTable) -> Database:
    """Return the database at `url` for reading. Raise UsageError unless it is SQLite or PostgreSQL.

    `table` describes the database's table of videos.
    """
    parsed = parse_url(url)
    backend = parsed.get_backend_name()
    if backend == "sqlite":
        return Database(_sqlite(parsed), table, load_all(table, "sqlite"))
    if backend not in POSTGRESQL:
        why = "the database exporter reads SQLite and PostgreSQL"
        raise UsageError("AFORO_DATABASE_URL", why, "see .env.example for the forms", value=masked(url))
    options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    return Database(open_engine(url).execution_options(**options), table, load_all(table, "postgresql"))


def _sqlite(url: URL) -> Engine:
    """Open the SQLite file read-only.

    `core.database` is not used here, because it would create a missing file and change its journal mode.
    """
    file = Path(url.database or "").absolute()

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(
            f"{file.as_uri()}?mode=ro", uri=True, timeout=_BUSY_TIMEOUT_SECONDS, check_same_thread=False
        )
        connection.isolation_level = None
        return connection

    engine = create_engine("sqlite://", creator=connect, poolclass=QueuePool, pool_size=2)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _limit(connection: Connection, seconds: float) -> None:
    if connection.dialect.name == "postgresql":
        limit = f"SET LOCAL statement_timeout = {int(seconds * 1000)}"
        connection.exec_driver_sql(f"{limit}; SET LOCAL timezone = 'UTC'")
        return
    deadline = time.monotonic() + seconds
    driver: Any = connection.connection.dbapi_connection
    driver.set_progress_handler(lambda: int(time.monotonic() > deadline), _INSTRUCTIONS)


def _execution(row: Sequence[Any]) -> Execution:
    key, run_id, outcome, ended_at, *sums = row
    return Execution(key, run_id, outcome, ended_at, tuple(sums))
