"""Videos are lost if the queue holds no message of them and no worker works on them, for long enough."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import update

from core.database import open_engine, open_sessions, upgrade_schema
from core.errors import RunFailed
from core.lost_videos import LOST_VIDEOS, Look, LossWatch, look_at, require_no_loss
from core.models import RunRow, VideoRow
from testing.emulator import sqs_client
from testing.rows import run_row, video_row

GONE = Look(messages=0, dead_letters=0, open_videos=26, live_claims=0)


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def found_at(looks, silence_seconds=30, seconds=400):
    """Return when a watch that looks every second, and sees `looks(now)`, found a loss, and of how many videos."""
    clock = Clock()
    watch = LossWatch(lambda: looks(clock.now), silence_seconds, clock)
    for clock.now in range(seconds):
        if lost := watch.lost_videos():
            return clock.now, lost
    return None


def test_open_videos_without_messages_are_lost_after_two_minutes():
    assert found_at(lambda _now: GONE) == (120, 26)


def test_a_longer_visibility_timeout_is_waited_for():
    assert found_at(lambda _now: GONE, silence_seconds=300) == (300, 26)


@pytest.mark.parametrize(
    "look",
    [
        None,
        Look(messages=1, dead_letters=0, open_videos=26, live_claims=0),
        Look(messages=0, dead_letters=0, open_videos=26, live_claims=1),
        Look(messages=0, dead_letters=0, open_videos=0, live_claims=0),
    ],
    ids=["no answer", "a message", "a live claim", "all have ended"],
)
def test_nothing_is_lost_while(look):
    assert found_at(lambda _now: look) is None


def test_a_further_dead_letter_begins_the_silence_again_and_older_ones_do_not_matter():
    old, new = Look(0, 5, 26, 0), Look(0, 6, 26, 0)
    assert found_at(lambda now: old if now < 10 else new) == (130, 26)
    assert found_at(lambda _now: old) == (120, 26)


def test_one_dead_letter_early_in_a_run_does_not_hide_a_later_loss():
    look = lambda now: Look(0 if now >= 60 else 20, int(now >= 20), 20, 0)  # noqa: E731
    assert found_at(look) == (175, 20)


def test_nothing_is_lost_while_messages_are_dead_lettered():
    assert found_at(lambda now: Look(0, now // 60, 26, 0)) is None


def test_a_video_that_ends_begins_the_silence_again():
    assert found_at(lambda now: GONE if now < 100 else Look(0, 0, 25, 0)) == (220, 25)


@pytest.fixture
def sessions(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/a.db")
    upgrade_schema(engine)
    sessions = open_sessions(engine)
    with sessions.begin() as session:
        session.add(run_row(count=3))
        session.flush()
        session.add_all(video_row(id=f"v{k}", sequence=k) for k in range(3))
        session.flush()
        session.execute(update(VideoRow).where(VideoRow.id == "v0").values(state="done"))
        session.execute(update(VideoRow).where(VideoRow.id == "v1").values(lease_until=time.time() + 60))
    return sessions


def test_the_numbers_are_those_of_the_queues_and_of_the_run(sqs_queue, sessions):
    queue = sqs_queue()
    for url in (queue.url, queue.url, queue.dead_letter_url):
        queue.client.send_message(QueueUrl=url, MessageBody="x")
    assert look_at(queue.client, queue.url, sessions, "r") == Look(2, 1, 2, 1)


def test_a_deleted_queue_holds_nothing(sqs_queue, sessions):
    queue = sqs_queue()
    queue.client.delete_queue(QueueUrl=queue.dead_letter_url)
    assert look_at(queue.client, queue.url, sessions, "r") == Look(0, 0, 2, 1)
    queue.client.delete_queue(QueueUrl=queue.url)
    assert look_at(queue.client, queue.url, sessions, "r") == Look(0, 0, 2, 1)


def test_a_loss_after_the_dead_letter_queue_was_deleted_in_the_run_is_found(sqs_queue, sessions):
    queue = sqs_queue()
    for url in (queue.url, queue.dead_letter_url):
        queue.client.send_message(QueueUrl=url, MessageBody="x")
    with sessions.begin() as session:
        session.execute(update(VideoRow).where(VideoRow.id == "v1").values(lease_until=None))
    clock = Clock()
    watch = LossWatch(lambda: look_at(queue.client, queue.url, sessions, "r"), 0, clock)
    assert watch.lost_videos() == 0
    queue.client.delete_queue(QueueUrl=queue.dead_letter_url)
    clock.now = 130.0
    assert watch.lost_videos() == 0  # the message of one of the videos is still there
    queue.client.purge_queue(QueueUrl=queue.url)
    clock.now = 200.0
    assert watch.lost_videos() == 0
    clock.now = 325.0
    assert watch.lost_videos() == 2


def test_an_sqs_that_does_not_answer_proves_nothing(sqs_queue, sessions):
    assert look_at(sqs_client("http://127.0.0.1:1"), sqs_queue().url, sessions, "r") is None


def test_a_loss_is_recorded_and_fails_the_run(sessions):
    clock = Clock()
    watch = LossWatch(lambda: Look(0, 0, 2, 0), 0, clock)
    with pytest.raises(RunFailed, match=r"2 of 3 videos were lost by the queue; see whether the queue was deleted"):
        for clock.now in range(200):
            require_no_loss(watch, sessions, "r")
    with sessions() as session:
        assert session.get_one(RunRow, "r").environment[LOST_VIDEOS] == 2
