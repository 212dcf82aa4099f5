"""More than 1,000 runs. The newest 200 have their own series, and all runs are in the sums."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from prometheus_client import generate_latest
from sqlalchemy import insert

from core.database import open_engine, upgrade_schema
from core.models import ExecutionRow, RunRow, VideoRow
from core.settings import Settings
from core.video import Outcome, Reason, Stage
from exporters.db.reader import open_database
from exporters.db.source import DatabaseSource
from exporters.db.statements import VideosTable
from exporters.exposition import Exposition
from tests.exporters.store import RUN, VIDEO, Store

ROOT = Path(__file__).parents[2]
T0 = 1_790_000_000.0
RUNS = 1100


def test_the_newest_200_of_1100_runs_are_exposed_and_the_sums_include_all(store: Store) -> None:
    fill(store)
    lines = exposition(store).splitlines()
    exposed = [line for line in lines if line.startswith("aforo_run_info{")]
    assert len(exposed) == 200
    assert all(any(f'run_id="r{number:04d}"' in line for line in exposed) for number in range(900, RUNS))
    assert f'aforo_videos{{queue="",state="failed"}} {RUNS * len(Reason)}.0' in lines
    assert f'aforo_runs{{status="running"}} {RUNS}.0' in lines


@pytest.mark.parametrize("file", ["prometheus.yml", "prometheus.compose.yml"])
def test_prometheus_accepts_twice_the_series_of_200_runs_that_have_every_series(sqlite_store: Store, file: str) -> None:
    fill(sqlite_store)
    lines = exposition(sqlite_store).splitlines()
    jobs = yaml.safe_load((ROOT / "prometheus" / file).read_text(encoding="utf-8"))["scrape_configs"]
    limit = next(job["sample_limit"] for job in jobs if job["job_name"] == "db-exporter")
    assert 2 * sum(not line.startswith("#") for line in lines) < limit


@pytest.fixture
def sqlite_store(sqlite_url: str) -> Store:
    engine = open_engine(sqlite_url)
    upgrade_schema(engine)
    return Store(engine)


def exposition(store: Store) -> str:
    settings = Settings.from_env({}).exporters
    source = DatabaseSource(open_database(store.url, VideosTable.of(settings)), settings, clock=lambda: T0 + 10**6)
    source.build()
    return Exposition("db", [source]).render(generate_latest).decode()


def fill(store: Store) -> None:
    """Record runs with one failed video per reason and one execution per outcome.

    Every stage has a time.
    """
    runs = [
        RUN
        | {"id": f"r{number:04d}", "created_at": T0 + number, "started_at": T0 + number, "count": len(Reason)}
        | {"mode": "sustained", "rate_per_minute": 6.0, "window_seconds": 10.0}
        for number in range(RUNS)
    ]
    videos = [
        VIDEO
        | {"id": f"{run['id']}-{reason}", "run_id": run["id"], "state": "failed", "reason": reason}
        | {"uploaded_at": T0, "intended_at": T0, "started_at": T0, "updated_at": T0 + 1}
        for run in runs
        for reason in Reason
    ]
    timed = {f"{stage}_seconds": 1.0 for stage in Stage} | {"ffmpeg_cpu_seconds": 1.0}
    executions = [
        timed
        | {
            "run_id": run["id"],
            "video_id": f"{run['id']}-{next(iter(Reason))}",
            "execution_number": 1,
            "node": "n",
            "slot": 1,
        }
        | {"started_at": T0, "ended_at": T0 + 1, "outcome": outcome}
        for run in runs
        for outcome in Outcome
    ]
    with store.engine.begin() as connection:
        for table, rows in ((RunRow, runs), (VideoRow, videos), (ExecutionRow, executions)):
            connection.execute(insert(table), rows)


def test_a_run_on_several_nodes_is_another_cell_than_one_of_a_node(store: Store) -> None:
    store.run("one", T0, 1, concurrency=2, nodes=1, slots=2)
    store.run("three", T0, 1, concurrency=2, nodes=3, slots=6)
    cells = {
        line.split('run_id="')[1].split('"')[0]: line
        for line in exposition(store).splitlines()
        if line.startswith("aforo_run_info{")
    }
    assert 'concurrency="2"' in cells["one"]
    assert 'concurrency="2×3"' in cells["three"]
