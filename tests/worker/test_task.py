"""What one delivery of the task does, and what it makes of its message: deleted, or it comes again."""

from __future__ import annotations

import pickle
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest
from celery import Celery
from celery.exceptions import Reject, SoftTimeLimitExceeded
from sqlalchemy import select, update

from aforo.telemetry.request_counting import _outcome_of
from core.database import open_engine, open_sessions, upgrade_schema
from core.models import ExecutionRow, RunRow, VideoRow
from core.storage import DirectoryStorage
from core.video import TASK_NAME, Reason, VideoFailed
from worker import task
from worker.claims import Claim, Ledger
from worker.slot import Slot
from worker.task import Workshop

DEAD = Slot(Slot.this().node, 2**22 - 1, "x")


@dataclass
class Transcoder:
    """Makes its output at once, after `meanwhile`, or fails with `failure`."""

    failure: Exception | None = None
    meanwhile: object = field(default=lambda: None)

    def probe(self, source):
        return source

    def transcode(self, _source, target, _profile, _media):
        self.meanwhile()
        if self.failure:
            raise self.failure
        target.write_bytes(b"output")
        return SimpleNamespace(columns=dict, report=dict)


@pytest.fixture
def shop(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/a.db")
    upgrade_schema(engine)
    sessions, storage = open_sessions(engine), DirectoryStorage(tmp_path / "videos")
    (tmp_path / "source").write_bytes(b"source")
    stored = storage.publish(tmp_path / "source", "uploads/v.mp4")
    run = dict(size_label="1MB", size_bytes=6, count=1, concurrency=1, nodes=1, slots=1, profile="full", source="s")
    video = dict(sequence=0, task_id="t", state="uploaded", source_key=stored.key, source_bytes=6, profile="full")
    with sessions.begin() as session:
        session.add(RunRow(id="r", status="running", mode="burst", source_sha256="", created_at=0, **run))
        session.flush()
        session.add(VideoRow(id="v", run_id="r", source_sha256=stored.sha256, uploaded_at=1.0, updated_at=1.0, **video))
    ledger = Ledger(sessions, lease_seconds=60, max_attempts=2, processed_prefix="processed/")
    return Workshop(Slot.this(), ledger, storage, Transcoder(), heartbeat=None, work_path=tmp_path)


def deliver(shop, video_id="v"):
    """Run the task on a message without an SQS receipt."""
    app = Celery("t", broker="memory://", set_as_current=False)
    task.register(app, lambda: shop)
    return app.tasks[TASK_NAME].run(video_id=video_id, run_id="r", version=1)


def comes_again(shop, video_id="v"):
    """Return what the metrics count of a delivery whose message comes again."""
    with pytest.raises(Reject) as rejected:
        deliver(shop, video_id)
    assert rejected.value.requeue
    return _outcome_of(pickle.loads(pickle.dumps(rejected.value)))  # noqa: S301 (as it reaches the main process)


def reason_of(shop):
    with pytest.raises(VideoFailed) as failed:
        deliver(shop)
    return failed.value.reason


def video(shop):
    with shop.ledger.sessions() as session:
        return session.get_one(VideoRow, "v")


def outputs(shop):
    return sorted(p.name for p in (shop.storage.root / "processed").rglob("*") if p.is_file())


def claim(shop, slot):
    taken = shop.ledger.claim("v", slot, 1, 1.0)
    assert isinstance(taken, Claim)
    return taken


def test_a_good_video_is_done_and_a_second_delivery_is_a_duplicate(shop):
    assert deliver(shop)["aforo"]["bytes"] == {"in": 6, "out": 6}
    assert (video(shop).state, video(shop).output_key) == ("done", "processed/r/v.1.mp4")
    assert deliver(shop) == {"aforo": {"outcome": "duplicate"}}


def test_a_held_and_an_unknown_video_come_again(shop):
    claim(shop, Slot.this())
    assert comes_again(shop) == "duplicate"
    assert comes_again(shop, "nobody's") == "rejected"


def test_what_nobody_foresaw_comes_again(shop):
    shop.ledger.sessions.configure(bind=open_engine("sqlite://"))  # it has no tables
    assert comes_again(shop) == "rejected"


def test_an_error_of_ours_is_tried_again_and_then_internal(shop):
    shop.transcoder.failure = ZeroDivisionError()
    assert comes_again(shop) == "retried"
    assert reason_of(shop) is Reason.INTERNAL
    assert (video(shop).state, video(shop).reason) == ("failed", "internal")


def test_a_passing_reason_is_tried_again_and_a_final_one_is_not(shop):
    shop.transcoder.failure = VideoFailed(Reason.DISK_FULL)
    assert comes_again(shop) == "retried"
    assert video(shop).state == "uploaded"
    shop.transcoder.failure = VideoFailed(Reason.CORRUPT)
    assert reason_of(shop) is Reason.CORRUPT


def test_a_missing_and_an_exchanged_source_have_their_reasons(shop):
    shop.storage.delete("uploads/v.mp4")
    assert reason_of(shop) is Reason.STORAGE_MISSING
    with shop.ledger.sessions.begin() as session:
        session.execute(update(VideoRow).values(state="uploaded", execution_number=0))
    (shop.work_path / "other").write_bytes(b"other!")
    shop.storage.publish(shop.work_path / "other", "uploads/v.mp4")
    assert reason_of(shop) is Reason.CORRUPT


def test_a_used_up_video_is_failed_and_nothing_of_its_executions_is_left(shop):
    for _ in range(2):
        shop.storage.publish(shop.work_path / "source", claim(shop, DEAD).output_key)
    (shop.storage.root / "processed/r/.v.2.mp4.abc.part").write_bytes(b"half")
    assert reason_of(shop) is Reason.WORKER_LOST
    assert outputs(shop) == []


def test_the_next_execution_removes_what_a_lost_one_left(shop):
    shop.storage.publish(shop.work_path / "source", claim(shop, DEAD).output_key)
    deliver(shop)
    assert outputs(shop) == ["v.2.mp4"]


@pytest.mark.parametrize("failure", [None, VideoFailed(Reason.CORRUPT)])
def test_what_a_sleeper_publishes_after_the_clean_up_of_its_successor_is_removed_at_the_end(shop, failure):
    sleeper = claim(shop, DEAD)
    publish = lambda: shop.storage.publish(shop.work_path / "source", sleeper.output_key)  # noqa: E731
    shop.transcoder = Transcoder(failure, publish)
    if failure is None:
        deliver(shop)
    else:
        reason_of(shop)
    assert outputs(shop) == ([] if failure else ["v.2.mp4"])


def test_a_task_that_hangs_every_time_is_a_timeout(shop):
    shop.transcoder.failure = SoftTimeLimitExceeded()
    assert comes_again(shop) == "retried"
    assert reason_of(shop) is Reason.TIMEOUT
    assert (video(shop).state, video(shop).reason) == ("failed", "timeout")


def test_a_failed_execution_records_what_ffmpeg_used(shop):
    shop.transcoder.failure = VideoFailed(Reason.STALLED)
    shop.transcoder.failure.used = {"ffmpeg_cpu_seconds": 1.5, "ffmpeg_max_rss_bytes": 7}
    comes_again(shop)
    with shop.ledger.sessions() as session:
        (execution,) = session.scalars(select(ExecutionRow))
    assert (execution.outcome, execution.ffmpeg_cpu_seconds, execution.ffmpeg_max_rss_bytes) == ("retried", 1.5, 7)


def test_an_execution_that_cannot_publish_records_what_ffmpeg_used(shop, monkeypatch):
    cost = {"ffmpeg_cpu_seconds": 2.5}
    monkeypatch.setattr(Transcoder, "transcode", lambda *_: SimpleNamespace(columns=lambda: cost, report=dict))
    assert reason_of(shop) is Reason.STORAGE_MISSING  # there is nothing to publish
    with shop.ledger.sessions() as session:
        assert session.scalars(select(ExecutionRow.ffmpeg_cpu_seconds)).all() == [2.5]


def test_an_execution_that_was_overtaken_removes_its_output_and_leaves_the_message(shop):
    def overtake():
        with shop.ledger.sessions.begin() as session:
            session.execute(update(VideoRow).values(owner=DEAD.owner))
        winner = claim(shop, Slot.this())
        shop.storage.publish(shop.work_path / "source", winner.output_key)

    shop.transcoder.meanwhile = overtake
    assert comes_again(shop) == "superseded"
    assert outputs(shop) == ["v.2.mp4"]
    assert video(shop).state == "processing"


def test_an_execution_that_fails_after_it_was_overtaken_fails_nothing(shop):
    def overtake():
        with shop.ledger.sessions.begin() as session:
            session.execute(update(VideoRow).values(owner=DEAD.owner))
        claim(shop, Slot.this())

    shop.transcoder = Transcoder(VideoFailed(Reason.CORRUPT), overtake)
    assert comes_again(shop) == "superseded"
    assert (video(shop).state, video(shop).reason) == ("processing", None)


def test_what_may_not_be_removed_fails_nothing(shop, monkeypatch):
    claim(shop, DEAD)
    monkeypatch.setattr(DirectoryStorage, "delete", lambda *_: (_ for _ in ()).throw(PermissionError("no")))
    deliver(shop)
    assert video(shop).state == "done"
