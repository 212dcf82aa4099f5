"""Queries of the database exporter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from core.settings import Settings
from exporters.db.reader import Reader, open_database
from exporters.db.statements import VideosTable
from tests.exporters.store import Store

T0 = 1_790_000_000.0


@dataclass
class ReversedColumns:
    """A connection whose results have their columns in the reverse order."""

    connection: Connection

    def execute(self, *args: Any, **options: Any) -> Any:
        result = self.connection.execute(*args, **options)
        return result.columns(*reversed(list(result.keys())))


def test_the_order_of_the_columns_in_the_sql_does_not_matter(store: Store) -> None:
    verdicts = {"stability": "STABLE", "bottleneck": "cpu", "validity": "valid", "validity_reasons": ["few_videos"]}
    bounds = {"capacity_per_minute": 6.0, "capacity_low_per_minute": 5.5, "capacity_high_per_minute": 6.25}
    paced = {"mode": "sustained", "rate_per_minute": 3.0, "window_seconds": 60.0}
    store.run("a", T0, 3, **verdicts, **bounds, **paced, environment={"queue": "videos"})
    for number, video in enumerate(("v1", "v2", "v3")):
        store.upload(video, "a", T0 + number, intended_at=T0 + number - 0.5, sent_at=T0 + number + 0.25)
    store.claim("v1", T0 + 3)
    store.finish("v1", T0 + 10, "failed", "timeout")
    store.claim("v2", T0 + 4)
    seconds = ("claim", "fetch", "probe", "transcode", "publish", "finish", "ffmpeg_cpu")
    timings = {f"{name}_seconds": 2.0**number for number, name in enumerate(seconds)}
    store.execution("v1", "a", "failed", T0 + 10, **timings)
    store.execution("v2", "a", "lost", None)
    with open_database(store.url, VideosTable.of(Settings.from_env({}).exporters)).snapshot(10) as reader:
        changed: Any = ReversedColumns(reader.connection)
        rows = results(reader)
        assert results(Reader(changed, reader.table, reader.statements, {})) == rows
    assert rows["changed executions"][0].sums == (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0)
    assert all(rows.values())


def results(reader: Reader) -> dict[str, Any]:
    return {
        "newest runs": reader.newest_runs(10),
        "active": reader.has_active_run(T0 + 20),
        "statuses": reader.statuses_of_rest(["b"]),
        "changed videos": list(reader.changed_videos(T0)),
        "live videos": list(reader.live_videos(T0)),
        "live videos of a run": list(reader.live_videos_of("a", T0)),
        "groups": sorted(reader.groups_of("a", T0 + 60)),
        "groups of the rest": sorted(reader.groups_of_rest(["b"])),
        "processing": reader.processing(["a"]),
        "changed executions": reader.changed_executions(T0),
        "recent executions": reader.recent_executions_of("a", T0),
        "executions": reader.executions_of("a"),
        "lost executions": reader.lost_executions(),
        "oldest waiting": reader.oldest_waiting(["a"]),
    }
