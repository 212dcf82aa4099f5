import dataclasses
import time

import pytest
from sqlalchemy import select, update

from aforo.process_identity import WorkerProcess
from core.database import open_engine, open_sessions, upgrade_schema
from core.models import ExecutionRow, RunRow, VideoRow, WorkerRow
from core.video import Outcome, Reason, VideoState
from testing.rows import run_row, video_row
from worker.claims import SILENCE_SECONDS, Claim, ClaimDenied, Claims
from worker.slot import Slot

DONE = {"output_bytes": 7}


@pytest.fixture
def claims(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/a.db")
    upgrade_schema(engine)
    sessions = open_sessions(engine)
    with sessions.begin() as session:
        session.add(run_row())
        session.flush()
        session.add(video_row())
    return Claims(sessions, lease_seconds=60, max_executions=2, processed_prefix="processed/")


def claim(claims, process=None, number=0):
    this = WorkerProcess.this()
    return claims.claim("v", Slot(process or this, this, number), 1, time.time())


def slot_of(pid):
    this = WorkerProcess.this()
    return Slot(WorkerProcess(this.node, pid, this.start), this, 0)


def video(claims):
    with claims.sessions() as session:
        return session.get_one(VideoRow, "v")


def outcomes(claims):
    with claims.sessions() as session:
        return list(session.scalars(select(ExecutionRow.outcome).order_by(ExecutionRow.id)))


def test_a_video_is_claimed_once_and_done_once(claims):
    first = claim(claims)
    assert isinstance(first, Claim)
    assert claim(claims) is ClaimDenied.HELD
    assert claims.finish(first, VideoState.DONE, dict(DONE)) is Outcome.DONE
    assert claim(claims) is ClaimDenied.FINAL
    assert outcomes(claims) == ["done", "duplicate", "duplicate"]


def test_a_claim_of_a_dead_process_of_this_node_is_free_immediately(claims):
    this = WorkerProcess.this()
    dead = WorkerProcess(this.node, 2**22 - 1, this.start)
    assert isinstance(claim(claims, dead), Claim)
    second = claim(claims)
    assert isinstance(second, Claim)
    assert second.execution_number == 2
    assert outcomes(claims) == ["lost", None]


def test_a_video_starts_with_the_execution_that_ends_it(claims):
    claims.claim("v", slot_of(2**22 - 1), 1, 100.0)
    assert video(claims).started_at == 100.0
    last = claims.claim("v", slot_of(WorkerProcess.this().pid), 2, 160.0)
    claims.claim("v", slot_of(WorkerProcess.this().pid), 3, 170.0)
    claims.finish(last, VideoState.DONE, dict(DONE))
    assert (video(claims).started_at, outcomes(claims)) == (160.0, ["lost", "done", "duplicate"])


def test_a_reused_pid_does_not_keep_a_dead_claim_alive(claims):
    this = WorkerProcess.this()
    claim(claims, WorkerProcess(this.node, this.pid, "another"))
    assert isinstance(claim(claims), Claim)


def test_a_claim_of_another_node_is_valid_until_its_lease_ends(claims):
    claim(claims, WorkerProcess("elsewhere", 1, "x"))
    assert claim(claims) is ClaimDenied.HELD
    with claims.sessions.begin() as session:
        session.execute(update(VideoRow).values(lease_until=time.time() - 1))
    assert isinstance(claim(claims), Claim)


def test_a_stale_worker_cannot_overwrite_the_winner(claims):
    stale = claim(claims, WorkerProcess(WorkerProcess.this().node, 2**22 - 1, "x"))
    winner = claim(claims)
    assert claims.finish(winner, VideoState.DONE, dict(DONE)) is Outcome.DONE
    assert claims.finish(stale, VideoState.FAILED, {}, Reason.CORRUPT) is Outcome.SUPERSEDED
    assert (video(claims).state, video(claims).reason) == ("done", None)
    assert outcomes(claims) == ["superseded", "done"]
    assert not claims.renew(stale)


def test_a_temporary_reason_leaves_the_video_to_the_next_delivery_until_no_execution_is_left(claims):
    assert claims.release(claim(claims), Reason.DISK_FULL, {}) is Outcome.RETRIED
    assert claims.release(claim(claims), Reason.DISK_FULL, {}) is Outcome.FAILED
    assert (video(claims).state, video(claims).reason) == ("failed", "disk_full")


def test_a_video_whose_workers_die_every_time_is_failed(claims):
    dead = WorkerProcess(WorkerProcess.this().node, 2**22 - 1, "x")
    claim(claims, dead), claim(claims, dead)
    assert claim(claims) is ClaimDenied.EXHAUSTED
    assert (video(claims).state, video(claims).reason) == ("failed", "worker_lost")


def test_the_video_of_a_dead_lettered_message_fails_unless_the_message_is_forged_or_the_video_is_final(claims):
    assert claims.fail_dead_lettered("v", "forged") == ()
    assert claims.fail_dead_lettered("unknown", "t") == ()
    assert video(claims).state == "uploaded"
    assert claims.fail_dead_lettered("v", "t") == ()
    assert (video(claims).state, video(claims).reason) == ("failed", "dead_lettered")
    assert claim(claims) is ClaimDenied.FINAL


def test_a_dead_lettered_message_waits_for_the_end_of_a_live_execution(claims):
    held = claim(claims)
    assert claims.fail_dead_lettered("v", "t") is None
    assert claims.finish(held, VideoState.DONE, dict(DONE)) is Outcome.DONE
    assert claims.fail_dead_lettered("v", "t") == ()
    assert video(claims).state == "done"


def test_failing_a_dead_lettered_video_returns_the_keys_of_its_outputs(claims):
    dead = WorkerProcess(WorkerProcess.this().node, 2**22 - 1, "x")
    claim(claims, dead), claim(claims, dead)
    assert claims.fail_dead_lettered("v", "t") == ("processed/r/v.1.mp4", "processed/r/v.2.mp4")
    assert claims.fail_dead_lettered("v", "t") == ()


def test_an_execution_records_the_time_of_its_end_without_the_commit(claims):
    claims.release(claim(claims), Reason.DISK_FULL, {})
    claims.finish(claim(claims), VideoState.DONE, dict(DONE))
    with claims.sessions() as session:
        took = list(session.scalars(select(ExecutionRow.finish_seconds)))
    assert all(0 < seconds < 60 for seconds in took)


def test_a_worker_that_stops_frees_the_claims_of_its_dead_slots_only(claims):
    live = claim(claims)
    assert claims.release_dead_claims() == 0
    assert claims.renew(live)
    with claims.sessions.begin() as session:
        session.execute(update(VideoRow).values(owner=WorkerProcess(WorkerProcess.this().node, 2**22 - 1, "x").owner))
    assert claims.release_dead_claims() == 1
    assert video(claims).lease_until == 0


def test_a_run_with_open_videos_is_interrupted_and_a_complete_one_is_not(claims):
    current = claim(claims)
    assert claims.interrupt_runs() == 1
    with claims.sessions.begin() as session:
        session.execute(update(RunRow).values(status="running"))
    claims.finish(current, VideoState.DONE, dict(DONE))
    assert claims.interrupt_runs() == 0


ELSEWHERE, DEAD_HERE = WorkerProcess("elsewhere", 1, "x"), WorkerProcess(WorkerProcess.this().node, 2**22 - 1, "x")


def test_only_the_last_worker_to_stop_is_the_last(claims):
    claims.write_heartbeat(WorkerProcess.this())
    claims.write_heartbeat(ELSEWHERE)
    claims.write_heartbeat(DEAD_HERE)
    assert not claims.remove_worker(WorkerProcess.this())
    assert claims.remove_worker(ELSEWHERE)


def of_queue(claims, queue):
    return dataclasses.replace(claims, queue=queue)


def test_workers_of_another_queue_do_not_keep_the_last_one_of_a_queue_from_being_the_last(claims):
    audio, video = of_queue(claims, "audio"), of_queue(claims, "video")
    audio.write_heartbeat(ELSEWHERE)
    video.write_heartbeat(WorkerProcess.this())
    assert video.remove_worker(WorkerProcess.this())
    claims.write_heartbeat(WorkerProcess.this())  # a worker from before the column has no queue
    assert not audio.remove_worker(ELSEWHERE)


@pytest.mark.parametrize(("recorded", "interrupted"), [("video", 1), (None, 1), ("audio", 0)])
def test_the_last_worker_of_a_queue_interrupts_the_runs_of_this_queue_only(claims, recorded, interrupted):
    claim(claims)
    with claims.sessions.begin() as session:
        session.execute(update(RunRow).values(environment={} if recorded is None else {"queue": recorded}))
    assert of_queue(claims, "video").interrupt_runs() == interrupted


def test_a_worker_without_recent_heartbeat_does_not_count(claims):
    claims.write_heartbeat(ELSEWHERE)
    with claims.sessions.begin() as session:
        session.execute(update(WorkerRow).values(seen_at=time.time() - SILENCE_SECONDS - 1))
    assert claims.remove_worker(WorkerProcess.this())
    claims.write_heartbeat(ELSEWHERE)
    assert not claims.remove_worker(WorkerProcess.this())


def test_each_execution_has_its_own_output_key(claims):
    first = claim(claims, WorkerProcess(WorkerProcess.this().node, 2**22 - 1, "x"))
    second = claim(claims)
    assert (first.output_key, second.output_key) == ("processed/r/v.1.mp4", "processed/r/v.2.mp4")
