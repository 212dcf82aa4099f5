"""The incremental count equals a full count, whatever happens between two scrapes."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import pytest

from exporters.exposition import Incomplete
from tests.exporters.sources import OVERLAP, T0, Exporter
from tests.exporters.store import Store


def test_a_video_is_counted_in_the_state_it_has_now(store: Store) -> None:
    exporter = Exporter(store)
    store.run("a", T0, count=2)
    store.upload("v1", "a", T0 + 1)
    store.upload("v2", "a", T0 + 1)
    exporter.now = T0 + 2
    assert exporter.samples()['aforo_run_videos{run_id="a",state="uploaded"}'] == 2
    store.claim("v1", T0 + 3)
    exporter.now = T0 + 4
    values = exporter.samples()
    assert values['aforo_run_videos{run_id="a",state="processing"}'] == 1
    assert values['aforo_run_videos{run_id="a",state="uploaded"}'] == 1
    store.finish("v1", T0 + 5)
    exporter.now = T0 + 6
    values = exporter.samples()
    assert values['aforo_run_videos{run_id="a",state="processing"}'] == 0
    assert values['aforo_run_videos{run_id="a",state="done"}'] == 1
    assert values['aforo_run_total_response_seconds{run_id="a"}'] == 4.0
    assert 'aforo_run_window_end_timestamp_seconds{run_id="a"}' not in values


def test_a_claim_seen_long_after_the_upload_still_counts(store: Store) -> None:
    exporter = Exporter(store)
    store.run("a", T0, count=1)
    store.upload("v1", "a", T0)
    exporter.samples()
    exporter.now = T0 + 1000
    exporter.samples()
    store.claim("v1", T0 + 1000)
    exporter.now = T0 + 1010
    assert exporter.samples()['aforo_run_videos{run_id="a",state="processing"}'] == 1
    store.return_to_queue("v1")
    assert exporter.samples()['aforo_run_videos{run_id="a",state="uploaded"}'] == 1


def test_a_row_committed_late_is_counted_once(store: Store) -> None:
    exporter = Exporter(store)
    store.run("a", T0, count=2)
    store.upload("v1", "a", T0)
    exporter.now = T0 + 10
    exporter.samples()
    store.upload("late", "a", T0 + 10 - OVERLAP + 1)
    for _ in range(3):
        exporter.now += 1
        assert exporter.samples() == exporter.fresh()


def test_a_worker_whose_clock_is_ahead_hides_no_video(store: Store) -> None:
    exporter = Exporter(store)
    store.run("a", T0, count=2)
    store.upload("v1", "a", T0, state="done", updated_at=T0 + 3600)
    exporter.now = T0 + 10
    exporter.samples()
    store.upload("v2", "a", T0 + 11)
    exporter.now = T0 + 12
    assert exporter.samples() == exporter.fresh()


def test_a_final_row_that_changes_is_counted_again(store: Store) -> None:
    exporter = Exporter(store)
    store.run("a", T0, count=9)
    for name in ("v1", "v2"):
        store.upload(name, "a", T0, started_at=T0 + 1)
        store.finish(name, T0 + 5)
    exporter.now = T0 + 10
    exporter.samples()
    exporter.now = T0 + 500
    exporter.samples()
    store.finish("v1", T0 + 501, "failed", "corrupt")
    exporter.now = T0 + 502
    assert exporter.samples() == exporter.fresh()
    assert exporter.samples()['aforo_run_failed_videos{reason="corrupt",run_id="a"}'] == 1


def test_deleted_runs_are_forgotten_and_pushed_out_ones_stay_in_the_totals(store: Store) -> None:
    exporter = Exporter(store, runs=2)
    for number in range(4):
        store.run(f"r{number}", T0 + number, count=1)
        store.upload(f"v{number}", f"r{number}", T0 + number)
        exporter.now = T0 + number + 1
        assert exporter.samples() == exporter.fresh()
    assert exporter.samples()['aforo_videos{queue="",state="uploaded"}'] == 4
    store.delete_run("r3")
    assert exporter.samples()['aforo_videos{queue="",state="uploaded"}'] == 3
    exporter.source.build()
    assert exporter.samples() == exporter.fresh()
    assert exporter.samples()['aforo_videos{queue="",state="uploaded"}'] == 3


def test_the_oldest_of_few_runs_is_forgotten_when_it_is_deleted(store: Store) -> None:
    exporter = Exporter(store, runs=3)
    for number in range(2):
        store.run(f"r{number}", T0, count=1)
        store.upload(f"v{number}", f"r{number}", T0)
    exporter.now = T0 + 1
    exporter.samples()
    store.delete_run("r0")
    assert exporter.samples()['aforo_videos{queue="",state="uploaded"}'] == 1
    assert exporter.samples() == exporter.fresh()


def test_an_execution_whose_process_died_is_counted_without_an_end(store: Store) -> None:
    exporter = Exporter(store)
    store.run("a", T0, count=1)
    store.upload("v1", "a", T0)
    store.execution("v1", "a", "lost", None)
    store.execution("v1", "a", None, None)
    exporter.now = T0 + 100
    values = exporter.samples()
    assert values['aforo_run_executions{outcome="lost",run_id="a"}'] == 1
    assert values['aforo_run_executions{outcome="done",run_id="a"}'] == 0


def test_a_full_count_corrects_deleted_rows_and_counts_the_corrections(store: Store) -> None:
    exporter = Exporter(store)
    store.run("a", T0, count=2)
    store.upload("v1", "a", T0)
    store.upload("v2", "a", T0)
    store.finish("v2", T0 + 1)
    exporter.now = T0 + 2
    exporter.samples()
    store.delete_video("v1")
    assert exporter.samples() != exporter.fresh()
    exporter.source.build()
    assert exporter.samples() == exporter.fresh()
    assert exporter.source.corrected == 1


def test_an_old_run_that_appears_requests_a_full_count(store: Store) -> None:
    exporter = Exporter(store)
    store.run("imported", T0 - 9999, count=1)
    exporter.now = T0 + 1
    exporter.samples()
    assert exporter.source.rebuild_requested.is_set()


def test_a_run_that_ended_is_summed_by_the_database(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = Exporter(store)
    store.run("a", T0, count=1)
    store.upload("v1", "a", T0)
    exporter.samples()
    store.finish("v1", T0 + 5)
    exporter.now = T0 + 6
    aggregates = exporter.source._count.aggregates  # type: ignore[union-attr]
    counted: list[str] = []
    original: Callable[..., None] = aggregates.replace
    monkeypatch.setattr(aggregates, "replace", lambda run, *rest: (counted.append(run), original(run, *rest)))
    exporter.samples()
    exporter.samples()
    assert counted == ["a"]


def test_a_change_with_an_old_timestamp_is_counted_when_the_run_ends(store: Store) -> None:
    exporter = Exporter(store)
    store.run("a", T0, count=1)
    store.upload("v1", "a", T0, started_at=T0)
    exporter.now = T0 + 100
    exporter.samples()
    store.finish("v1", T0 + 100 - OVERLAP - 10)
    exporter.now = T0 + 101
    assert exporter.samples()['aforo_run_videos{run_id="a",state="done"}'] == 0
    store.change_run("a", status="finished")
    exporter.now = T0 + 102
    assert exporter.samples() == exporter.fresh()


def test_an_idle_scrape_reads_no_row(store: Store) -> None:
    exporter = Exporter(store)
    store.run("a", T0, count=100)
    for number in range(100):
        store.upload(f"v{number}", "a", T0)
    exporter.now = T0 + 1
    assert exporter.rows_read == 100
    exporter.now = T0 + 100
    exporter.samples()
    before = exporter.rows_read
    exporter.now = T0 + 200
    assert exporter.rows_read == before


@pytest.mark.parametrize("seed", range(4))
def test_an_incremental_count_equals_a_full_count_after_any_history(store: Store, seed: int) -> None:
    history = History(store, random.Random(seed))
    exporter = Exporter(store)
    for _ in range(30):
        exporter.now += history.random.choice([0.0, 0.25, 1.0, 7.0])
        for _ in range(history.random.randrange(4)):
            history.step(exporter.now)
        assert exporter.samples() == exporter.fresh()


class History:
    """Random changes by injector and workers.

    Some changes are committed late. The clocks differ by seconds.
    """

    def __init__(self, store: Store, chance: random.Random) -> None:
        self.store, self.random, self.runs = store, chance, 0
        self.states: dict[str, tuple[str, str]] = {}

    def step(self, now: float) -> None:
        moment = now - self.random.uniform(0, OVERLAP - 10) + self.random.choice([0, 0, 2])
        waiting = [video for video, (_, state) in self.states.items() if state == "uploaded"]
        busy = [video for video, (_, state) in self.states.items() if state == "processing"]
        act = self.random.choice(["upload", "upload", "claim", "finish", "finish", "lose", "give back", "run"])
        if act == "run" or not self.runs:
            self._start(now)
        elif act == "upload":
            self._upload(moment)
        elif act == "claim" and waiting:
            self._claim(self.random.choice(waiting), moment)
        elif busy:
            self._end(act, self.random.choice(busy), moment)

    def _start(self, now: float) -> None:
        self.runs += 1
        sustained = {"mode": "sustained", "rate_per_minute": 6.0, "window_seconds": 8.0}
        self.store.run(f"r{self.runs}", now, 3, **self.random.choice([{}, sustained]))

    def _upload(self, moment: float) -> None:
        video, run = f"v{len(self.states)}", f"r{self.random.randint(max(1, self.runs - 4), self.runs)}"
        self.store.upload(video, run, moment, intended_at=self.random.choice([None, moment - 0.5]))
        self.states[video] = (run, "uploaded")

    def _claim(self, video: str, moment: float) -> None:
        self.store.claim(video, moment)
        self.states[video] = (self.states[video][0], "processing")

    def _end(self, act: str, video: str, moment: float) -> None:
        run = self.states[video][0]
        if act == "give back":
            self.store.return_to_queue(video)
            self.store.execution(video, run, "retried", moment)
            self.states[video] = (run, "uploaded")
        elif act == "lose":
            self.store.execution(video, run, "lost", None)
        else:
            state = self.random.choice(["done", "done", "failed"])
            reason = "corrupt" if state == "failed" else None
            self.store.finish(video, moment, state, reason)
            self.store.execution(video, run, state, moment, transcode_seconds=0.5, ffmpeg_cpu_seconds=0.25)
            self.states[video] = (run, state)


def test_the_results_of_a_report_are_in_the_next_scrape_and_not_before(store: Store) -> None:
    exporter = Exporter(store)
    store.run("a", T0, count=1, status="finished")
    assert not [name for name in exporter.samples() if "capacity" in name or "verdict" in name]
    store.change_run("a", capacity_per_minute=6.0, stability="INCONCLUSIVE")
    values = exporter.samples()
    assert values['aforo_run_capacity_videos_per_minute{bound="estimate",run_id="a"}'] == 6.0
    assert 'aforo_run_capacity_videos_per_minute{bound="lower",run_id="a"}' not in values
    assert values['aforo_run_verdict{kind="stability",run_id="a",verdict="inconclusive"}'] == 1
    store.change_run("a", stability="STABLE")
    verdicts = [name for name in exporter.samples() if "verdict" in name]
    assert verdicts == ['aforo_run_verdict{kind="stability",run_id="a",verdict="stable"}']


def test_a_full_count_that_fails_later_is_an_error_of_one_scrape_and_the_values_are_served(store: Store) -> None:
    exporter, stop = Exporter(store), threading.Event()
    before = exporter.source.fetch()
    exporter.source.build = lambda: stop.set() or 1 / 0
    exporter.source.keep_building(stop)
    with pytest.raises(Incomplete) as failed:
        exporter.source.fetch()
    assert isinstance(failed.value.__cause__, ZeroDivisionError)
    assert len(failed.value.collected.families) == len(before.families)
    assert len(exporter.source.fetch().families) == len(before.families)
