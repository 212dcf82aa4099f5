"""Evidence and warnings of a run from samples, comparable runs and CPU calibration.

Values that were not measured stay None.
"""

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import update

from capacity.analysis.baseline_costs import VideoCost, comparable_costs, usual_calibration_seconds, video_cost
from capacity.analysis.bottleneck_evidence import cell_evidence
from capacity.analysis.measured_run import measure
from capacity.analysis.run_analysis import analyse
from capacity.diagnosis.bottleneck import Cause, Confidence
from capacity.estimators.littles_law import videos_present
from capacity.estimators.stability import judge_stability
from capacity.report.statements import bandwidth_limits, facts, stability
from capacity.runs.conditions import Conditions
from capacity.runs.recorded_run import load_run
from capacity.runs.resource_samples import AFTERMATH_SECONDS, SAMPLE_POINTS, Resources, sample_times
from core.language import Text
from core.models import ExecutionRow, RunRow
from core.run import Mode, RunStatus
from core.video import Outcome, Reason
from tests.capacity.result_rows import ELSEWHERE, indicative_row, row
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


def machine(started, ended, end, *, other=0.0, since=0.0, overhead=0.02):
    """Return samples of a machine with two cores, by a grid of the reader, on which only our videos and `other` run.

    A running video uses one core, which the workers' counter shows when it has ended. `overhead` is the workers' own.
    """
    times = sample_times(0.0, end)
    busy = np.clip(times[:, None] - started, 0, ended - started).sum(axis=1) + (other + overhead) * times
    ours = ((ended <= times[:, None]) * (ended - started)).sum(axis=1) + overhead * times
    seen = np.where(times >= since, 1.0, np.nan)
    return Resources(times, {"cores": 2.0 * seen, "cpu.user": busy * seen, "worker": ours * seen})


def test_the_cpu_of_other_processes_is_what_the_workers_did_not_use():
    started = np.repeat(np.arange(0.0, 60, 6.0), 2)
    for other, ratio in ((0.0, 0.0), (0.4, 0.2)):
        resources = machine(started, started + 6, 60.0, other=other)
        assert resources.other_cpu_ratio(0, 60, started, started + 6) == pytest.approx(ratio, abs=0.002)


def test_the_cpu_of_our_exporters_and_prometheus_is_not_that_of_other_processes():
    started = np.repeat(np.arange(0.0, 60, 6.0), 2)
    resources = machine(started, started + 6, 60.0, other=0.15)
    ours = {"exporters.127.0.0.1:9102": 0.04 * resources.times, "exporters.127.0.0.1:9090": 0.06 * resources.times}
    with_ours = replace(resources, samples={**resources.samples, **ours})
    assert with_ours.other_cpu_ratio(0, 60, started, started + 6) == pytest.approx(0.025, abs=0.002)


def test_without_samples_of_the_machine_or_the_workers_the_cpu_of_others_is_unknown(recorded):
    executions = recorded.executions
    window = (recorded.run.created_at, recorded.run.created_at + 60)
    for resources in (Resources(np.empty(0)), with_samples(recorded)):
        assert resources.other_cpu_ratio(*window, executions.started_at, executions.ended_at) is None


def test_samples_that_begin_late_do_not_turn_our_cpu_into_that_of_others():
    """Prometheus was absent for the first 60 of 300 s: 18.5 % before."""
    started = np.repeat(np.arange(0.0, 300, 6.0), 2)
    resources = machine(started, started + 6, 300.0, since=60.0)
    assert resources.other_cpu_ratio(0, 300, started, started + 6) == pytest.approx(0.0, abs=0.002)


def test_long_videos_that_end_between_two_samples_are_not_other_processes():
    """80 minutes of 601 s videos, one sample every 16 s: 12.4 % before, because the last videos were missing."""
    started = np.repeat(601.0 * np.arange(8), 2)
    for since in (0.0, 300.0):
        resources = machine(started, started + 601, 4808.0, since=since)
        assert resources.other_cpu_ratio(0, 4808, started, started + 601) == pytest.approx(0.0, abs=0.002)


def test_the_last_sample_is_some_seconds_after_the_run():
    """The workers' counter shows the last videos only then."""
    for end in (60.0, 300.0, 4800.0, 4803.3):
        times = sample_times(0.0, end)
        assert (times[0], times[-1]) == (0.0, pytest.approx(end + AFTERMATH_SECONDS))
        assert times.size <= SAMPLE_POINTS + 7


def test_the_clock_is_read_from_the_quickest_answer_of_the_farthest_node():
    slow_answers = {"clock_ahead": np.array([0.9, 0.31, 0.6]), "clock_behind": np.array([0.02, 0.01, 0.3])}
    assert Resources(np.arange(3.0), slow_answers).clock_offset() == 0.31
    behind = {"clock_ahead": np.array([0.02, 0.01]), "clock_behind": np.array([-4.9, -5.0])}
    assert Resources(np.arange(2.0), behind).clock_offset() == -5.0
    assert Resources(np.empty(0)).clock_offset() is None


def test_conditions_of_the_run_become_warnings(recorded):
    run = recorded.run
    run.environment = {**run.environment, "canary_before_seconds": 0.20, "canary_after_seconds": 0.23}
    samples = with_gauges(with_samples(recorded, worker=1.5), clock_ahead=0.4, clock_behind=0.01)
    analysis = analyse(measure(recorded), samples, usual_calibration_seconds=0.20)
    assert [warning.name for warning in analysis.warnings] == ["canary_changed", "clock_offset", "other_processes"]
    assert analysis.bottleneck.cause is Cause.CPU


def with_readings(recorded, share=1.0, left_at=None):
    """Return a sample per second of a queue that is read every 0.7 s and counts `share` of the messages.

    A message leaves the queue at `left_at`, or at the end of its video.
    """
    times = recorded.run.created_at + np.arange(30.0)
    read_at = recorded.run.created_at + 0.7 * np.floor(np.arange(30.0) / 0.7)
    present = videos_present(recorded.uploaded_at, recorded.updated_at if left_at is None else left_at, read_at)
    return Resources(times, {"messages": share * present, "messages_read_at": read_at})


def test_each_reading_of_the_queue_counts_once_by_its_own_time():
    samples = {
        "messages": np.array([np.nan, 3, 3, 2, 5]),
        "messages_read_at": np.array([np.nan, 1.2, 1.2, 3.1, np.nan]),
    }
    readings = Resources(np.arange(5.0), samples).queue_readings(1.0, 4.0)
    assert (readings.at.tolist(), readings.messages.tolist()) == ([1.2, 3.1], [3.0, 2.0])
    assert Resources(np.arange(5.0), samples).queue_readings(2.0, 4.0).at.tolist() == [3.1]
    undated = Resources(np.arange(5.0), {"messages": np.ones(5)}).queue_readings(0.0, 4.0)
    assert undated.at.size == 0


def test_littles_law_compares_the_readings_with_the_records(recorded):
    assert analyse(measure(recorded), with_readings(recorded)).little.excess == 0.0
    more = analyse(measure(recorded), with_readings(recorded, share=1.2))
    assert [warning.name for warning in more.warnings] == ["littles_law"]


def test_littles_law_is_unknown_for_a_burst_that_stopped_early(recorded):
    """The queue counted the cancelled videos until then, and their records are gone."""
    recorded.run.environment = recorded.run.environment | {"asked_count": 24}
    analysis = analyse(measure(recorded), with_readings(recorded, share=2.0))
    assert (analysis.little.agreement, analysis.warnings) == ("unknown", ())


@pytest.mark.parametrize("facts", [{"acks_late": None}, {}])
def test_littles_law_is_unknown_for_an_app_that_may_acknowledge_early(recorded, facts):
    """SQS does not count running tasks then: on one slot it shows one message too few, which is no fault."""
    recorded.run.environment = recorded.run.environment | {"app": {"name": "x", "instrumented": False, **facts}}
    analysis = analyse(measure(recorded), with_readings(recorded, share=0.5))
    assert analysis.little.agreement == "unknown"
    assert "littles_law" not in [warning.name for warning in analysis.warnings]
    assert analysis.row.validity.level != "invalid"


def test_littles_law_compares_the_waiting_videos_of_an_app_that_acknowledges_early(recorded):
    recorded.run.environment = recorded.run.environment | {"app": {"name": "x", "acks_late": False}}
    waiting = with_readings(recorded, left_at=recorded.started_at)
    assert analyse(measure(recorded), waiting).little.agreement == "ok"
    assert analyse(measure(recorded), with_readings(recorded)).little.agreement == "invalid"
    with_two_tasks = replace(recorded, started_at=np.append(recorded.started_at[:-1], np.nan))
    assert analyse(measure(with_two_tasks), waiting).little.agreement == "unknown"


def test_x_sat_is_unknown_where_the_worker_changes_its_slots(recorded):
    start, end = ([{"slots": slots, "autoscale": "3,1"}] for slots in (1, 3))
    recorded.run.environment = recorded.run.environment | {"workers": {"start": start, "end": end}}
    analysis = analyse(measure(recorded), with_readings(recorded))
    assert (analysis.row.x_sat_per_minute, analysis.row.x) == (None, pytest.approx(27.6923, abs=1e-4))
    assert [warning.name for warning in analysis.warnings] == ["autoscale"]
    assert analysis.row.validity.level == "indicative"


def test_the_clocks_of_an_app_bound_the_error_of_s(recorded):
    app = {"name": "x", "acks_late": True, "database_clock_offset_seconds": -0.2}
    recorded.run.environment = recorded.run.environment | {"app": app | {"worker_clock_offsets_seconds": [0.1, 0.3]}}
    analysis = analyse(measure(recorded), with_readings(recorded))
    assert analysis.facts.clock_difference_seconds == pytest.approx(0.5)
    assert "± 0.500 s" in dict(facts(analysis, "en"))[Text("S del escenario", "scenario's S")]


@pytest.mark.parametrize(("instrumented", "names"), [(False, ["surplus_messages"]), (True, [])])
def test_messages_of_others_are_seen_where_no_execution_is_recorded(recorded, instrumented, names):
    recorded.run.environment = recorded.run.environment | {"app": {"name": "x", "instrumented": instrumented}}
    readings = with_readings(recorded)
    assert "surplus_messages" not in [warning.name for warning in analyse(measure(recorded), readings).warnings]
    readings.samples["messages"][10:13] += 5.0
    assert [warning.name for warning in analyse(measure(recorded), readings).warnings] == names


def test_littles_law_is_checked_for_an_app_that_acknowledges_late(recorded):
    recorded.run.environment = recorded.run.environment | {"app": {"name": "x", "acks_late": True}}
    assert analyse(measure(recorded), with_readings(recorded, share=0.5)).little.agreement == "invalid"


def test_the_limit_is_wider_where_the_counters_of_aws_may_be_late(recorded):
    recorded.run.environment = recorded.run.environment | {"stack": "aws"}
    assert analyse(measure(recorded), with_readings(recorded)).little.limit > 0.5


def analysed_run(tmp_path, start, end, slot, uploaded=None):
    """Return the analysis of a burst on two slots, with its times in seconds after its creation."""
    with open_store(tmp_path / "times.db").begin() as session:
        add_run(session, run_row(count=len(start)), start, end, uploaded=uploaded, slot=slot)
        return analyse(measure(load_run(session, session.get_one(RunRow, "r1"))), Resources(np.empty(0)))


@pytest.mark.parametrize(
    ("start", "seconds", "slot"),
    [
        pytest.param([0, 0, 4, 5, 8, 9], [4, 12, 4, 4, 4, 4], [0, 1, 0, 2, 0, 2], id="a killed worker is replaced"),
        pytest.param([0, 0, 4, 4, 8, 8], [4] * 6, [0] * 6, id="two threads of one process"),
        pytest.param([0, 0, 2, 2, 4, 4, 6, 6], [4] * 8, [0, 1, 2, 3, 0, 1, 2, 3], id="a worker joins"),
    ],
)
def test_slots_that_are_not_as_declared_are_no_clock_skew(tmp_path, start, seconds, slot):
    warnings = analysed_run(tmp_path, start, np.add(start, seconds), slot).warnings
    assert "clock_skew" not in [warning.name for warning in warnings]


@pytest.mark.parametrize(
    ("early_seconds", "executions"),
    [pytest.param(0.5, 1, id="starts before its upload"), pytest.param(0.04, 0, id="within the clocks' resolution")],
)
def test_a_video_that_starts_before_its_upload_is_clock_skew(tmp_path, early_seconds, executions):
    """S of -0.50 s was printed without a warning."""
    start = np.array([0.0, 0.0, 4.0, 4.0])
    uploaded = [-1.0, -1.0, -1.0, 4.0 + early_seconds]
    warnings = analysed_run(tmp_path, start, start + 0.2, [0, 1, 0, 1], uploaded).warnings
    found = [warning.evidence.values["executions"] for warning in warnings if warning.name == "clock_skew"]
    assert sum(found) == executions


def test_an_execution_that_ends_before_its_start_is_clock_skew(tmp_path):
    start = np.array([0.0, 0.0, 4.0, 4.0])
    warnings = analysed_run(tmp_path, start, np.add(start, [4, 4, 4, -1]), [0, 1, 0, 1], [-9.0] * 4).warnings
    assert "clock_skew" in [warning.name for warning in warnings]


COST = VideoCost(1, 10.0, STAGES, 1.0)


def test_comparable_runs_are_finished_bursts_nearest_first():
    far, near = replace(COST, capacity_per_minute=1.0), replace(COST, capacity_per_minute=2.0)
    pairs = [(row("far", created_at=1.0), far), (row("near", slots=1, created_at=1100.0), near)]
    assert comparable_costs(row(created_at=1000.0), pairs) == [near, far]


def test_invalid_comparable_runs_come_after_all_others():
    invalid, indicative = replace(COST, capacity_per_minute=1.0, is_invalid=True), replace(COST, slots=4)
    pairs = [(row("x", created_at=1000.0), invalid), (indicative_row("y", created_at=1.0), indicative)]
    assert comparable_costs(row(created_at=1000.0), pairs) == [indicative, invalid]


def test_the_cost_of_an_invalid_run_says_so(recorded):
    assert not video_cost(measure(recorded)).is_invalid
    recorded.run.validity, recorded.run.validity_reasons = "invalid", ["littles_law"]
    assert video_cost(measure(recorded)).is_invalid


@pytest.mark.parametrize(
    ("rates", "is_invalid", "verdict"),
    [
        pytest.param({"pressure__cpu__some": 0.4}, False, (Cause.CPU, Confidence.HIGH), id="valid baseline"),
        pytest.param({"pressure__cpu__some": 0.4}, True, (Cause.CPU, Confidence.MEDIUM), id="invalid baseline"),
        pytest.param(
            {"throttled": 0.8, "periods": 1.0}, True, (Cause.CPU_QUOTA, Confidence.HIGH), id="invalid, and not needed"
        ),
    ],
)
def test_only_a_baseline_that_is_not_invalid_gives_high_confidence(recorded, rates, is_invalid, verdict):
    alone = VideoCost(1, 29.0, {**STAGES, "transcode": 1.76}, 3.2, is_invalid)
    found = analyse(measure(recorded), with_samples(recorded, **rates), [alone]).bottleneck
    assert (found.cause, found.confidence) == verdict


@pytest.mark.parametrize(
    "other",
    [
        row(mode=Mode.SUSTAINED),
        row(status=RunStatus.INTERRUPTED),
        row(size_label="10MB"),
        row(nodes=2, slots=4),
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
