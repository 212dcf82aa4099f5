import base64
import json
from collections import Counter

import numpy as np
import pytest

from capacity.estimators.queue_simulation import lognormal
from capacity.estimators.slots import Executions
from capacity.experiments.early_stop import QueuedVideos, finished_prefix, knows_enough, may_stop, precision, video_of
from core.models import RunRow, VideoRow
from core.video import VideoState
from tests.capacity.store import add_run, open_store, run_row, waiting


def body(video_id, run_id):
    task = [[], {"video_id": video_id, "run_id": run_id, "version": 1}, {}]
    envelope = {"body": base64.b64encode(json.dumps(task).encode()).decode()}
    return base64.b64encode(json.dumps(envelope).encode()).decode()


class Queue:
    """Fake of an SQS standard queue.

    A received message is invisible until it is deleted or made visible.
    """

    def __init__(self, bodies):
        self.visible, self.held, self.receives = dict(enumerate(bodies)), {}, Counter()

    def receive_message(self, **_options):
        taken = [self.visible.popitem() for _ in range(min(10, len(self.visible)))]
        self.held |= dict(taken)
        self.receives.update(text for _, text in taken)
        return {"Messages": [{"ReceiptHandle": key, "Body": text} for key, text in taken]}

    def delete_message(self, QueueUrl, ReceiptHandle):  # noqa: N803 (boto3's names)
        del self.held[ReceiptHandle]

    def change_message_visibility_batch(self, QueueUrl, Entries):  # noqa: N803
        assert len(Entries) <= 10
        for entry in Entries:
            self.visible[entry["ReceiptHandle"]] = self.held.pop(entry["ReceiptHandle"])


@pytest.fixture
def sessions(tmp_path):
    """Return the sessions of a store with a run of 14 videos.

    Two are done, one is in process, and eleven wait.
    """
    return store_with(14, tmp_path)


def store_with(count, folder):
    """Return a store with a run of `count` videos.

    Two are done, the third is in process, and the others wait.
    """
    sessions = open_store(folder / "w.db")
    with sessions.begin() as session:
        add_run(session, run_row(count=count), [2.0, 3.0], [9.0, 9.5])
        session.add_all(waiting(k) for k in range(2, count))
    with sessions.begin() as session:
        session.get_one(VideoRow, "r1-v2").state = VideoState.PROCESSING
        session.get_one(VideoRow, "r1-v2").execution_number = 1
    return sessions


def videos(sessions):
    with sessions() as session:
        run = session.get_one(RunRow, "r1")
        states = [v.state for v in session.query(VideoRow).order_by(VideoRow.sequence)]
        return run.count, run.environment.get("asked_count"), states


def test_waiting_videos_are_cancelled_with_their_messages_and_the_run_expects_fewer(sessions):
    queue = Queue([body(f"r1-v{k}", "r1") for k in range(3, 14)])
    assert QueuedVideos(queue, "url", sessions).cancel({"r1"}) == 11
    assert videos(sessions) == (3, 14, ["done", "done", "processing"])
    assert (queue.visible, queue.held) == ({}, {})


def test_a_video_in_process_stays_and_its_message_becomes_visible(sessions):
    queue = Queue([body("r1-v2", "r1"), body("r1-v3", "r1")])
    assert QueuedVideos(queue, "url", sessions).cancel({"r1"}) == 1
    assert videos(sessions)[0] == 13
    assert [video_of(text) for text in queue.visible.values()] == [("r1-v2", "r1")]


def test_other_messages_become_visible_again_unchanged(sessions):
    others = [body("x", "another run"), "not base64 at all", base64.b64encode(b"{}").decode()]
    queue = Queue([*others, body("r1-v3", "r1")])
    assert QueuedVideos(queue, "url", sessions).cancel({"r1"}) == 1
    assert sorted(queue.visible.values()) == sorted(others)


def test_other_messages_are_received_only_once(tmp_path):
    """SQS dead-letters a message that is received too often."""
    sessions = store_with(120, tmp_path)
    others = [body(f"x{k}", "another run") for k in range(12)]
    queue = Queue([*others, *(body(f"r1-v{k}", "r1") for k in range(3, 120))])
    assert QueuedVideos(queue, "url", sessions).cancel({"r1"}) == 117
    assert sorted(queue.visible.values()) == sorted(others)
    assert {queue.receives[text] for text in others} == {1}


def test_other_messages_become_visible_again_also_when_cancelling_fails(sessions):
    class Denied(Queue):
        def delete_message(self, **_options):
            raise PermissionError

    others = [body("x", "another run")]
    queue = Denied([body("r1-v3", "r1"), *others])
    with pytest.raises(PermissionError):
        QueuedVideos(queue, "url", sessions).cancel({"r1"})
    assert list(queue.visible.values()) == others


def test_a_second_cancelling_keeps_the_count_first_requested(sessions):
    for k in (3, 4):
        QueuedVideos(Queue([body(f"r1-v{k}", "r1")]), "url", sessions).cancel({"r1"})
    assert videos(sessions)[:2] == (12, 14)


def test_the_upload_times_of_cancelled_videos_are_kept_as_their_mean(sessions):
    with sessions.begin() as session:
        for k, seconds in ((3, 6.0), (4, 0.0), (5, 3.0)):
            session.get_one(VideoRow, f"r1-v{k}").uploaded_at = 1000.0 + seconds
    QueuedVideos(Queue([body(f"r1-v{k}", "r1") for k in (3, 4, 5)]), "url", sessions).cancel({"r1"})
    with sessions() as session:
        assert session.get_one(RunRow, "r1").environment["cancelled_uploaded_at_mean"] == pytest.approx(1003.0)


def test_only_the_unbroken_prefix_in_start_order_counts():
    assert finished_prefix(np.array([1.0, 2.0, np.nan, 3.0])) == pytest.approx([1.0, 2.0])


def test_a_burst_stops_when_twelve_cycles_are_precise():
    steady = np.tile([29.0, 31.0], 6)
    assert precision(steady) == pytest.approx(0.0221, abs=1e-3)
    assert may_stop(steady)
    assert not may_stop(steady[:11])
    assert not may_stop(np.tile([20.0, 40.0], 6))


def test_one_cycle_has_no_precision():
    assert np.isnan(precision(np.array([30.0])))


def test_stopping_early_keeps_most_of_the_coverage():
    """With CV 0.10 a burst stops near 17 videos, with coverage 0.93 (docs/method.md)."""
    rng = np.random.default_rng(0)
    used, hits = [], 0
    for _ in range(300):
        cycles = lognormal(rng, 1.0, 0.1, 100)
        stop = next(n for n in range(12, 101) if may_stop(cycles[:n]))
        used.append(stop)
        hits += abs(cycles[:stop].mean() - 1) <= precision(cycles[:stop]) * cycles[:stop].mean()
    assert 14 <= np.mean(used) <= 20
    assert hits / 300 >= 0.88


@pytest.mark.parametrize(("unfinished_since", "enough"), [(None, True), (1000.0, True), (10.0, False)])
def test_a_burst_in_progress_is_judged_by_what_began_before_the_first_unfinished_execution(unfinished_since, enough):
    start = np.arange(20) * 5.0
    executions = Executions(start, start + 5 + 0.1 * (np.arange(20) % 2), np.ones(20, bool), np.zeros(20, np.int64))
    assert knows_enough(executions, 1, unfinished_since) is enough
