"""Fill PostgreSQL with millions of videos, and change rows as the injector and the workers do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from sqlalchemy.engine import make_url

from core.database import open_engine, upgrade_schema

RUNS = 1000
RUN_SECONDS = 600
CHUNK = 1_000_000
WAITING = 1000
RUN = """
    INSERT INTO runs (id, status, mode, size_label, size_bytes, count, concurrency, nodes, slots, profile,
                      rate_per_minute, window_seconds, source, source_sha256, created_at, started_at, note, environment)
    SELECT 'run-' || lpad(r::text, 4, '0'), %(status)s, CASE r %% 2 WHEN 0 THEN 'burst' ELSE 'sustained' END, '50MB',
           50000000, %(per_run)s, 2, 1, 2, 'full', CASE r %% 2 WHEN 1 THEN 1200 END, CASE r %% 2 WHEN 1 THEN 500 END,
           'generated', '', %(begin)s + r * %(seconds)s, %(begin)s + r * %(seconds)s, '', '{}'
    FROM generate_series(%(first)s::int, %(last)s::int) r"""
VIDEOS = """
    INSERT INTO videos (id, run_id, sequence, task_id, state, reason, source_key, source_bytes, source_sha256, profile,
                        uploaded_at, sent_at, started_at, updated_at, execution_number)
    SELECT lpad(to_hex(i), 32, '0'), 'run-' || lpad((i / %(per_run)s)::text, 4, '0'), i %% %(per_run)s,
           lpad(to_hex(i), 36, '0'), CASE WHEN i %% 33 = 0 THEN 'failed' ELSE 'done' END,
           CASE WHEN i %% 33 = 0 THEN 'corrupt' END, 'uploads/video.mp4', 50000000, '', 'full',
           sent, sent, sent + 3.25, sent + 21.5 + (i %% 1000) / 256.0, 1
    FROM generate_series(%(first)s::int, %(last)s::int) i,
         LATERAL (SELECT %(begin)s + (i / %(per_run)s) * %(seconds)s + (i %% %(per_run)s) * 0.0390625 AS sent) moment"""
EXECUTIONS = """
    INSERT INTO executions (run_id, video_id, execution_number, node, slot, started_at, ended_at, outcome,
                          claim_seconds, fetch_seconds, probe_seconds, transcode_seconds, publish_seconds,
                          finish_seconds, ffmpeg_cpu_seconds)
    SELECT run_id, id, 1, 'node', 1, started_at, updated_at, state, 0.0078125, 0.5, 0.0625, 17.0, 0.5, 0.015625, 33.5
    FROM videos WHERE id BETWEEN lpad(to_hex(%(first)s::int), 32, '0') AND lpad(to_hex(%(last)s::int), 32, '0')"""


def fill(server: str, videos: int) -> float:
    """Create the database `videos_<number>` with this many videos if it is missing.

    Return how many seconds that took, or 0 if the database exists.
    """
    name, started = f"videos_{videos}", time.monotonic()
    with psycopg.connect(server, autocommit=True) as connection:
        if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            return 0.0
        connection.execute(f"CREATE DATABASE {name}_filling")
    _fill(make_url(server).set(database=f"{name}_filling").render_as_string(), videos)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name}_filling RENAME TO {name}")
        connection.execute("CHECKPOINT")
    return time.monotonic() - started


def _fill(url: str, videos: int) -> None:
    engine = open_engine(url)
    upgrade_schema(engine)
    engine.dispose()
    facts = {"per_run": videos // RUNS, "seconds": RUN_SECONDS, "begin": float(int(time.time())) - RUNS * RUN_SECONDS}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION pg_stat_statements")
        connection.execute("SET session_replication_role = replica")  # no foreign key is looked up row by row
        with _without_indexes(connection):
            connection.execute(RUN, {**facts, "status": "finished", "first": 0, "last": RUNS - 1})
            for first in range(0, videos, CHUNK):
                rows = {**facts, "first": first, "last": min(first + CHUNK, videos) - 1}
                connection.execute(VIDEOS, rows)
                connection.execute(EXECUTIONS, rows)
        for table in ("runs", "videos", "executions"):
            connection.execute(f"VACUUM (ANALYZE) {table}")


@contextmanager
def _without_indexes(connection: psycopg.Connection) -> Iterator[None]:
    indexes = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE '%pk%'"
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}")
    yield
    connection.execute("SET maintenance_work_mem = '512MB'")
    for _, definition in indexes:
        connection.execute(definition)


class Work:
    """A run in progress, whose rows are changed by each call of `tick`.

    Creating an instance inserts the run with 1,000 waiting videos.
    """

    def __init__(self, url: str, per_tick: int) -> None:
        self.connection, self.per_tick = psycopg.connect(url, autocommit=True), per_tick
        self.run = f"live-{time.time_ns()}"
        self.uploaded = self.finished = 0
        facts = {"per_run": 10**6, "seconds": 0, "begin": time.time(), "status": "running", "first": 0, "last": 0}
        self.connection.execute(RUN.replace("'run-' || lpad(r::text, 4, '0')", f"'{self.run}'"), facts)
        self._upload(WAITING, time.time() - 60)

    def tick(self) -> None:
        """Upload `per_tick` videos, set twice as many to processing, and finish half of these."""
        self._upload(self.per_tick, time.time())
        claimed = range(self.finished, self.finished + 2 * self.per_tick)
        now = time.time()
        for number in claimed:
            self.connection.execute(
                "UPDATE videos SET state = 'processing', started_at = %s, execution_number = 1 WHERE id = %s",
                [now, self._id(number)],
            )
        for number in claimed[: self.per_tick]:
            self._finish(number, time.time())
        self.finished += self.per_tick

    def _upload(self, videos: int, now: float) -> None:
        for number in range(self.uploaded, self.uploaded + videos):
            self.connection.execute(
                "INSERT INTO videos (id, run_id, sequence, task_id, state, source_key, source_bytes, source_sha256,"
                " profile, uploaded_at, sent_at, updated_at) VALUES (%s, %s, %s, '', 'uploaded', '', 1, '', 'full',"
                " %s, %s, %s)",
                [self._id(number), self.run, number, now, now, now],
            )
        self.uploaded += videos

    def _finish(self, number: int, now: float) -> None:
        self.connection.execute(
            "UPDATE videos SET state = 'done', updated_at = %s WHERE id = %s", [now, self._id(number)]
        )
        self.connection.execute(
            "INSERT INTO executions (run_id, video_id, execution_number, node, slot, started_at, ended_at, outcome,"
            " transcode_seconds) VALUES (%s, %s, 1, 'node', 1, %s, %s, 'done', 17)",
            [self.run, self._id(number), now, now],
        )

    def _id(self, number: int) -> str:
        return f"{self.run[-12:]}{number:020d}"
