"""Complete expositions, compared with the reviewed files `golden/*.prom`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from prometheus_client.exposition import generate_latest

import exporters.db
from core import metrics
from core.settings import Settings
from exporters.db.reader import open_database
from exporters.db.source import DatabaseSource
from exporters.db.statements import VideosTable
from exporters.exposition import Exposition
from exporters.sqs.queue_watcher import CallCounter, QueueWatcher
from exporters.sqs.source import QueueSource
from tests.exporters.fakes import FakeQueues
from tests.exporters.store import Store

GOLDEN = Path(__file__).with_name("golden")
T0 = 1_790_000_000.0
#: metrics of a run that the map in `exporters.db` writes with a wildcard
IN_GROUPS = ("_window_", "_total_")


@pytest.mark.parametrize("name", [metric.name for metric in metrics.RUN])
def test_the_map_of_statements_and_metrics_has_every_metric_of_a_run(name: str) -> None:
    ending = name.removeprefix("aforo_run")
    mapped = exporters.db.__doc__ or ""
    assert f"`{ending}`" in mapped or f"`{name}`" in mapped or any(ending.startswith(group) for group in IN_GROUPS)


def test_the_map_of_statements_and_metrics_has_every_statement() -> None:
    statements = Path(exporters.db.__file__).with_name("statements.sql").read_text(encoding="utf-8")
    names = re.findall(r"(?m)^-- name: (\w+)", statements)
    assert len(names) > 10
    assert [name for name in names if f"`{name}`" not in (exporters.db.__doc__ or "")] == []


def test_the_database_exporters_whole_exposition(store: Store) -> None:
    reported = {"capacity_per_minute": 6.0, "capacity_low_per_minute": 5.5, "capacity_high_per_minute": 6.25}
    reported |= {"validity": "indicative", "validity_reasons": ["few_videos", "unfinished"]}
    store.run("20260921-141320-burst-50mb-c2", T0, 2, status="finished", bottleneck="cpu", **reported)
    store.run(
        "20260921-141500-sustained-50mb-c2",
        T0 + 100,
        3,
        mode="sustained",
        rate_per_minute=6.0,
        window_seconds=30.0,
        stability="STABLE",
        validity="valid",
        validity_reasons=[],
    )
    burst, sustained = "20260921-141320-burst-50mb-c2", "20260921-141500-sustained-50mb-c2"
    for name, end in (("a", T0 + 20.5), ("b", T0 + 41.25)):
        store.upload(name, burst, T0 + 0.25, started_at=end - 20)
        store.finish(name, end)
        store.execution(name, burst, "done", end, transcode_seconds=18.5, fetch_seconds=0.5, ffmpeg_cpu_seconds=36.0)
    store.execution("a", burst, "duplicate", T0 + 21)
    store.upload("c", sustained, T0 + 100.5, intended_at=T0 + 100, started_at=T0 + 101)
    store.finish("c", T0 + 103, "failed", "truncated")
    store.upload("d", sustained, T0 + 110, intended_at=T0 + 110)
    settings = Settings.from_env({}).exporters
    source = DatabaseSource(
        open_database(store.url, VideosTable.of(settings)), settings, "videos", clock=lambda: T0 + 115
    )
    source.build()
    assert_golden(Exposition("db", [source], clock=lambda: T0 + 115), "db.prom")


def test_the_sqs_exporters_whole_exposition() -> None:
    fake, moments = FakeQueues(page=2), iter([T0, T0, T0 + 5, T0 + 5, T0 + 5, T0 + 6, T0 + 6])
    fake.make("videos-dlq", visible=2)
    fake.make("videos", visible=7, in_flight=2, delayed=1, dead_letters="videos-dlq", max_receive_count=8)
    for name in ("team-a", "team-b", "team-c"):
        fake.make(name)
    fake.broken["team-b"] = ClientError({"Error": {"Code": "ThrottlingException"}}, "GetQueueAttributes")
    counter = CallCounter()
    counter.attach(fake.client)
    settings = Settings.from_env({}).exporters
    watcher = QueueWatcher(fake.client, ("videos", "team-*", "gone"), monotonic=lambda: 0.0)
    source = QueueSource(watcher, counter, settings, clock=lambda: next(moments))
    source.poll()
    source.poll()
    assert_golden(Exposition("sqs", [source], clock=lambda: T0 + 6), "sqs.prom")


def assert_golden(exposition: Exposition, name: str) -> None:
    text = exposition.render(generate_latest).decode()
    text = re.sub(r'(duration_seconds\{collector="\w+"\}) \S+', r"\1 DURATION", text)
    text = re.sub(r"(?m)^(aforo_exporter_cpu_seconds_total) \S+", r"\1 DURATION", text)
    assert text == (GOLDEN / name).read_text(encoding="utf-8")
