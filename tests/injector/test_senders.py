import pytest
from kombu.transport.SQS import Channel
from kombu.utils.json import loads

from aforo.sqs.validation import Call, read_call
from core.broker import make_celery
from core.database import open_engine, open_sessions, upgrade_schema
from core.errors import EnvironmentFault
from core.models import VideoRow
from core.settings import Settings
from injector.senders import NewVideo, TaskMessage, VideoSender, encode_task
from testing.rows import run_row
from worker.payload import check_payload

QUEUE_URL = "http://127.0.0.1:4566/000000000000/aforo-videos"


class BatchSqs:
    """Fake SQS client that rejects the first entry of a batch in the first `rejections` calls."""

    def __init__(self, rejections=0):
        self.rejections, self.bodies, self.calls = rejections, [], 0

    def send_message_batch(self, QueueUrl, Entries):  # noqa: N803
        self.calls += 1
        failed = Entries[:1] if self.calls <= self.rejections else []
        self.bodies += [e["MessageBody"] for e in Entries if e not in failed]
        return {"Failed": [{"Id": e["Id"]} for e in failed]}


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


def test_ten_tasks_are_sent_in_one_call_and_each_row_is_confirmed(app, sessions, monkeypatch):
    sqs = BatchSqs()
    task_ids = VideoSender(app, sqs, QUEUE_URL, sessions).record_and_send(videos(23))
    with sessions() as session:
        rows = session.query(VideoRow).all()
    assert (sqs.calls, len(set(task_ids)), len(rows)) == (3, 23, 23)
    assert all(row.sent_at >= row.uploaded_at for row in rows)


def test_only_a_rejected_task_is_sent_again(app, sessions, monkeypatch):
    monkeypatch.setattr("injector.senders.time.sleep", lambda _: None)
    sqs = BatchSqs(rejections=2)
    VideoSender(app, sqs, QUEUE_URL, sessions).record_and_send(videos(10))
    assert (sqs.calls, len(sqs.bodies), len(set(sqs.bodies))) == (3, 10, 10)


def test_rows_of_rejected_tasks_stay_unconfirmed(app, sessions, monkeypatch):
    monkeypatch.setattr("injector.senders.time.sleep", lambda _: None)
    with pytest.raises(EnvironmentFault, match="1 of 10 tasks were rejected 5 times"):
        VideoSender(app, BatchSqs(rejections=99), QUEUE_URL, sessions).record_and_send(videos(10))
    with sessions() as session:
        assert session.query(VideoRow).filter(VideoRow.sent_at.is_(None)).count() == 10
