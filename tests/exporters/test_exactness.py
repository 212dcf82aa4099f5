"""X and S from the exported gauges equal X and S from the stored rows, bit for bit."""

from __future__ import annotations

import random

from tests.exporters.sources import T0, Exporter
from tests.exporters.store import Store


def test_x_and_s_of_a_burst_equal_the_databases_values_to_the_last_digit(store: Store) -> None:
    chance, rows = random.Random(7), []
    exporter = Exporter(store)
    store.run("a", T0, count=40)
    for number in range(40):
        up = T0 + chance.random()
        start, end = up + 9 * chance.random(), up + 9 + 80 * chance.random()
        store.upload(f"v{number}", "a", up, started_at=start)
        rows.append((up, start, end))
        if number % 7 == 0:
            exporter.now = up + 2
            exporter.samples()
    for number, (_, _, end) in sorted(enumerate(rows), key=lambda row: row[1][2]):
        store.finish(f"v{number}", end)
        exporter.now = end + 1
        exporter.samples()
    values = exporter.samples()
    window = max(end for _, _, end in rows) - min(up for up, _, _ in rows)
    published = values['aforo_run_window_end_timestamp_seconds{run_id="a"}']
    published -= values['aforo_run_window_start_timestamp_seconds{run_id="a"}']
    assert 60 * values['aforo_run_videos_in_window{run_id="a"}'] / published == 60 * 40 / window
    assert values['aforo_run_total_response_seconds{run_id="a"}'] == sum(end - up for up, _, end in rows)
    assert values['aforo_run_total_queue_wait_seconds{run_id="a"}'] == sum(start - up for up, start, _ in rows)
    assert values['aforo_run_total_service_seconds{run_id="a"}'] == sum(end - start for _, start, end in rows)


def test_a_sustained_window_ends_with_the_schedule_and_counts_the_videos_done_by_then(store: Store) -> None:
    exporter = Exporter(store)
    store.run("s", T0, count=3, mode="sustained", rate_per_minute=6.0, window_seconds=30.0)
    for number, end in enumerate((T0 + 20, T0 + 30, T0 + 40)):
        store.upload(
            f"v{number}", "s", T0 + 10 * number, started_at=T0 + 10 * number, intended_at=T0 + 10 * number - 0.5
        )
        store.finish(f"v{number}", end)
    exporter.now = T0 + 29
    assert 'aforo_run_window_end_timestamp_seconds{run_id="s"}' not in exporter.samples()
    exporter.now = T0 + 41
    values = exporter.samples()
    assert values['aforo_run_window_start_timestamp_seconds{run_id="s"}'] == T0
    assert values['aforo_run_window_end_timestamp_seconds{run_id="s"}'] == T0 + 30
    assert values['aforo_run_videos_in_window{run_id="s"}'] == 2
    assert values['aforo_run_videos{run_id="s",state="done"}'] == 3
    assert values['aforo_run_offered_videos_per_second{run_id="s"}'] == 0.1
    assert values['aforo_run_max_lateness_seconds{run_id="s"}'] == 0.5


def test_a_schedule_that_starts_late_moves_the_window(store: Store) -> None:
    exporter = Exporter(store)
    store.run("s", T0, count=1, mode="sustained", rate_per_minute=6.0, window_seconds=10.0, started_at=None)
    store.upload("v", "s", T0 + 5, started_at=T0 + 5)
    store.finish("v", T0 + 14)
    exporter.now = T0 + 15
    assert exporter.samples()['aforo_run_videos_in_window{run_id="s"}'] == 1
    store.change_run("s", started_at=T0 + 3)
    assert exporter.samples()['aforo_run_videos_in_window{run_id="s"}'] == 0


def test_a_burst_without_videos_has_no_window(store: Store) -> None:
    exporter = Exporter(store)
    store.run("a", T0, count=2)
    values = exporter.samples()
    assert values['aforo_run_videos{run_id="a",state="done"}'] == 0
    assert not [name for name in values if name.startswith("aforo_run_window")]


def test_each_run_has_the_label_of_its_own_queue_and_else_that_of_the_exporter(store: Store) -> None:
    exporter = Exporter(store)
    store.run("audio", T0, count=1, environment={"queue": "audio-files"})
    store.run("app", T0, count=1, environment={"app": {"name": "a", "queue": "app-queue"}})
    store.run("old", T0, count=1)
    exporter.now = T0 + 1
    infos = [series for series in exporter.samples() if series.startswith("aforo_run_info")]
    queues = {run: next(s for s in infos if f'run_id="{run}"' in s) for run in ("audio", "app", "old")}
    assert 'queue="audio-files"' in queues["audio"]
    assert 'queue="app-queue"' in queues["app"]
    assert "audio-files" not in queues["old"]
