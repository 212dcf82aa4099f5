from __future__ import annotations

from collections.abc import Callable
from threading import Event, Thread

import numpy as np
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from core.settings import Settings
from exporters.exposition import Collected, Incomplete
from exporters.faults import Fault, SourceNotReady
from exporters.sqs.queue_watcher import CONCURRENCY, DISCOVERY_SECONDS, CallCounter, QueueWatcher
from exporters.sqs.source import MOST_EXPECTED_QUEUES, QueueSource, SqsSources
from tests.exporters.fakes import FakeQueues
from tests.exporters.store import Store
from tests.exporters.watches import values, watching

T0 = 1_790_000_000.0
SETTINGS = Settings.from_env({"SQS_QUEUE_NAME": "videos"})


class Exporter:
    def __init__(self, fake: FakeQueues, *patterns: str) -> None:
        self.now, counter = T0, CallCounter()
        counter.attach(fake.client)
        watcher = QueueWatcher(fake.client, patterns, monotonic=lambda: self.now)
        self.source = QueueSource(watcher, counter, SETTINGS.exporters, clock=lambda: self.now)

    def poll(self, after: float = 0.0) -> None:
        self.now += after
        self.source.poll()


def happened(collected: Collected, name: str) -> dict[tuple[str, ...], float]:
    return {labels: value for labels, value in values(collected, name).items() if value}


def test_the_errors_of_a_queue_are_0_before_the_first_unless_there_are_many() -> None:
    fake = FakeQueues()
    for number in range(MOST_EXPECTED_QUEUES):
        fake.make(f"q{number}")
    few, many = Exporter(fake, "q0"), Exporter(fake, "q*", "x")
    few.poll()
    many.poll()
    assert values(few.source.fetch(), "aforo_sqs_poll_errors") == {("q0", fault): 0 for fault in Fault}
    with pytest.raises(Incomplete) as caught:
        many.source.fetch()
    assert values(caught.value.collected, "aforo_sqs_poll_errors") == {("x", Fault.NOT_FOUND): 1}


def test_there_are_no_values_before_the_first_poll() -> None:
    with pytest.raises(SourceNotReady):
        Exporter(FakeQueues(), "videos").source.fetch()


def test_a_prefix_matches_queues_on_every_page_and_new_queues_after_a_minute() -> None:
    fake = FakeQueues(page=2)
    for number in range(5):
        fake.make(f"team-{number}", visible=number)
    exporter = Exporter(fake, "team-*")
    exporter.poll()
    visible = values(exporter.source.fetch(), "aforo_sqs_messages_visible")
    assert visible == {(f"team-{n}",): n for n in range(5)}
    fake.make("team-new")
    exporter.poll(after=DISCOVERY_SECONDS - 1)
    assert ("team-new",) not in values(exporter.source.fetch(), "aforo_sqs_messages_visible")
    exporter.poll(after=1)
    assert ("team-new",) in values(exporter.source.fetch(), "aforo_sqs_messages_visible")


def test_a_queue_that_does_not_answer_is_absent_and_the_other_queues_are_exposed() -> None:
    fake = FakeQueues()
    fake.make("a", visible=1)
    fake.make("b", visible=2)
    exporter = Exporter(fake, "a", "b")
    exporter.poll()
    fake.broken["b"] = ReadTimeoutError(endpoint_url="http://sqs.test")
    exporter.poll(after=5)
    with pytest.raises(Incomplete) as caught:
        exporter.source.fetch()
    collected = caught.value.collected
    assert values(collected, "aforo_sqs_messages_visible") == {("a",): 1}
    assert values(collected, "aforo_sqs_last_success_timestamp_seconds") == {("a",): T0 + 5, ("b",): T0}
    assert happened(collected, "aforo_sqs_poll_errors") == {("b", Fault.TIMEOUT): 1}


def test_a_denied_list_of_queues_is_counted_and_affects_no_other_queue() -> None:
    fake = FakeQueues()
    for name in ("named", "team-a"):
        fake.make(name)
    exporter = Exporter(fake, "named", "team-*")
    exporter.poll()
    fake.broken["ListQueues"] = ClientError({"Error": {"Code": "AccessDeniedException"}}, "ListQueues")
    exporter.poll(after=DISCOVERY_SECONDS)
    with pytest.raises(Incomplete) as caught:
        exporter.source.fetch()
    collected = caught.value.collected
    assert values(collected, "aforo_sqs_messages_visible") == {("named",): 0, ("team-a",): 0}
    assert happened(collected, "aforo_sqs_poll_errors") == {("team-*", Fault.DENIED): 1}
    fake.broken.clear()
    fake.make("team-b")
    exporter.poll(after=5)
    assert ("team-b",) in values(exporter.source.fetch(), "aforo_sqs_messages_visible")


def test_an_old_reading_is_not_exposed() -> None:
    fake = FakeQueues()
    fake.make("a")
    exporter = Exporter(fake, "a")
    exporter.poll()
    exporter.now += 66
    with pytest.raises(Incomplete) as caught:
        exporter.source.fetch()
    assert "aforo_sqs_messages" not in caught.value.collected.text
    assert values(caught.value.collected, "aforo_sqs_last_success_timestamp_seconds") == {("a",): T0}


def test_a_dead_letter_queue_shared_by_many_is_read_once() -> None:
    fake = FakeQueues()
    fake.make("dead", visible=3, in_flight=1)
    for name in ("a", "b"):
        fake.make(name, dead_letters="dead", max_receive_count=5)
    exporter = Exporter(fake, "a", "b")
    exporter.poll()
    collected = exporter.source.fetch()
    assert values(collected, "aforo_sqs_dead_letter_messages") == {("a",): 4, ("b",): 4}
    assert values(collected, "aforo_sqs_api_calls") == {("GetQueueAttributes",): 3, ("GetQueueUrl",): 3}


def test_a_dead_letter_queue_that_matches_the_prefix_is_exposed_only_with_its_source_queue() -> None:
    fake = FakeQueues()
    fake.make("team-a-dlq", visible=1)
    fake.make("team-a", dead_letters="team-a-dlq", max_receive_count=5)
    exporter = Exporter(fake, "team-*")
    exporter.poll()
    collected = exporter.source.fetch()
    assert values(collected, "aforo_sqs_messages_visible") == {("team-a",): 0}
    assert values(collected, "aforo_sqs_dead_letter_messages") == {("team-a",): 1}
    assert not exporter.source.is_busy
    fake.broken["team-a"] = ReadTimeoutError(endpoint_url="http://sqs.test")
    exporter.poll(after=5)
    with pytest.raises(Incomplete) as caught:
        exporter.source.fetch()
    assert values(caught.value.collected, "aforo_sqs_messages_visible") == {}


def test_a_months_cost_follows_from_the_calls_of_the_last_polls() -> None:
    fake = FakeQueues()
    fake.make("a")
    exporter = Exporter(fake, "a")
    for _ in range(25):
        exporter.poll(after=5)
    cost = values(exporter.source.fetch(), "aforo_sqs_api_cost_usd_per_month")
    assert cost == {(): pytest.approx(30 * 24 * 3600 / 5 * 0.40e-6)}


def test_close_cancels_the_reads_that_have_not_started() -> None:
    fake, answered = FakeQueues(), Event()
    fake.make("a")
    fake.client.get_queue_url = lambda **_: answered.wait(30)
    exporter = Exporter(fake, *(f"a{n}" for n in range(CONCURRENCY + 5)))
    polling = Thread(target=exporter.poll, daemon=True)
    polling.start()
    while len(exporter.source.watcher._pool._threads) < CONCURRENCY:
        polling.join(0.01)
    exporter.source.watcher.close()
    assert exporter.source.watcher._pool._work_queue.qsize() <= 1
    answered.set()
    polling.join(30)
    assert not polling.is_alive()


def test_a_clock_set_back_makes_no_negative_cost() -> None:
    fake = FakeQueues()
    fake.make("a")
    exporter = Exporter(fake, "a")
    exporter.poll()
    exporter.poll(after=-60)
    assert values(exporter.source.fetch(), "aforo_sqs_api_cost_usd_per_month") == {}


class Stop(Event):
    """An event whose waits pass on a clock of the test, and that is set after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.now, self.end, self.at = T0, T0 + seconds, dict[float, Callable[[], None]]()

    def wait(self, timeout: float | None = None) -> bool:
        self.now += timeout or 0.0
        for moment in [moment for moment in self.at if moment <= self.now]:
            self.at.pop(moment)()
        return self.is_set()

    def is_set(self) -> bool:
        return self.now >= self.end


def poll_times(fake: FakeQueues, store: Store, stop: Stop) -> list[float]:
    """Return the seconds at which SQS was polled until `stop` is set."""
    watch, moments = watching(fake, of_store(store), clock=lambda: stop.now), list[float]()
    read = watch.queues.poll
    watch.queues.poll = lambda: (moments.append(stop.now - T0), read())[1]  # type: ignore[method-assign]
    watch.keep_polling(stop)
    return moments


def test_the_start_of_a_run_of_any_app_wakes_the_polls_and_its_end_slows_them(store: Store) -> None:
    fake, stop = FakeQueues(), Stop(200)
    fake.make("videos")
    stop.at[T0 + 31] = lambda: store.run("theirs", T0 + 31, count=1)
    stop.at[T0 + 91] = lambda: store.change_run("theirs", status="finished")
    moments = np.array(poll_times(fake, store, stop))
    during = moments[(moments >= 31) & (moments < 91)]
    assert moments[:4].tolist() == [0, 15, 30, 31]
    assert 48 <= during.size <= 72
    assert 0.5 <= np.diff(during).min() < np.diff(during).max() <= 1.5
    assert np.diff(moments[moments > 93]).tolist() == [15.0] * 6


def test_a_run_whose_injector_died_does_not_keep_the_polls_frequent(store: Store) -> None:
    fake = FakeQueues()
    fake.make("videos")
    store.run("dead", T0 - 100, count=1)
    store.run("paced", T0 - 3600, count=1, rate_per_minute=0.1, status="interrupted")
    assert poll_times(fake, store, Stop(60)) == [0, 15, 30, 45]


def test_messages_without_a_run_are_polled_at_the_busy_interval(store: Store) -> None:
    fake = FakeQueues()
    fake.make("videos", in_flight=1)
    assert poll_times(fake, store, Stop(20)) == [0, 5, 10, 15]


def test_the_oldest_message_is_the_first_sent_task_that_no_worker_has_claimed(store: Store) -> None:
    fake = FakeQueues()
    fake.make("videos", visible=3)
    watch = watching(fake, of_store(store))
    store.run("a", T0, count=4)
    assert oldest_message(watch) == {}
    store.upload("unsent", "a", T0, sent_at=None)
    store.upload("taken", "a", T0 + 1, sent_at=T0 + 1.5)
    store.upload("waits", "a", T0 + 2, sent_at=T0 + 2.5)
    store.claim("taken", T0 + 3)
    assert oldest_message(watch) == {("videos",): T0 + 2.5}


def test_a_waiting_video_of_a_purged_queue_is_not_a_message(store: Store) -> None:
    fake = FakeQueues()
    fake.make("videos", visible=1)
    watch = watching(fake, of_store(store))
    store.run("a", T0, count=1)
    store.upload("v", "a", T0, sent_at=T0)
    assert oldest_message(watch) == {("videos",): T0}
    fake.make("videos", visible=0)
    assert oldest_message(watch) == {}


def of_store(store: Store) -> Settings:
    return Settings.from_env({"SQS_QUEUE_NAME": "videos", "AFORO_DATABASE_URL": store.url})


def oldest_message(watch: SqsSources) -> dict[tuple[str, ...], float]:
    watch.poll()
    return values(watch.oldest_message.fetch(), "aforo_sqs_oldest_message_timestamp_seconds")
