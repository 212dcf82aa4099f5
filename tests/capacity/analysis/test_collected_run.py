"""A run of an app's worker, whose executions the collector has stored: X_sat, slots, parts, and what was missed."""

import numpy as np
import pytest

from capacity.analysis.measured_run import measure
from capacity.analysis.run_analysis import analyse
from capacity.report.figures import timeline
from capacity.runs.recorded_run import OtherWork, load_run
from capacity.runs.resource_samples import Resources
from capacity.runs.sessions import reading
from collector.assignment import assign_waiting
from core.models import RunRow
from core.video import VideoState
from testing.collected import collect
from testing.rows import video_row
from tests.capacity.store import run_row


@pytest.fixture
def run(sessions):
    """A run of 16 videos on 2 slots, each of two tasks of 2 s, one after the other in the same slot."""
    with sessions.begin() as session:
        session.add(run_row(count=16, executions_missed=0, environment={"end_of_video": "executions"}))
        session.flush()
        session.add_all(
            video_row(id=f"v{k}", run_id="r1", sequence=k, task_id=f"m{k}", uploaded_at=1000.0) for k in range(16)
        )
    return sessions


def records(missing=()):
    first = [
        {"task_id": f"m{k}", "root_id": f"m{k}", "slot": k % 2, "start": 1000.0 + 4.2 * (k // 2), "sent": [f"n{k}"]}
        for k in range(16)
    ]
    second = [{**each, "task_id": f"n{k}", "start": each["start"] + 2.1, "sent": []} for k, each in enumerate(first)]
    every = sorted([*first, *second], key=lambda each: each["start"])
    numbered = [{**each, "number": number} for number, each in enumerate(every, start=1)]
    return [each for each in numbered if each["number"] not in missing]


def analysed(sessions):
    with reading(sessions) as session:
        return analyse(measure(load_run(session, session.get_one(RunRow, "r1"))), Resources(np.empty(0)))


def test_a_video_of_two_tasks_is_one_result_and_both_take_slot_time(run):
    collect(run, records(), seconds=2.0)
    analysis = analysed(run)
    assert (analysis.row.done, analysis.row.unfinished) == (16, 0)
    assert analysis.row.x_sat_per_minute == pytest.approx(60 * 2 / 4.2, rel=0.03)
    assert analysis.recorded.executions.counted.sum() == 16
    # from the start of its first task to the end of its last one
    assert analysis.row.service_mean_seconds == pytest.approx(4.1)
    assert len(set(analysis.recorded.executions.slot)) == 2
    drawn = timeline(analysis, 1000.0, 1040.0, "en")
    assert (drawn.count('fill="var(--grey)"'), drawn.count('fill="var(--red)"')) == (32, 0)


def test_a_video_whose_app_says_failed_is_not_a_result_although_its_task_returned(run):
    collect(run, records(), seconds=2.0)
    with run.begin() as session:
        session.get(RunRow, "r1").environment = {"end_of_video": "table"}
        session.get(type(video_row()), "v0").state = VideoState.FAILED
    assert analysed(run).recorded.executions.counted.sum() == 15


def test_work_of_others_in_the_slots_is_flagged_before_and_after_the_collector_has_closed_it(run):
    others = [
        {"task_id": f"o{k}", "root_id": f"o{k}", "slot": 0, "start": 1000.0 + 4 * k, "sent": [], "number": 100 + k}
        for k in range(3)
    ]
    collect(run, [*records(), *others], seconds=2.0)
    assert analysed(run).recorded.other_work == OtherWork(3, 6.0)
    with run.begin() as session:
        assign_waiting(session, 1_000_000.0)
    assert analysed(run).recorded.other_work == OtherWork(3, 6.0)
    assert "other_messages" in analysed(run).row.validity.reasons


def test_executions_that_were_missed_make_the_run_invalid(run):
    collect(run, records(missing=range(3, 9)), seconds=2.0)
    validity = analysed(run).row.validity
    assert (validity.level.value, "missed_executions" in validity.reasons) == ("invalid", True)
