"""Evidence and warnings of a run from samples, comparable runs and CPU calibration.

Values that were not measured stay None.
"""

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import update

from capacity.analysis.baseline_costs import VideoCost, comparable_costs, usual_calibration_seconds
from capacity.analysis.bottleneck_evidence import cell_evidence
from capacity.analysis.measured_run import measure
from capacity.analysis.run_analysis import analyse
from capacity.diagnosis.bottleneck import Cause
from capacity.estimators.stability import judge_stability
from capacity.report.statements import bandwidth_limits, stability
from capacity.runs.conditions import Conditions
from capacity.runs.recorded_run import load_run
from capacity.runs.resource_samples import Resources
from core.models import ExecutionRow, RunRow
from core.run import Mode, RunStatus
from core.video import Outcome, Reason
from tests.capacity.result_rows import ELSEWHERE, row
from tests.capacity.store import HOST, add_run, open_store, resources_of, run_row

STAGES = dict.fromkeys(["download", "probe", "transcode", "upload", "db"], 1.0)
START = np.repeat(np.arange(2.0, 26.0, 4.0), 2)


@pytest.fixture
def recorded(tmp_path):
    """Return a run of six pairs of videos on two slots.

    Each video takes 4 s, and its ffmpeg uses 3.2 CPU seconds.
    """
    with open_store(tmp_path / "a.db").begin() as session:
        add_run(session, run_row(count=12), START, START + 4)
        session.flush()
        yield load_run(session, session.get_one(RunRow, "r1"))


def cell(recorded, resources, comparable=()):
    return cell_evidence(measure(recorded), resources, list(comparable))


def with_samples(recorded, **rates):
    """Return the samples of a minute, plus counters that increase at the given rates per second."""
    resources = resources_of(recorded.run, 60)
    elapsed = resources.times - resources.times[0]
    return replace(
        resources, samples=resources.samples | {key.replace("__", "."): r * elapsed for key, r in rates.items()}
    )


def with_gauges(resources, **values):
    gauges = {key.replace("__", "."): np.full(resources.times.size, float(v)) for key, v in values.items()}
    return replace(resources, samples=resources.samples | gauges)


def test_without_samples_and_comparable_runs_only_the_runs_own_figures_are_known(recorded):
    analysis = cell(recorded, Resources(np.empty(0)))
    assert (analysis.cpu_utilisation, analysis.disk_utilisation, analysis.network_utilisation) == (None, None, None)
    assert (analysis.efficiency, analysis.ffmpeg_slowdown, analysis.gain_up_to_here) == (None, None, None)
    assert analysis.own_oom_kills == 0
    assert analysis.service_seconds == pytest.approx(4.0)
    assert analysis.ffmpeg_cores == pytest.approx(0.8 / 0.88)


def test_the_cpu_is_that_of_the_machine_by_samples_and_of_ffmpeg_under_a_quota(recorded):
    free = resources_of(recorded.run, 60)
    assert cell(recorded, free).cpu_utilisation == pytest.approx(1.9 / 2)
    # 2 slots of 4 s are half a video per second, at 3.2 CPU seconds each
    limited = cell(recorded, with_gauges(free, quota=1.7))
    assert (limited.cores, limited.cpu_utilisation) == (1.7, pytest.approx(0.5 * 3.2 / 1.7))


def test_a_slot_that_is_idle_while_messages_wait_has_an_idle_gap(tmp_path):
    """Two slots work for 4 s and then wait for 1 s, so a fifth of each cycle is idle."""
    with open_store(tmp_path / "a.db").begin() as session:
        start = np.repeat(np.arange(6) * 5.0, 2)
        add_run(session, run_row(count=12), start, start + 4)
        session.flush()
        polled = load_run(session, session.get_one(RunRow, "r1"))
    assert cell(polled, Resources(np.empty(0))).idle_gap_ratio == pytest.approx(0.2)


def test_only_the_runs_own_executions_count_as_killed_for_lack_of_memory(tmp_path):
    with open_store(tmp_path / "a.db").begin() as session:
        for run_id in ("r1", "r2"):
            add_run(session, run_row(run_id, count=12), START, START + 4)
        killed = {"outcome": Outcome.RETRIED, "reason": Reason.OOM}
        session.execute(update(ExecutionRow).where(ExecutionRow.run_id == "r2").values(killed))
        session.flush()
        ours, theirs = (load_run(session, session.get_one(RunRow, run_id)) for run_id in ("r1", "r2"))
    resources = with_samples(ours, oom=1.0)
    assert (cell(ours, resources).own_oom_kills, cell(theirs, resources).own_oom_kills) == (0, 12)


def test_disk_time_adds_up_and_the_fuller_direction_of_the_storage_counts(recorded):
    samples = with_samples(recorded, videos__in=2e6, videos__out=1e6)
    assert cell(recorded, samples).disk_utilisation is None
    ceilings = {"ceiling__disk_read": 10e6, "ceiling__disk_write": 20e6}
    ceilings |= {"ceiling__network_in": 4e6, "ceiling__network_out": 10e6}
    analysis = cell(recorded, with_gauges(samples, **ceilings))
    assert analysis.disk_utilisation == pytest.approx(1 / 10 + 4 / 20)
    assert analysis.network_utilisation == pytest.approx(0.5)


def test_a_baseline_with_one_slot_gives_slowdown_cost_and_efficiency(recorded):
    alone = VideoCost(1, 18.0, {**STAGES, "transcode": 1.76}, 3.2)
    analysis = cell(recorded, Resources(np.empty(0)), [alone])
    assert analysis.ffmpeg_slowdown == pytest.approx(0.88 * 4 / 1.76)
    assert analysis.cpu_work_slowdown == pytest.approx(1.0)
    assert analysis.efficiency == pytest.approx(30 / (2 * 18))
    assert analysis.gain_up_to_here == pytest.approx(30 / 18 - 1)
    assert analysis.gain_from_here is None


def test_one_slot_is_not_compared_with_itself(tmp_path):
    with open_store(tmp_path / "a.db").begin() as session:
        add_run(session, run_row(count=4, slots=1), np.arange(4) * 4.0, np.arange(4) * 4.0 + 4)
        one = load_run(session, session.get_one(RunRow, "r1"))
    analysis = cell(one, Resources(np.empty(0)), [VideoCost(1, 15.0, STAGES, 3.2), VideoCost(2, 28.5, STAGES, 3.2)])
    assert (analysis.efficiency, analysis.ffmpeg_slowdown) == (None, None)
    assert analysis.gain_from_here == pytest.approx(0.9)


def test_cpu_of_other_processes_excludes_the_workers_and_the_hypervisor(recorded):
    window = (recorded.run.created_at, recorded.run.created_at + 60)
    assert with_samples(recorded).other_cpu_ratio(*window) is None
    assert with_samples(recorded, worker=1.5).other_cpu_ratio(*window) == pytest.approx(0.2)
    assert with_samples(recorded, worker=2.5).other_cpu_ratio(*window) == 0.0


def test_the_workers_cpu_that_is_counted_when_the_last_ffmpeg_has_ended_is_no_other_process(recorded):
    resources = with_samples(recorded, worker=1.0)
    resources.samples["worker"][-1] += 22.5
    start, end = resources.times[0], resources.times[-2]
    assert resources.during(start, end).other_cpu_ratio(start, end) > 0.2
    assert resources.other_cpu_ratio(start, end) == pytest.approx(0.2)


def test_the_clock_is_read_from_the_quickest_answer_of_the_farthest_node():
    slow_answers = {"clock_ahead": np.array([0.9, 0.31, 0.6]), "clock_behind": np.array([0.02, 0.01, 0.3])}
    assert Resources(np.arange(3.0), slow_answers).clock_offset() == 0.31
    behind = {"clock_ahead": np.array([0.02, 0.01]), "clock_behind": np.array([-4.9, -5.0])}
    assert Resources(np.arange(2.0), behind).clock_offset() == -5.0
    assert Resources(np.empty(0)).clock_offset() is None


def test_conditions_of_the_run_become_warnings(recorded):
    run = recorded.run
    run.environment = {**run.environment, "canary_before_seconds": 0.20, "canary_after_seconds": 0.22}
    samples = with_gauges(with_samples(recorded, worker=1.5), clock_ahead=0.4, clock_behind=0.01)
    analysis = analyse(measure(recorded), samples, usual_calibration_seconds=0.20)
    assert [warning.name for warning in analysis.warnings] == ["canary_changed", "clock_offset", "other_processes"]
    assert analysis.bottleneck.cause is Cause.CPU


COST = VideoCost(1, 10.0, STAGES, 1.0)


def test_comparable_runs_are_finished_bursts_nearest_first():
    far, near = replace(COST, capacity_per_minute=1.0), replace(COST, capacity_per_minute=2.0)
    pairs = [(row("far", created_at=1.0), far), (row("near", slots=1, created_at=1100.0), near)]
    assert comparable_costs(row(created_at=1000.0), pairs) == [near, far]


@pytest.mark.parametrize(
    "other",
    [
        row(mode=Mode.SUSTAINED),
        row(status=RunStatus.INTERRUPTED),
        row(size_label="10MB"),
        *(row(conditions=conditions) for conditions in ELSEWHERE),
    ],
)
def test_another_kind_of_run_or_another_condition_is_not_comparable(other):
    assert comparable_costs(row(), [(other, COST)]) == []


def test_the_conditions_of_a_run_are_read_from_its_row_and_not_from_its_containers_name(recorded):
    run = recorded.run
    here = measure(recorded).row.conditions
    assert here == Conditions("full", "ab" * 32, None, None, "5.1", "5.7", "Test CPU", 2, 8)
    run.environment = {**run.environment, "host": HOST | {"name": "3f2a9c", "memory_bytes": 8.001e9}}
    assert measure(recorded).row.conditions == here
    run.environment = {**run.environment, "storage": "s3", "stack": "aws"}
    assert measure(recorded).row.conditions == replace(here, storage="s3", stack="aws")


def test_the_usual_calibration_needs_five_other_runs_of_the_machine():
    def calibrated(name, seconds, host=HOST):
        return run_row(name, count=8, environment={"host": host, "canary_before_seconds": seconds})

    run = calibrated("r1", 9.0)
    history = [calibrated(f"h{k}", 0.2 + k / 100) for k in range(5)]
    assert usual_calibration_seconds(run, [run, *history]) == pytest.approx(0.22)
    assert usual_calibration_seconds(run, [run, *history[:4]]) is None
    assert usual_calibration_seconds(run, [calibrated(f"h{k}", 0.2, {"name": "otra"}) for k in range(9)]) is None


def test_the_report_distinguishes_workers_that_do_not_fetch_from_workers_that_cannot_keep_up(recorded):
    sent = np.arange(120) * 6.0
    half_started = np.where(np.arange(120) % 2 == 0, sent, np.nan)
    analysis = analyse(measure(recorded), Resources(np.empty(0)))
    idle = replace(analysis, stability=judge_stability(sent, half_started, np.full(60, 5.0), np.full(60, 5.0), 4))
    full = replace(analysis, stability=judge_stability(sent, half_started, np.full(60, 30.0), np.full(60, 30.0), 4))
    assert stability(idle, "en").endswith("; it grows with slots free: the workers do not fetch")
    assert stability(full, "en").endswith(" arrivals of 60 needed")


def test_the_report_shows_only_the_bandwidth_limits_that_were_measured(recorded):
    run = recorded.run
    analysis = analyse(measure(recorded), Resources(np.empty(0)))
    assert bandwidth_limits(analysis, "es") == "desconocido"
    run.environment = {**run.environment, "ceilings": {"disk_write": 134e6, "network_in": 0.4e6}}
    assert bandwidth_limits(analysis, "es") == "escritura de disco 134 MB/s · descarga 0.4 MB/s"
