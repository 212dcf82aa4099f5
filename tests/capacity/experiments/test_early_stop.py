import base64
import json
from collections import Counter

import pytest

from capacity.experiments.early_stop import Withdrawal, named_video
from core.models import RunRow, VideoRow
from core.video import VideoState
from tests.capacity.store import add_run, open_store, run_row


def body(video_id, run_id):
    task = [[], {"video_id": video_id, "run_id": run_id, "version": 1}, {}]
    envelope = {"body": base64.b64encode(json.dumps(task).encode()).decode()}
    return base64.b64encode(json.dumps(envelope).encode()).decode()


class Queue:
    """A standard queue: what was received is hidden until it is deleted or made visible again."""

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
    """A run of 14 videos of which two are done, one is being worked on and eleven wait."""
    return store_with(14, tmp_path)


def store_with(count, folder):
    """Return a store with a run of so many videos: two are done, the third is being worked on, the others wait."""
    sessions = open_store(folder / "w.db")
    with sessions.begin() as session:
        add_run(session, run_row(count=count), [2.0, 3.0], [9.0, 9.5])
        session.add_all(waiting(k) for k in range(2, count))
    with sessions.begin() as session:
        session.get_one(VideoRow, "r1-v2").state = VideoState.PROCESSING
        session.get_one(VideoRow, "r1-v2").execution_number = 1
    return sessions


def waiting(k):
    return VideoRow(
        id=f"r1-v{k}", run_id="r1", sequence=k, task_id=f"r1-t{k}", state=VideoState.UPLOADED, source_key="a",
        source_bytes=1, source_sha256="a", profile="full", uploaded_at=1000.0, sent_at=1000.0, updated_at=1000.0,
        execution_number=0,
    )  # fmt: skip


def videos(sessions):
    with sessions() as session:
        run = session.get_one(RunRow, "r1")
        states = [v.state for v in session.query(VideoRow).order_by(VideoRow.sequence)]
        return run.count, run.environment.get("asked_count"), states


def test_waiting_videos_leave_with_their_messages_and_the_run_expects_as_many_fewer(sessions):
    queue = Queue([body(f"r1-v{k}", "r1") for k in range(3, 14)])
    assert Withdrawal(queue, "url", sessions).take_back({"r1"}) == 11
    assert videos(sessions) == (3, 14, ["done", "done", "processing"])
    assert (queue.visible, queue.held) == ({}, {})


def test_a_video_in_work_stays_and_its_message_is_given_back(sessions):
    queue = Queue([body("r1-v2", "r1"), body("r1-v3", "r1")])
    assert Withdrawal(queue, "url", sessions).take_back({"r1"}) == 1
    assert videos(sessions)[0] == 13
    assert [named_video(text) for text in queue.visible.values()] == [("r1-v2", "r1")]


def test_messages_of_others_are_given_back_untouched(sessions):
    others = [body("x", "another run"), "not base64 at all", base64.b64encode(b"{}").decode()]
    queue = Queue([*others, body("r1-v3", "r1")])
    assert Withdrawal(queue, "url", sessions).take_back({"r1"}) == 1
    assert sorted(queue.visible.values()) == sorted(others)


def test_a_message_that_is_given_back_was_received_once_however_many_were_taken(tmp_path):
    """SQS makes a dead letter of what it hands out over and over."""
    sessions = store_with(120, tmp_path)
    others = [body(f"x{k}", "another run") for k in range(12)]
    queue = Queue([*others, *(body(f"r1-v{k}", "r1") for k in range(3, 120))])
    assert Withdrawal(queue, "url", sessions).take_back({"r1"}) == 117
    assert sorted(queue.visible.values()) == sorted(others)
    assert {queue.receives[text] for text in others} == {1}


def test_what_is_not_ours_is_given_back_also_when_the_taking_back_breaks_off(sessions):
    class Denied(Queue):
        def delete_message(self, **_options):
            raise PermissionError

    others = [body("x", "another run")]
    queue = Denied([body("r1-v3", "r1"), *others])
    with pytest.raises(PermissionError):
        Withdrawal(queue, "url", sessions).take_back({"r1"})
    assert list(queue.visible.values()) == others


def test_a_second_taking_back_keeps_what_was_asked_at_first(sessions):
    for k in (3, 4):
        Withdrawal(Queue([body(f"r1-v{k}", "r1")]), "url", sessions).take_back({"r1"})
    assert videos(sessions)[:2] == (12, 14)
