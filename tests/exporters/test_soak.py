"""30,000 random changes. After every 100 changes, each value equals a SELECT on the stored rows."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from core.database import open_engine, upgrade_schema
from core.settings import Settings
from exporters.db.reader import open_database
from exporters.db.source import DatabaseSource
from exporters.db.statements import VideosTable
from tests.exporters.sources import OVERLAP, T0, samples
from tests.exporters.store import RUN, VIDEO

CHANGES, BATCH, RUNS = 30_000, 100, 20
NEWEST = "(SELECT id FROM runs ORDER BY created_at DESC, id DESC LIMIT ?)"
#: The expected series: name and labels, then the SELECT whose last column is the value.
TRUTH = (
    ('aforo_videos{{queue="",state="{0}"}}', "SELECT state, COUNT(*) FROM videos GROUP BY state"),
    ('aforo_runs{{status="{0}"}}', "SELECT status, COUNT(*) FROM runs GROUP BY status"),
    ("aforo_videos_total_response_seconds", "SELECT TOTAL(updated_at - uploaded_at) FROM videos WHERE state = 'done'"),
    (
        "aforo_videos_total_queue_wait_seconds",
        "SELECT TOTAL(started_at - uploaded_at) FROM videos WHERE state = 'done'",
    ),
    (
        "aforo_videos_oldest_waiting_timestamp_seconds",
        "SELECT MIN(uploaded_at) FROM videos WHERE state = 'uploaded' HAVING COUNT(*)",
    ),
    (
        'aforo_run_videos{{run_id="{0}",state="{1}"}}',
        "SELECT run_id, state, COUNT(*) FROM videos WHERE run_id IN NEWEST GROUP BY run_id, state",
    ),
    (
        'aforo_run_failed_videos{{reason="{1}",run_id="{0}"}}',
        "SELECT run_id, reason, COUNT(*) FROM videos WHERE state = 'failed' AND run_id IN NEWEST GROUP BY 1, 2",
    ),
    (
        'aforo_run_total_service_seconds{{run_id="{0}"}}',
        "SELECT run_id, SUM(updated_at - started_at) FROM videos WHERE state = 'done' AND run_id IN NEWEST GROUP BY 1",
    ),
    (
        'aforo_run_executions{{outcome="{1}",run_id="{0}"}}',
        "SELECT run_id, outcome, COUNT(*) FROM executions WHERE run_id IN NEWEST GROUP BY 1, 2",
    ),
)


@pytest.mark.timeout(300)
def test_thirty_thousand_changes_give_the_result_of_a_plain_select(sqlite_url: str) -> None:
    engine = open_engine(sqlite_url)
    upgrade_schema(engine)
    engine.dispose()
    past = Past(Path(str(make_url(sqlite_url).database)), random.Random(20261124))
    settings = Settings.from_env({"AFORO_EXPORTER_RUNS": str(RUNS), "AFORO_EXPORTER_OVERLAP_SECONDS": str(OVERLAP)})
    database = open_database(sqlite_url, VideosTable.of(settings.exporters))
    source = DatabaseSource(database, settings.exporters, clock=lambda: past.now)
    source.build()
    for _ in range(CHANGES // BATCH):
        past.make_changes(BATCH)
        values = exposed(source)
        for series, value in past.truth().items():
            assert values[series] == value, f"{series} after {past.changes} changes"
            values.pop(series)
        assert not {series for series, value in values.items() if value and series.startswith(COUNTED)}
    assert past.changes == CHANGES
    assert source.rebuilds <= CHANGES / BATCH / 5, "the aggregates were right only because all rows were counted again"


#: series of these metrics that the SELECTs do not list must be 0
COUNTED = ("aforo_videos{", "aforo_runs{", "aforo_run_videos{", "aforo_run_failed", "aforo_run_executions")


def exposed(source: DatabaseSource) -> dict[str, float]:
    """Return the samples.

    If the aggregates request a full count, do it first, as the background thread does.
    """
    values = samples(source)
    if source.rebuild_requested.is_set():
        source.rebuild_requested.clear()
        source.build()
        values = samples(source)
    return values


class Past:
    """Random changes by injectors and workers, each with a timestamp up to 20 s before its commit."""

    def __init__(self, file: Path, chance: random.Random) -> None:
        self.connection, self.chance, self.now, self.changes = sqlite3.connect(file), chance, T0, 0
        self.ids: dict[str, list[str]] = {"uploaded": [], "processing": [], "final": []}
        self.runs: list[str] = []
        self.run_of: dict[str, str] = {}
        acts: list[tuple[Callable[[float], None], int]] = [
            (self.start_run, 10),
            (self.upload, 1000),
            (self.claim, 950),
            (self.finish, 800),
            (self.return_to_queue, 120),
            (self.lose, 40),
            (self.change_final, 4),
            (self.end_run, 8),
            (self.delete_run, 1),
        ]
        self.acts, self.weights = [act for act, _ in acts], [weight for _, weight in acts]

    def make_changes(self, changes: int) -> None:
        """Advance the clock and make this number of changes."""
        self.now += self.chance.choice([0.25, 1.0, 1.0, 15.0])
        for act in self.chance.choices(self.acts, self.weights, k=changes):
            act(self.now - self.chance.uniform(0, OVERLAP - 10))
            self.changes += 1
        self.connection.commit()

    def truth(self) -> dict[str, float]:
        """Return the values of SELECT statements on the stored rows."""
        values: dict[str, float] = {}
        for series, select in TRUTH:
            rows = self.connection.execute(select.replace("NEWEST", NEWEST), [RUNS] * select.count("NEWEST"))
            values |= {series.format(*row): float(row[-1]) for row in rows}
        return values

    def start_run(self, _moment: float) -> None:
        run = f"r{self.changes:05d}"
        row = {key: value for key, value in RUN.items() if key != "environment"}
        self._insert("runs", row | {"id": run, "count": 10**6, "created_at": self.now, "environment": "{}"})
        self.runs.append(run)

    def upload(self, moment: float) -> None:
        if self.runs:
            video, run = f"v{self.changes}", self.chance.choice(self.runs[-RUNS - 5 :])
            moments = {"uploaded_at": moment, "updated_at": moment, "state": "uploaded"}
            self._insert("videos", VIDEO | {"id": video, "run_id": run} | moments)
            self.ids["uploaded"].append(video)
            self.run_of[video] = run

    def claim(self, moment: float) -> None:
        self._move("uploaded", "processing", "state = 'processing', started_at = ?", moment)

    def return_to_queue(self, moment: float) -> None:
        video = self._move("processing", "uploaded", "state = 'uploaded'")
        self._execution(video, "retried", moment)

    def finish(self, moment: float) -> None:
        state = self.chance.choice(["done", "done", "failed"])
        reason = self.chance.choice(["corrupt", "truncated"]) if state == "failed" else None
        video = self._move(
            "processing", "final", "state = ?, reason = ?, updated_at = ?", state, reason, max(moment, self._start())
        )
        self._execution(video, state, moment)

    def lose(self, _moment: float) -> None:
        if self.ids["processing"]:
            self._execution(self.chance.choice(self.ids["processing"]), "lost", None)

    def change_final(self, moment: float) -> None:
        self._move("final", "final", "state = 'failed', reason = 'corrupt', updated_at = ?", moment)

    def end_run(self, _moment: float) -> None:
        if self.runs:
            run = self.chance.choice(self.runs[-RUNS:])
            self.connection.execute("UPDATE runs SET status = 'finished' WHERE id = ?", [run])

    def delete_run(self, _moment: float) -> None:
        if len(self.runs) > 1:
            run = self.runs.pop(self.chance.randrange(max(0, len(self.runs) - RUNS + 1), len(self.runs)))
            for table, column in (("executions", "run_id"), ("videos", "run_id"), ("runs", "id")):
                self.connection.execute(f"DELETE FROM {table} WHERE {column} = ?", [run])  # noqa: S608
            self.ids = {state: [v for v in ids if self.run_of[v] != run] for state, ids in self.ids.items()}

    def _start(self) -> float:
        return self.now - OVERLAP + 10

    def _move(self, old: str, new: str, change: str, *values: object) -> str | None:
        if not self.ids[old]:
            return None
        ids = self.ids[old]
        video = ids.pop(self.chance.randrange(len(ids)))
        self.ids[new].append(video)
        self.connection.execute(f"UPDATE videos SET {change} WHERE id = ?", [*values, video])  # noqa: S608
        return video

    def _execution(self, video: str | None, outcome: str, ended_at: float | None) -> None:
        if video is not None:
            row = {"run_id": self.run_of[video], "video_id": video, "execution_number": 1, "node": "n", "slot": 1}
            self._insert("executions", row | {"started_at": 0.0, "outcome": outcome, "ended_at": ended_at})

    def _insert(self, table: str, row: dict[str, object]) -> None:
        names, marks = ", ".join(row), ", ".join("?" * len(row))
        self.connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", list(row.values()))  # noqa: S608
