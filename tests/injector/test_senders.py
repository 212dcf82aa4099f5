import threading
import time

import pytest
from kombu.transport.SQS import Channel
from kombu.utils.json import loads

from aforo.sqs.validation import Call, read_call
from core.broker import make_celery
from core.database import open_engine, open_sessions, upgrade_schema
from core.errors import EnvironmentFault
from core.models import RunRow, VideoRow
from core.settings import Settings
from core.task_message import TaskMessage, encode_task
from injector.injection import paced
from injector.parallel_sender import MOST_CALLS, ParallelSender, send_videos
from injector.schedule import Schedule
from injector.senders import NewVideo, Sender, VideoSender
from testing.rows import run_row
from tests.injector.test_schedule import Clock
from worker.payload import check_payload

QUEUE_URL = "http://127.0.0.1:4566/000000000000/aforo-videos"


class BatchSqs:
    """Fake SQS client that rejects the first entry of a batch in the first `rejections` calls.

    `on_call` is called with the ids of the entries of each call before it is answered.
    """

    def __init__(self, rejections=0, on_call=lambda ids: None):
        self.rejections, self.bodies, self.calls, self.on_call = rejections, [], 0, on_call
        self.lock = threading.Lock()

    def send_message_batch(self, QueueUrl, Entries):  # noqa: N803
        with self.lock:
            self.calls += 1
            failed = Entries[:1] if self.calls <= self.rejections else []
        self.on_call([e["Id"] for e in Entries])
        self.bodies += [e["MessageBody"] for e in Entries if e not in failed]
        return {"Failed": [{"Id": e["Id"], "Code": "InternalError"} for e in failed]}


@pytest.fixture
def sessions(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/a.db")
    upgrade_schema(engine)
    sessions = open_sessions(engine)
    with sessions.begin() as session:
        session.add(run_row())
    return sessions


@pytest.fixture
def app():
    return make_celery(Settings.from_env({}), QUEUE_URL)


def videos(count):
    return [NewVideo("r", k, "uploads/a.mp4", 5, "", "full", None, None) for k in range(count)]


def test_kombu_reads_a_batched_message_as_one_of_its_own(app):
    kwargs = {"video_id": "v", "run_id": "r", "version": 1}
    body = encode_task(app, TaskMessage("aforo.process_video", "task-1", QUEUE_URL, kwargs=kwargs))
    call = read_call(body)
    assert call == Call("aforo.process_video", [], {"video_id": "v", "run_id": "r", "version": 1})
    assert check_payload(call) is None
    envelope = loads(Channel._optional_b64_decode(Channel, body.encode()))
    assert envelope["headers"]["task"] == "aforo.process_video"
    assert envelope["properties"]["correlation_id"] == "task-1"


@pytest.fixture
def maker(app, sessions, monkeypatch):
    monkeypatch.setattr("injector.senders.RETRY_SECONDS", 0.0)
    return lambda sqs: VideoSender(app, Sender(sqs, QUEUE_URL), sessions)


def test_ten_tasks_are_sent_in_one_call_and_each_row_is_confirmed(maker, sessions):
    sqs = BatchSqs()
    task_ids = send_videos(maker(sqs), videos(23))
    with sessions() as session:
        rows = session.query(VideoRow).all()
    assert (sqs.calls, len(set(task_ids)), len(rows)) == (3, 23, 23)
    assert all(row.sent_at >= row.uploaded_at for row in rows)
    assert len({row.uploaded_at for row in rows}) == 23


def test_rows_are_committed_before_their_batch_is_sent(maker, sessions):
    seen = []

    def count(ids):
        with sessions() as session:
            seen.append(session.query(VideoRow).filter(VideoRow.id.in_(ids), VideoRow.sent_at.is_(None)).count())

    send_videos(maker(BatchSqs(on_call=count)), videos(25))
    assert sorted(seen) == [5, 10, 10]


def test_several_batches_are_sent_at_the_same_time(maker):
    all_called = threading.Barrier(MOST_CALLS, timeout=30)  # a call is answered only when all the others have begun
    sqs = BatchSqs(on_call=lambda _: all_called.wait())
    send_videos(maker(sqs), videos(10 * MOST_CALLS))
    assert sqs.calls == MOST_CALLS


def test_slow_calls_leave_the_later_sends_of_a_paced_run_at_their_times(maker, sessions, monkeypatch):
    """Each call takes 0.3 s, in which three more videos are due at 600 per minute. The clock is the schedule's."""
    clock, moved, handed_over, begun = Clock(), threading.Condition(), [], []

    def answer_after_three_more_sends(_ids):
        with moved:
            begun.append(None)
            needed = min(20, len(begun) + 3)
            assert moved.wait_for(lambda: len(handed_over) >= needed, timeout=30), "the sender waits for its call"

    monkeypatch.setattr("injector.senders.time", clock)
    new = lambda k, intended_at: NewVideo("r", k, "uploads/a.mp4", 5, "", "full", None, intended_at)  # noqa: E731
    schedule, sqs = Schedule(20, rate_per_minute=600), BatchSqs(on_call=answer_after_three_more_sends)
    with ParallelSender(maker(sqs), "r", lambda _: None) as sender:
        for batch in paced(schedule, clock.now, new, clock.sleep, clock=clock.monotonic, wall_clock=clock.time):
            with moved:
                handed_over.extend(batch)
                moved.notify_all()
            sender.send(batch)
    with sessions() as session:
        rows = session.query(VideoRow).order_by(VideoRow.sequence).all()
    assert [row.intended_at - rows[0].intended_at for row in rows] == pytest.approx([0.1 * k for k in range(20)])
    assert [row.uploaded_at - row.intended_at for row in rows] == pytest.approx([0.0] * 20, abs=1e-6)
    assert (sqs.calls, all(row.sent_at for row in rows)) == (20, True)


def test_a_batch_is_confirmed_and_the_run_has_a_heartbeat_while_the_next_video_is_not_due(maker, sessions):
    with ParallelSender(maker(BatchSqs()), "r", lambda _: None) as sender:
        before = time.time()
        sender.send(videos(1))
        sender.rest(30.0)
        with sessions() as session:
            assert session.query(VideoRow).one().sent_at is not None
            assert session.get_one(RunRow, "r").heartbeat_at >= before


def test_after_an_error_the_calls_under_way_are_confirmed_and_none_is_repeated(maker, sessions):
    begun, release = threading.Event(), threading.Event()
    sqs = BatchSqs(rejections=1, on_call=lambda _: (begun.set(), release.wait(30)))
    with pytest.raises(KeyboardInterrupt), ParallelSender(maker(sqs), "r", lambda _: None) as sender:
        sender.send(videos(10))
        begun.wait(30)
        sender.send(videos(10))
        sender._stopping.set()  # as the end of the block does while the calls wait
        release.set()
        raise KeyboardInterrupt
    with sessions() as session:
        confirmed = session.query(VideoRow).filter(VideoRow.sent_at.is_not(None)).count()
    assert (sqs.calls, confirmed) == (2, 10)


def test_only_a_rejected_task_is_sent_again(maker):
    sqs = BatchSqs(rejections=2)
    send_videos(maker(sqs), videos(10))
    assert (sqs.calls, len(sqs.bodies), len(set(sqs.bodies))) == (3, 10, 10)


def test_rows_of_rejected_tasks_stay_unconfirmed(maker, sessions):
    with pytest.raises(EnvironmentFault, match=r"1 of 10 tasks were rejected 5 times \(InternalError\);"):
        send_videos(maker(BatchSqs(rejections=99)), videos(10))
    with sessions() as session:
        assert session.query(VideoRow).filter(VideoRow.sent_at.is_(None)).count() == 10
