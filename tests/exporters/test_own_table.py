"""A `videos` table of another app.

The table has other column names, other states, timestamps and no runs. The exporter may only read the table.
"""

from __future__ import annotations

import time
from typing import Any

import pytest
from sqlalchemy import Engine, text

from core.database import open_engine
from core.errors import UsageError
from core.settings import Settings
from exporters.db.reader import open_database
from exporters.db.source import DatabaseSource
from exporters.db.statements import VideosTable
from tests.exporters.sources import samples
from tests.exporters.store import Store

MAPPING = {
    "AFORO_EXPORTER_VIDEOS_TABLE": "clips",
    "AFORO_EXPORTER_VIDEOS_COLUMNS": "id=clip_id,run_id=,state=status,uploaded_at=created,updated_at=changed",
    "AFORO_EXPORTER_VIDEOS_STATES": "queued=uploaded,running=processing,completed=done,error=failed",
    "AFORO_EXPORTER_VIDEOS_TIMES": "timestamp",
}
#: The mapping of the states and time columns of our own tables.
PLAIN = {"AFORO_EXPORTER_VIDEOS_STATES": "", "AFORO_EXPORTER_VIDEOS_TIMES": "epoch"}
NOW = 1_767_225_600.0
CREATE = "CREATE TABLE clips (clip_id integer, status varchar(20), created {t}, started_at {t}, changed {t})"


@pytest.fixture
def clips(database_url: str) -> Engine:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text(CREATE.format(t="timestamp" if engine.dialect.name == "postgresql" else "text")))
    return engine


def put(engine: Engine, clip: int, status: str, created: str, started: str | None, changed: str) -> None:
    values = {"clip": clip, "status": status, "created": created, "started": started, "changed": changed}
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM clips WHERE clip_id = :clip"), values)
        connection.execute(text("INSERT INTO clips VALUES (:clip, :status, :created, :started, :changed)"), values)


def source(engine: Engine, **more: str) -> DatabaseSource:
    settings = Settings.from_env(MAPPING | more).exporters
    url = engine.url.render_as_string(hide_password=False)
    source = DatabaseSource(open_database(url, VideosTable.of(settings)), settings, clock=lambda: NOW)
    source.build()
    return source


def test_states_and_sums_of_a_table_with_other_names(clips: Engine) -> None:
    put(clips, 1, "completed", "2025-12-31 23:00:00", "2025-12-31 23:00:10", "2025-12-31 23:01:00")
    put(clips, 2, "queued", "2025-12-31 23:50:00", None, "2025-12-31 23:50:00")
    put(clips, 3, "paused", "2025-12-31 23:50:00", None, "2025-12-31 23:50:00")
    exporter = source(clips)
    values = samples(exporter)
    assert values == {
        'aforo_videos{queue="",state="uploaded"}': 1,
        'aforo_videos{queue="",state="processing"}': 0,
        'aforo_videos{queue="",state="done"}': 1,
        'aforo_videos{queue="",state="failed"}': 0,
        'aforo_videos{queue="",state="other"}': 1,
        **{f'aforo_runs{{status="{s}"}}': 0 for s in ("preparing", "running", "finished", "interrupted", "failed")},
        "aforo_videos_oldest_waiting_timestamp_seconds": pytest.approx(1_767_225_000.0, abs=0.001),
        "aforo_videos_total_response_seconds": pytest.approx(60, abs=0.001),
        "aforo_videos_total_queue_wait_seconds": pytest.approx(10, abs=0.001),
        "aforo_videos_total_service_seconds": pytest.approx(50, abs=0.001),
    }


def test_a_change_in_a_row_of_such_a_table_is_counted(clips: Engine) -> None:
    put(clips, 2, "queued", "2025-12-31 23:50:00", None, "2025-12-31 23:50:00")
    exporter = source(clips)
    samples(exporter)
    put(clips, 2, "running", "2025-12-31 23:50:00", "2025-12-31 23:59:55", "2025-12-31 23:59:55")
    assert samples(exporter)['aforo_videos{queue="",state="processing"}'] == 1
    put(clips, 2, "completed", "2025-12-31 23:50:00", "2025-12-31 23:59:55", "2025-12-31 23:59:59")
    values = samples(exporter)
    assert (values['aforo_videos{queue="",state="processing"}'], values['aforo_videos{queue="",state="done"}']) == (
        0,
        1,
    )


def test_runs_count_processed_videos_in_a_table_with_other_names(store: Store) -> None:
    rename = "ALTER TABLE videos RENAME TO clips", "ALTER TABLE clips RENAME COLUMN state TO status"
    store.run("a", NOW, count=2)
    for video in ("v1", "v2"):
        store.upload(video, "a", NOW, sent_at=NOW + 1)
    with store.engine.begin() as connection:
        for statement in rename:
            connection.execute(text(statement))
    mapping = {"VIDEOS_TABLE": "clips", "VIDEOS_COLUMNS": "state=status"}
    exporter = source(store.engine, **{f"AFORO_EXPORTER_{k}": v for k, v in mapping.items()}, **PLAIN)
    samples(exporter)
    with store.engine.begin() as connection:
        connection.execute(text("UPDATE clips SET status = 'processing' WHERE id = 'v1'"))
    assert samples(exporter)['aforo_run_videos{run_id="a",state="processing"}'] == 1
    with exporter.database.snapshot(1) as reader:
        assert reader.oldest_waiting(["a"]) == NOW + 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AFORO_EXPORTER_VIDEOS_TABLE", 'videos"; DROP TABLE runs; --'),
        ("AFORO_EXPORTER_VIDEOS_TABLE", "a..b"),
        ("AFORO_EXPORTER_VIDEOS_COLUMNS", "state=status or 1"),
        ("AFORO_EXPORTER_VIDEOS_COLUMNS", "state="),
        ("AFORO_EXPORTER_VIDEOS_COLUMNS", "colour=red"),
        ("AFORO_EXPORTER_VIDEOS_STATES", "ready=finished"),
    ],
)
def test_invalid_table_and_column_names_are_an_error(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=name):
        VideosTable.of(Settings.from_env({name: value}).exporters)


def test_a_missing_sqlite_file_is_not_created(tmp_path: Any) -> None:
    settings = Settings.from_env({}).exporters
    missing = DatabaseSource(open_database(f"sqlite:///{tmp_path}/no.db", VideosTable.of(settings)), settings)
    with pytest.raises(Exception, match="unable to open"):
        missing.build()
    assert list(tmp_path.iterdir()) == []


def test_the_exporter_cannot_write(clips: Engine) -> None:
    with source(clips).database.snapshot(1) as reader, pytest.raises(Exception, match=r"read-?only"):
        reader.connection.execute(text("DELETE FROM clips"))


def test_a_statement_ends_at_its_timeout(clips: Engine) -> None:
    slow = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 100000000) SELECT COUNT(*) FROM n"
    began = time.monotonic()
    with source(clips).database.snapshot(0.2) as reader, pytest.raises(Exception, match=r"interrupted|timeout"):
        reader.connection.execute(text(slow)).all()
    assert time.monotonic() - began < 5
