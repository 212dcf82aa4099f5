import time

import pytest
from sqlalchemy import select, update

from core.database import open_engine, open_sessions, upgrade_schema
from core.models import ExecutionRow, RunRow, VideoRow, WorkerRow
from core.video import Outcome, Reason, VideoState
from worker.claims import SILENCE_SECONDS, Claim, Ledger, Refusal
from worker.slot import Slot

DONE = {"output_bytes": 7}


@pytest.fixture
def ledger(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/a.db")
    upgrade_schema(engine)
    sessions = open_sessions(engine)
    run = dict(size_label="5MB", size_bytes=5, count=1, concurrency=1, nodes=1, slots=1, profile="full")
    video = dict(
        sequence=0, task_id="t", state="uploaded", source_key="k", source_bytes=5, source_sha256="", profile="full"
    )
    with sessions.begin() as session:
        session.add(RunRow(id="r", status="running", mode="burst", source="", source_sha256="", created_at=0, **run))
        session.flush()
        session.add(VideoRow(id="v", run_id="r", uploaded_at=1.0, updated_at=1.0, **video))
    return Ledger(sessions, lease_seconds=60, max_attempts=2, processed_prefix="processed/")


def claim(ledger, slot=None):
    return ledger.claim("v", slot or Slot.this(), 1, time.time())


def video(ledger):
    with ledger.sessions() as session:
        return session.get_one(VideoRow, "v")


def outcomes(ledger):
    with ledger.sessions() as session:
        return list(session.scalars(select(ExecutionRow.outcome).order_by(ExecutionRow.id)))


def test_a_video_is_claimed_once_and_done_once(ledger):
    first = claim(ledger)
    assert isinstance(first, Claim)
    assert claim(ledger) is Refusal.HELD
    assert ledger.finish(first, VideoState.DONE, dict(DONE)) is Outcome.DONE
    assert claim(ledger) is Refusal.FINAL
    assert outcomes(ledger) == ["done", "duplicate", "duplicate"]


def test_a_claim_of_a_dead_process_of_this_node_is_free_at_once(ledger):
    this = Slot.this()
    dead = Slot(this.node, 2**22 - 1, this.start)
    assert isinstance(claim(ledger, dead), Claim)
    second = claim(ledger)
    assert isinstance(second, Claim)
    assert second.execution_number == 2
    assert outcomes(ledger) == ["lost", None]


def test_a_reused_pid_does_not_keep_a_dead_claim_alive(ledger):
    this = Slot.this()
    claim(ledger, Slot(this.node, this.pid, "another"))
    assert isinstance(claim(ledger), Claim)


def test_a_claim_of_another_node_holds_until_its_lease_runs_out(ledger):
    claim(ledger, Slot("elsewhere", 1, "x"))
    assert claim(ledger) is Refusal.HELD
    with ledger.sessions.begin() as session:
        session.execute(update(VideoRow).values(lease_until=time.time() - 1))
    assert isinstance(claim(ledger), Claim)


def test_a_zombie_cannot_overwrite_the_winner(ledger):
    zombie = claim(ledger, Slot(Slot.this().node, 2**22 - 1, "x"))
    winner = claim(ledger)
    assert ledger.finish(winner, VideoState.DONE, dict(DONE)) is Outcome.DONE
    assert ledger.finish(zombie, VideoState.FAILED, {}, Reason.CORRUPT) is Outcome.SUPERSEDED
    assert (video(ledger).state, video(ledger).reason) == ("done", None)
    assert outcomes(ledger) == ["superseded", "done"]
    assert not ledger.renew(zombie)


def test_a_passing_reason_leaves_the_video_to_the_next_delivery_until_executions_are_used_up(ledger):
    assert ledger.give_back(claim(ledger), Reason.DISK_FULL, {}) is Outcome.RETRIED
    assert ledger.give_back(claim(ledger), Reason.DISK_FULL, {}) is Outcome.FAILED
    assert (video(ledger).state, video(ledger).reason) == ("failed", "disk_full")


def test_a_video_whose_workers_keep_dying_is_failed(ledger):
    dead = Slot(Slot.this().node, 2**22 - 1, "x")
    claim(ledger, dead), claim(ledger, dead)
    assert claim(ledger) is Refusal.EXHAUSTED
    assert (video(ledger).state, video(ledger).reason) == ("failed", "worker_lost")


def test_the_video_of_a_dead_letter_is_failed_unless_the_letter_is_forged_or_the_video_has_an_end(ledger):
    assert ledger.bury("v", "forged") == ()
    assert ledger.bury("nobody's", "t") == ()
    assert video(ledger).state == "uploaded"
    assert ledger.bury("v", "t") == ()
    assert (video(ledger).state, video(ledger).reason) == ("failed", "dead_lettered")
    assert claim(ledger) is Refusal.FINAL


def test_a_dead_letter_waits_for_the_end_of_a_live_execution(ledger):
    held = claim(ledger)
    assert ledger.bury("v", "t") is None
    assert ledger.finish(held, VideoState.DONE, dict(DONE)) is Outcome.DONE
    assert ledger.bury("v", "t") == ()
    assert video(ledger).state == "done"


def test_a_buried_video_names_the_outputs_that_can_win_no_more(ledger):
    dead = Slot(Slot.this().node, 2**22 - 1, "x")
    claim(ledger, dead), claim(ledger, dead)
    assert ledger.bury("v", "t") == ("processed/r/v.1.mp4", "processed/r/v.2.mp4")
    assert ledger.bury("v", "t") == ()


def test_an_execution_records_what_its_end_took_up_to_the_commit(ledger):
    ledger.give_back(claim(ledger), Reason.DISK_FULL, {})
    ledger.finish(claim(ledger), VideoState.DONE, dict(DONE))
    with ledger.sessions() as session:
        took = list(session.scalars(select(ExecutionRow.finish_seconds)))
    assert all(0 < seconds < 60 for seconds in took)


def test_a_worker_that_leaves_frees_the_claims_of_its_dead_slots_only(ledger):
    live = claim(ledger)
    assert ledger.release_dead() == 0
    assert ledger.renew(live)
    with ledger.sessions.begin() as session:
        session.execute(update(VideoRow).values(owner=Slot(Slot.this().node, 2**22 - 1, "x").owner))
    assert ledger.release_dead() == 1
    assert video(ledger).lease_until == 0


def test_a_run_that_still_waits_for_videos_is_interrupted_and_a_whole_one_is_not(ledger):
    taken = claim(ledger)
    assert ledger.interrupt_runs() == 1
    with ledger.sessions.begin() as session:
        session.execute(update(RunRow).values(status="running"))
    ledger.finish(taken, VideoState.DONE, dict(DONE))
    assert ledger.interrupt_runs() == 0


ELSEWHERE, DEAD_HERE = Slot("elsewhere", 1, "x"), Slot(Slot.this().node, 2**22 - 1, "x")


def test_the_last_worker_knows_that_it_is(ledger):
    ledger.sign_in(Slot.this())
    ledger.sign_in(ELSEWHERE)
    ledger.sign_in(DEAD_HERE)
    assert not ledger.sign_out(Slot.this())
    assert ledger.sign_out(ELSEWHERE)


def test_a_worker_that_has_been_silent_for_long_is_not_waited_for(ledger):
    ledger.sign_in(ELSEWHERE)
    with ledger.sessions.begin() as session:
        session.execute(update(WorkerRow).values(seen_at=time.time() - SILENCE_SECONDS - 1))
    assert ledger.sign_out(Slot.this())
    ledger.sign_in(ELSEWHERE)
    assert not ledger.sign_out(Slot.this())


def test_each_execution_publishes_to_a_place_of_its_own(ledger):
    first = claim(ledger, Slot(Slot.this().node, 2**22 - 1, "x"))
    second = claim(ledger)
    assert (first.output_key, second.output_key) == ("processed/r/v.1.mp4", "processed/r/v.2.mp4")
