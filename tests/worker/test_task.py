"""One delivery of the task: the state of its video, and what happens to its message.

The message is deleted or returned to the queue.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest
from celery import Celery
from celery.exceptions import Reject, SoftTimeLimitExceeded
from sqlalchemy import select, update

from aforo.process_identity import WorkerProcess
from aforo.telemetry import event_channel
from aforo.telemetry.request_counting import outcome_of
from core.database import open_engine, open_sessions, upgrade_schema
from core.ffmpeg.profiles import PROFILES, Profile
from core.models import ExecutionRow, RunRow, VideoRow
from core.storage import DirectoryStorage
from core.video import TASK_NAME, Reason, VideoFailed
from testing.rows import run_row, video_row
from worker import task
from worker.claims import Claim, Claims
from worker.outage_log import OutageLog
from worker.slot import Slot
from worker.task import TaskContext

DEAD = WorkerProcess(WorkerProcess.this().node, 2**22 - 1, "x")


@dataclass
class Transcoder:
    """Fake transcoder: call `meanwhile`, then write the output, or raise `failure`."""

    failure: Exception | None = None
    meanwhile: object = field(default=lambda: None)
    profile: Profile | None = None

    def probe(self, source):
        return source

    def transcode(self, _source, target, profile, _media):
        self.profile = profile
        self.meanwhile()
        if self.failure:
            raise self.failure
        target.write_bytes(b"output")
        return SimpleNamespace(columns=dict, figures=dict)


def slot_of(process):
    return Slot(process, WorkerProcess.this(), 0)


@pytest.fixture
def context(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/a.db")
    upgrade_schema(engine)
    sessions, storage = open_sessions(engine), DirectoryStorage(tmp_path / "videos")
    (tmp_path / "source").write_bytes(b"source")
    stored = storage.upload(tmp_path / "source", "uploads/v.mp4")
    with sessions.begin() as session:
        session.add(run_row())
        session.flush()
        session.add(video_row(source_key=stored.key, source_bytes=6, source_sha256=stored.sha256))
    claims = Claims(sessions, lease_seconds=60, max_executions=2, processed_prefix="processed/")
    return TaskContext(
        lambda: slot_of(WorkerProcess.this()), claims, storage, Transcoder(), heartbeat=None, work_path=tmp_path
    )


class ResultChannel:
    """A channel that stores the result events."""

    def __init__(self):
        self.events = []

    def send(self, event):
        if event["kind"] == "result":
            self.events.append(event)


def deliver(context, video_id="v"):
    """Run the task on a message without an SQS receipt. Return the result that it sent to the metrics."""
    app, channel = Celery("t", broker="memory://", set_as_current=False), ResultChannel()
    task.register(app, lambda: context, OutageLog())
    event_channel.use(channel)
    try:
        assert app.tasks[TASK_NAME].run(video_id=video_id, run_id="r", version=1) is None
    finally:
        event_channel.use(None)
    (event,) = channel.events
    return event


def outcome_of_returned(context, video_id="v"):
    """Deliver a message that must return to the queue. Return its outcome in the metrics."""
    with pytest.raises(Reject) as rejected:
        deliver(context, video_id)
    assert rejected.value.requeue
    return outcome_of(pickle.loads(pickle.dumps(rejected.value)))  # noqa: S301 (as it reaches the main process)


def reason_of(context):
    with pytest.raises(VideoFailed) as failed:
        deliver(context)
    return failed.value.reason


def video(context):
    with context.claims.sessions() as session:
        return session.get_one(VideoRow, "v")


def outputs(context):
    return sorted(p.name for p in (context.storage.root / "processed").rglob("*") if p.is_file())


def claim(context, process):
    result = context.claims.claim("v", slot_of(process), 1, 1.0)
    assert isinstance(result, Claim)
    return result


def test_a_good_video_is_done_and_a_second_delivery_is_a_duplicate(context):
    result = deliver(context)
    assert (result["outcome"], result["bytes"]) == ("", {"in": 6, "out": 6})
    assert (video(context).state, video(context).output_key) == ("done", "processed/r/v.1.mp4")
    assert deliver(context) == {"kind": "result", "delivery": "", "outcome": "duplicate"}


def test_the_messages_of_a_held_and_of_an_unknown_video_return_to_the_queue(context):
    claim(context, WorkerProcess.this())
    assert outcome_of_returned(context) == "duplicate"
    assert outcome_of_returned(context, "unknown") == "rejected"


def test_an_unexpected_error_returns_the_message(context):
    context.claims.sessions.configure(bind=open_engine("sqlite://"))  # it has no tables
    assert outcome_of_returned(context) == "rejected"


def test_a_bug_of_ours_is_retried_and_then_internal(context):
    context.transcoder.failure = ZeroDivisionError()
    assert outcome_of_returned(context) == "retried"
    assert reason_of(context) is Reason.INTERNAL
    assert (video(context).state, video(context).reason) == ("failed", "internal")


def test_a_temporary_reason_is_retried_and_a_final_one_is_not(context):
    context.transcoder.failure = VideoFailed(Reason.DISK_FULL)
    assert outcome_of_returned(context) == "retried"
    assert video(context).state == "uploaded"
    context.transcoder.failure = VideoFailed(Reason.CORRUPT)
    assert reason_of(context) is Reason.CORRUPT


def test_a_missing_and_a_replaced_source_have_their_reasons(context):
    context.storage.delete("uploads/v.mp4")
    assert reason_of(context) is Reason.STORAGE_MISSING
    with context.claims.sessions.begin() as session:
        session.execute(update(VideoRow).values(state="uploaded", execution_number=0))
    (context.work_path / "other").write_bytes(b"other!")
    context.storage.upload(context.work_path / "other", "uploads/v.mp4")
    assert reason_of(context) is Reason.CORRUPT


def test_a_video_without_executions_left_fails_and_its_outputs_are_deleted(context):
    for _ in range(2):
        context.storage.upload(context.work_path / "source", claim(context, DEAD).output_key)
    (context.storage.root / "processed/r/.v.2.mp4.abc.part").write_bytes(b"half")
    assert reason_of(context) is Reason.WORKER_LOST
    assert outputs(context) == []


def test_the_next_execution_deletes_the_output_of_a_lost_one(context):
    context.storage.upload(context.work_path / "source", claim(context, DEAD).output_key)
    deliver(context)
    assert outputs(context) == ["v.2.mp4"]


@pytest.mark.parametrize("failure", [None, VideoFailed(Reason.CORRUPT)])
def test_an_output_that_a_stale_worker_uploads_during_the_work_is_deleted_at_the_end(context, failure):
    stale = claim(context, DEAD)
    context.transcoder = Transcoder(
        failure, lambda: context.storage.upload(context.work_path / "source", stale.output_key)
    )
    if failure is None:
        deliver(context)
    else:
        reason_of(context)
    assert outputs(context) == ([] if failure else ["v.2.mp4"])


def test_a_task_that_hangs_every_time_is_a_timeout(context):
    context.transcoder.failure = SoftTimeLimitExceeded()
    assert outcome_of_returned(context) == "retried"
    assert reason_of(context) is Reason.TIMEOUT
    assert (video(context).state, video(context).reason) == ("failed", "timeout")


def test_a_failed_execution_records_the_usage_of_ffmpeg(context):
    context.transcoder.failure = VideoFailed(Reason.STALLED)
    context.transcoder.failure.used = {"ffmpeg_cpu_seconds": 1.5, "ffmpeg_max_rss_bytes": 7}
    outcome_of_returned(context)
    with context.claims.sessions() as session:
        (execution,) = session.scalars(select(ExecutionRow))
    assert (execution.outcome, execution.ffmpeg_cpu_seconds, execution.ffmpeg_max_rss_bytes) == ("retried", 1.5, 7)


def test_an_execution_whose_upload_fails_records_the_usage_of_ffmpeg(context, monkeypatch):
    usage = {"ffmpeg_cpu_seconds": 2.5}
    monkeypatch.setattr(Transcoder, "transcode", lambda *_: SimpleNamespace(columns=lambda: usage, figures=dict))
    assert reason_of(context) is Reason.STORAGE_MISSING  # there is no file to upload
    with context.claims.sessions() as session:
        assert session.scalars(select(ExecutionRow.ffmpeg_cpu_seconds)).all() == [2.5]


def test_a_superseded_execution_deletes_its_output_and_returns_the_message(context):
    def supersede():
        with context.claims.sessions.begin() as session:
            session.execute(update(VideoRow).values(owner=DEAD.owner))
        winner = claim(context, WorkerProcess.this())
        context.storage.upload(context.work_path / "source", winner.output_key)

    context.transcoder.meanwhile = supersede
    assert outcome_of_returned(context) == "superseded"
    assert outputs(context) == ["v.2.mp4"]
    assert video(context).state == "processing"


def test_a_superseded_execution_that_fails_does_not_fail_the_video(context):
    def supersede():
        with context.claims.sessions.begin() as session:
            session.execute(update(VideoRow).values(owner=DEAD.owner))
        claim(context, WorkerProcess.this())

    context.transcoder = Transcoder(VideoFailed(Reason.CORRUPT), supersede)
    assert outcome_of_returned(context) == "superseded"
    assert (video(context).state, video(context).reason) == ("processing", None)


def test_a_denied_delete_does_not_fail_the_video(context, monkeypatch):
    claim(context, DEAD)
    monkeypatch.setattr(DirectoryStorage, "delete", lambda *_: (_ for _ in ()).throw(PermissionError("no")))
    deliver(context)
    assert video(context).state == "done"


def test_a_profile_of_the_users_own_comes_from_the_run(context):
    own = replace(PROFILES["hevc"], name="own-12345678", crf=31)
    with context.claims.sessions.begin() as session:
        session.execute(update(RunRow).values(environment={"profile": own.to_dict()}))
        session.execute(update(VideoRow).values(profile=own.name))
    deliver(context)
    assert context.transcoder.profile == own


def test_a_profile_with_a_name_is_ours(context):
    deliver(context)
    assert context.transcoder.profile == PROFILES["full"]
