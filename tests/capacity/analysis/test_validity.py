"""Validity of recorded runs whose numbers must not become the answer."""

import numpy as np
import pytest
from sqlalchemy import select

from capacity.analysis.load_and_analyse import load_and_analyse
from capacity.analysis.measured_run import ScenarioFigures, measure
from capacity.analysis.run_analysis import analyse
from capacity.diagnosis.validity import Level
from capacity.estimators.throughput import NoCapacity
from capacity.report.answer import answer
from capacity.report.statements import conservation, headline
from capacity.report.terminal import render_terminal
from capacity.runs.archive_reader import read_archive
from capacity.runs.recorded_run import load_run
from capacity.runs.resource_samples import Resources
from capacity.runs.run_files import write_archive
from capacity.runs.sessions import reading
from core.models import ExecutionRow, RunRow
from core.run import RunStatus
from core.video import Outcome
from tests.capacity.store import add_run, burst, run_row, waiting

NO_RESOURCES = Resources(np.empty(0))


def analysed(sessions, run_id="r1"):
    with reading(sessions) as session:
        return analyse(measure(load_run(session, session.get_one(RunRow, run_id))), NO_RESOURCES)


def record(sessions, started, service, slots, slot, **more):
    started = np.asarray(started, float)
    with sessions.begin() as session:
        add_run(session, run_row(count=started.size, slots=slots, **more), started, started + service, slot=slot)


def reasons(run):
    return run.row.validity.level, run.row.validity.reasons


def test_a_burst_without_flags_is_valid_and_says_that_the_first_videos_are_left_out(sessions):
    record(sessions, np.repeat(4.1 * np.arange(8), 2), 4.0, 2, [0, 1] * 8)
    run = analysed(sessions)
    assert reasons(run) == (Level.VALID, ())
    assert "without the first video of each slot" in " ".join(render_terminal(run, "en").split())


@pytest.mark.parametrize(("at_start", "reasons_seen"), [(1, ("changed_fleet",)), (2, ()), (0, ())])
def test_workers_that_came_and_went_between_start_and_end_make_a_run_invalid(sessions, at_start, reasons_seen):
    alike = [{"worker": f"n{k}|1|s", "slots": 1} for k in range(at_start)]
    environment = {"workers": {"start": alike, "end": alike}}
    record(sessions, np.repeat(4.1 * np.arange(8), 2), 4.0, 2, [0, 1] * 8, environment=environment, concurrency=1)
    with sessions.begin() as session:
        for execution in session.scalars(select(ExecutionRow)):
            execution.worker = f"n{execution.slot}|1|s"
    assert analysed(sessions).row.validity.reasons == reasons_seen


def test_between_three_and_four_videos_per_slot_a_cold_start_makes_the_run_indicative(sessions):
    record(sessions, np.repeat(4.1 * np.arange(3), 2), 4.0, 2, [0, 1] * 3)
    assert reasons(analysed(sessions)) == (Level.INDICATIVE, ("cold_start",))


def test_after_a_warm_up_three_videos_per_slot_are_enough(sessions):
    record(sessions, np.repeat(4.1 * np.arange(3), 2), 4.0, 2, [0, 1] * 3, environment={"is_warm": True})
    assert reasons(analysed(sessions)) == (Level.VALID, ())


def test_declared_slots_that_never_worked_make_the_run_invalid(sessions):
    record(sessions, np.repeat(4.01 * np.arange(16), 2), 4.0, 4, [0, 1] * 16)
    run = analysed(sessions)
    assert (run.row.validity.level, run.row.validity.reasons[0]) == (Level.INVALID, "idle_slots")
    assert run.row.x_sat_per_minute is None
    assert run.saturated.reason.code is NoCapacity.IDLE_SLOTS
    assert run.saturated.reason.values["working_per_minute"] == pytest.approx(29.9, abs=0.05)
    assert headline(run.row, "es").startswith("Prueba NO VÁLIDA (slots que no trabajaron")
    assert headline(run.row, "es").endswith("): sus cifras no son una respuesta")


def test_slots_that_a_slow_rate_leaves_idle_are_no_fault(sessions):
    arrivals = 10.0 * np.arange(24)
    with sessions.begin() as session:
        row = run_row(count=24, slots=4, mode="sustained", rate=6.0)
        add_run(session, row, arrivals + 0.1, arrivals + 4.1, uploaded=arrivals, slot=[0] * 24)
    assert "idle_slots" not in analysed(sessions).row.validity.reasons


def test_idle_slots_count_at_a_rate_at_which_messages_wait(sessions):
    arrivals = 2.0 * np.arange(24)
    with sessions.begin() as session:
        row = run_row(count=24, slots=4, mode="sustained", rate=30.0)
        add_run(session, row, 4.1 * np.arange(24), 4.1 * np.arange(24) + 4, uploaded=arrivals, slot=[0] * 24)
    assert "idle_slots" in analysed(sessions).row.validity.reasons


def add_executions(sessions, outcome, count, run_id="r1"):
    with sessions.begin() as session:
        for k in range(count):
            start = 1000.0 + 8.2 * k
            ended = None if outcome == Outcome.LOST else start + 4.0
            session.add(ExecutionRow(run_id=run_id, video_id=f"{run_id}-v{k}", execution_number=2, node="mesa", slot=1,
                                     started_at=start, ended_at=ended, outcome=outcome))  # fmt: skip


def test_work_done_twice_makes_the_run_invalid_and_breaks_the_conservation(sessions):
    record(sessions, 4.1 * np.arange(12), 4.0, 2, [0] * 12)
    add_executions(sessions, Outcome.SUPERSEDED, 12)
    run = analysed(sessions)
    assert reasons(run)[0] is Level.INVALID
    assert "work_done_twice" in reasons(run)[1]
    assert run.conservation.holds is False
    assert conservation(run, "en").endswith("DOES NOT HOLD (executions repeated: 12)")


@pytest.mark.parametrize(
    ("outcome", "level", "reason"),
    [(Outcome.LOST, Level.INVALID, "lost_executions"), (Outcome.RETRIED, Level.INDICATIVE, "retried_executions")],
)
def test_executions_that_gave_no_video_are_flags(sessions, outcome, level, reason):
    record(sessions, np.repeat(4.1 * np.arange(8), 2), 4.0, 2, [0, 1] * 8)
    with sessions.begin() as session:
        session.add(ExecutionRow(run_id="r1", video_id="r1-v0", execution_number=9, node="mesa", slot=0,
                                 started_at=1040.0, ended_at=None if outcome == Outcome.LOST else 1040.5,
                                 outcome=outcome))  # fmt: skip
    assert reasons(analysed(sessions)) == (level, (reason,))


def test_executions_of_an_older_run_make_the_newer_run_invalid(sessions, tmp_path):
    """After Ctrl-C the workers went on with the older run's messages: X was 0.81 beside 29."""
    record(sessions, np.repeat(4.1 * np.arange(8), 2), 4.0, 2, [0, 1] * 8, created_at=1030.0)
    with sessions.begin() as session:
        add_run(session, run_row("old", count=8), 4.0 * np.arange(8), 4.0 * np.arange(8) + 3.9, slot=[0] * 8)
    assert reasons(analysed(sessions)) == (Level.INVALID, ("other_messages",))
    with sessions() as session:
        run = session.get_one(RunRow, "r1")
        other_work = load_run(session, run).other_work
        write_archive(session, run, NO_RESOURCES, tmp_path / "r1", other_work=other_work)
    archived = analyse(measure(read_archive(tmp_path / "r1")[0]), NO_RESOURCES)
    assert reasons(archived) == (Level.INVALID, ("other_messages",))


@pytest.mark.parametrize(("messages", "level"), [(0, Level.VALID), (3, Level.INVALID)])
def test_messages_in_the_queue_before_the_run_make_it_invalid(sessions, messages, level):
    environment = {"messages_before": messages}
    record(sessions, np.repeat(4.1 * np.arange(8), 2), 4.0, 2, [0, 1] * 8, environment=environment)
    assert reasons(analysed(sessions))[0] is level


def interrupted(sessions, open_videos, **more):
    """Record a burst of one slot with five videos done and `open_videos` waiting."""
    ends = np.array([2.45, 4.85, 7.25, 9.65, 12.05])
    row = run_row(status=RunStatus.INTERRUPTED, slots=1, **more)
    with sessions.begin() as session:
        add_run(session, row, ends - 2.4, ends, slot=[0] * 5)
        session.add_all(waiting(k) for k in range(5, 5 + open_videos))


def test_s_of_an_interrupted_run_counts_the_time_that_open_videos_have_waited(sessions):
    interrupted(sessions, 3, count=8)
    run = analysed(sessions)
    assert (run.row.s_is_lower_bound, run.row.s) == (True, pytest.approx(9.05))
    assert "| ≥ 9.0 |" in render_terminal(run, "es")
    assert "≥ 9.05 s" in render_terminal(run, "es")


@pytest.mark.parametrize("recorded", [{}, {"cancelled_uploaded_at_mean": 1000.0}])
def test_cancelled_videos_of_an_interrupted_run_keep_s_a_lower_bound(sessions, recorded):
    interrupted(sessions, 0, count=5, environment={"asked_count": 8} | recorded)
    run = analysed(sessions)
    assert (run.row.s_is_lower_bound, run.row.s) == (True, pytest.approx(9.05))
    assert "N=5 de 8 (los demás se cancelaron)" in render_terminal(run, "es")


def test_a_burst_that_stopped_on_purpose_has_an_exact_s(sessions):
    record(sessions, 2.4 * np.arange(5), 2.4, 1, [0] * 5, environment={"asked_count": 8})
    assert not analysed(sessions).row.s_is_lower_bound


@pytest.mark.parametrize(
    ("messages", "lost", "holds"),
    [
        (None, None, None),
        ({"in_queue": 3, "dead_lettered": 0}, 0, True),
        ({"in_queue": 2, "dead_lettered": 0}, 1, False),
        ({"in_queue": 2, "dead_lettered": 1}, 0, True),
    ],
)
def test_a_message_that_the_queue_lost_is_seen(sessions, messages, lost, holds):
    environment = {} if messages is None else {"messages": messages | {"at": 2000.0}}
    interrupted(sessions, 3, count=8, environment=environment)
    run = analysed(sessions)
    assert (run.conservation.lost_messages, run.conservation.holds) == (lost, holds)
    assert ("lost_messages" in run.row.validity.reasons) == bool(lost)


def test_a_message_sent_just_before_the_count_is_not_called_lost(sessions):
    counted = {"in_queue": 0, "dead_lettered": 0, "at": 1030.0}
    interrupted(sessions, 3, count=8, environment={"messages": counted})
    assert analysed(sessions).conservation.lost_messages == 0


def analyse_all(sessions, settings):
    with reading(sessions) as session:
        return load_and_analyse(session, settings)


def test_an_answer_is_made_of_the_valid_cell_although_an_invalid_one_is_faster(sessions, settings):
    row, start, end, slot = burst(2, 16, 5.0, 2e9, "good")
    with sessions.begin() as session:
        add_run(session, row, start, end, slot=slot)
    record(sessions, np.repeat(1.01 * np.arange(16), 2), 1.0, 4, [0, 1] * 16)
    analysis = analyse_all(sessions, settings)
    assert [run.row.run_id for run in analysis.best_of_sizes] == ["good"]


def test_an_indicative_cell_is_the_answer_where_there_is_no_valid_one_and_says_so(sessions, settings):
    record(sessions, np.repeat(4.1 * np.arange(3), 2), 4.0, 2, [0, 1] * 3)
    assert answer(analyse_all(sessions, settings), "en")[0].endswith("; indicative (may include a cold start)")


def test_an_invalid_run_alone_is_no_answer(sessions, settings):
    record(sessions, np.repeat(4.01 * np.arange(16), 2), 4.0, 4, [0, 1] * 16)
    analysis = analyse_all(sessions, settings)
    assert analysis.best_of_sizes == []
    (sentence,) = answer(analysis, "en")
    assert sentence.startswith("The run is INVALID (slots that did not work")
    assert sentence.endswith("): its figures are no answer")


def test_an_open_video_that_was_cancelled_at_an_unknown_time_makes_s_of_a_paced_run_unknown(sessions):
    arrivals = 10.0 * np.arange(5)
    row = run_row(count=5, mode="sustained", rate=6.0, status=RunStatus.INTERRUPTED, environment={"asked_count": 8})
    with sessions.begin() as session:
        add_run(session, row, arrivals + 0.1, arrivals + 4.1, uploaded=arrivals)
    assert analysed(sessions).row.s is None


def test_a_warm_up_is_in_no_table_and_can_be_reported_by_its_name(sessions, settings):
    record(sessions, np.repeat(4.1 * np.arange(8), 2), 4.0, 2, [0, 1] * 8)
    with sessions.begin() as session:
        row = run_row("warm-up-1", count=4, note="warm-up", created_at=500.0)
        add_run(session, row, [0.1, 0.1, 4.1, 4.1], [4.0, 4.0, 8.0, 8.0])
    assert [row.run_id for row in analyse_all(sessions, settings).rows] == ["r1"]
    with reading(sessions) as session:
        assert load_and_analyse(session, settings, "warm-up-1").run("warm-up-1").row.done == 4


def test_a_disagreement_with_prometheus_counts_once_the_run_has_ended(sessions):
    record(sessions, np.repeat(4.1 * np.arange(8), 2), 4.0, 2, [0, 1] * 8)
    with reading(sessions) as session:
        recorded = load_run(session, session.get_one(RunRow, "r1"))
    late = analyse(measure(recorded, ScenarioFigures(1.0, 1.0)), NO_RESOURCES)
    assert reasons(late) == (Level.INVALID, ("sources_disagree",))
    recorded.run.status = RunStatus.RUNNING
    running = analyse(measure(recorded, ScenarioFigures(1.0, 1.0)), NO_RESOURCES)
    assert reasons(running) == (Level.INDICATIVE, ("interrupted",))
