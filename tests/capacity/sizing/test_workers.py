import json
import math
from dataclasses import replace

import pytest
from click.testing import CliRunner

from capacity.commands import plan as plan_module
from capacity.commands.plan import plan
from capacity.sizing.scale_limits import (
    ScaleAssumptions,
    SharedPart,
    idle_requests_per_minute,
    requests_per_video,
    scale_limits,
)
from capacity.sizing.workers import (
    Demand,
    cost_per_thousand,
    drain_minutes,
    erlang_c,
    forecast,
    keda_queue_length,
    make_plan,
    simulate,
)
from core.errors import UsageError
from tests.capacity.result_rows import indicative_row, invalid_row, row

EXAMPLE = Demand(per_minute=10, wait_p95_seconds=20, service_seconds=30, service_cv=0.3, slots_per_worker=4)


@pytest.mark.parametrize(
    ("slots", "rho", "probability"),
    [
        (1, 0.5, 0.5),
        (2, 0.5, 1 / 3),
        (2, 0.8, 32 / 45),
        (3, 0.5, 9 / 38),
        (4, 0.5, 4 / 23),
        (4, 0.8, 0.596432),
        (6, 5 / 6, 0.5875),
        (7, 5 / 7, 0.3241),
        (8, 5 / 8, 0.1673),
    ],
)
def test_erlang_c(slots, rho, probability):
    assert erlang_c(slots, slots * rho) == pytest.approx(probability, abs=5e-5)


def test_erlang_c_at_the_edges():
    assert erlang_c(4, 4.0) == 1.0
    assert 0 < erlang_c(20_000, 19_900) < 1


@pytest.mark.parametrize(("slots", "mean"), [(2, 1.777778), (4, 0.745541)])
def test_mean_wait_of_exponential_service(slots, mean):
    demand = Demand(60 * slots * 0.8, 60, 1.0, 1.0, 4)
    assert forecast(demand, slots).wait_mean_seconds == pytest.approx(mean, abs=1e-6)


def test_p95_wait_of_exponential_service():
    assert forecast(Demand(60 * 3.2, 60, 1.0, 1.0, 4), 4).wait_p95_seconds == pytest.approx(3.098679, abs=1e-6)


@pytest.mark.parametrize(("slots", "mean", "p95"), [(6, 9.6, 40.3), (7, 2.65, 15.3 * 1.3), (8, 0.91, 6.58 * 1.3)])
def test_the_worked_example(slots, mean, p95):
    sized = forecast(EXAMPLE, slots)
    assert (sized.wait_mean_seconds, sized.wait_p95_seconds) == pytest.approx((mean, p95), rel=0.01)


@pytest.mark.parametrize(("slots", "mean", "p95"), [(6, 10.6, 42.5), (7, 3.03, 17.0), (8, 1.09, 8.35)])
def test_simulation_agrees_with_the_study(slots, mean, p95):
    sized = simulate(EXAMPLE, slots, seed=1)
    assert (sized.wait_mean_seconds, sized.wait_p95_seconds) == pytest.approx((mean, p95), rel=0.2)


def test_the_example_needs_seven_slots():
    sized = make_plan(EXAMPLE)
    assert (sized.slots, sized.workers) == (7, 3)
    assert sized.capacity_per_minute == pytest.approx(24.0)
    assert sized.simulated.wait_p95_seconds <= 20


def test_the_simulation_is_the_answer():
    """At seven slots the formula alone gives 19.9 s at p95, and 15.3 s without its correction at light load."""
    for wait in (5, 17, 45):
        sized = make_plan(replace(EXAMPLE, wait_p95_seconds=wait))
        assert sized.simulated.wait_p95_seconds <= wait
        fewer = simulate(EXAMPLE, sized.slots - 1)
        assert fewer is None or fewer.wait_p95_seconds > wait or sized.slots - 1 < EXAMPLE.load / 0.8


@pytest.mark.parametrize("slots", [6, 7])
def test_paced_arrivals_wait_less_and_batches_more(slots):
    paced, poisson, batches = (
        simulate(replace(EXAMPLE, **arrivals), slots).wait_p95_seconds
        for arrivals in ({"arrival_cv": 0.0}, {}, {"batch": 10})
    )
    assert paced < 0.3 * poisson
    assert batches > 2 * poisson


def test_the_wait_of_paced_batches_is_exact():
    """Ten videos at once per minute on five slots of 6 s: five start at once, five after 6 s."""
    demand = Demand(10, 60, 6, 0.0, 5, arrival_cv=0.0, batch=10)
    simulated = simulate(demand, 5)
    assert (simulated.wait_mean_seconds, simulated.wait_p95_seconds) == pytest.approx((3.0, 6.0), abs=1e-6)


def test_batches_need_more_slots_than_single_arrivals():
    single, batches = make_plan(EXAMPLE), make_plan(replace(EXAMPLE, batch=10))
    assert batches.slots > single.slots + 2
    assert batches.simulated.wait_p95_seconds <= 20
    assert simulate(replace(EXAMPLE, batch=10), single.slots).wait_p95_seconds > 40


def test_an_overload_has_an_infinite_wait():
    assert forecast(EXAMPLE, 5).wait_p95_seconds == math.inf
    assert simulate(EXAMPLE, 5) is None


def test_tight_waits_need_more_slots_than_utilisation_alone():
    tight = Demand(10, 0.01, 30, 1.0, 4)
    assert make_plan(tight).slots > 7


def test_keda_queue_length():
    waits_five_minutes = Demand(10, 300, 30, 0.3, 4)
    assert keda_queue_length(waits_five_minutes) == 44
    assert keda_queue_length(waits_five_minutes, with_in_flight=False) == 40
    assert keda_queue_length(Demand(10, 1, 30, 0.3, 1), with_in_flight=False) == 1


def test_cost_and_drain():
    assert cost_per_thousand(0.17, 8) == pytest.approx(0.354, abs=1e-3)
    assert cost_per_thousand(0.17, 8, 0.7) == pytest.approx(0.506, abs=1e-3)
    assert drain_minutes(700, 24, 10) == 50
    assert drain_minutes(700, 10, 10) == math.inf


def test_at_internet_scale_the_series_break_before_the_queue():
    sized = make_plan(Demand(30_000, 300, 30, 0.3, 4))
    limits = scale_limits(30_000, sized.slots, 4, ScaleAssumptions())
    assert sized.slots == 18_750
    assert limits[0].part is SharedPart.PROMETHEUS_SERIES
    assert {limit.part: round(limit.share, 3) for limit in limits}[SharedPart.SQS_IN_FLIGHT] == 0.156


def test_long_videos_at_internet_scale_exceed_the_messages_in_flight():
    assumed = ScaleAssumptions(series_per_worker=10)
    first = scale_limits(30_000, 187_500, 4, assumed)[0]
    assert (first.part, first.share) == (SharedPart.SQS_IN_FLIGHT, 1.5625)
    assert first.breaks_at_per_minute == pytest.approx(19_200)
    assert not first.assumed


def test_a_long_video_extends_its_message():
    assert requests_per_video(10, ScaleAssumptions()) == 3
    assert requests_per_video(18.9, ScaleAssumptions()) == 3
    assert requests_per_video(95, ScaleAssumptions()) == 8  # one extension per 19 s
    assert requests_per_video(95, ScaleAssumptions(visibility_timeout_seconds=300)) == 4


def test_an_idle_worker_makes_120_requests_in_five_minutes_half_of_them_dead_letter_checks():
    assert 5 * idle_requests_per_minute(ScaleAssumptions()) == 120
    assert 5 * idle_requests_per_minute(ScaleAssumptions(long_poll_seconds=10)) == 90
    assert 5 * idle_requests_per_minute(ScaleAssumptions(visibility_timeout_seconds=120)) == 90


def run(*arguments):
    return CliRunner().invoke(plan, arguments, catch_exceptions=False)


def test_plan_prints_the_workers_in_spanish():
    output = run("--demand", "10/min", "--wait-p95", "20s", "--service", "30s", "--price-per-hour", "0.17").output
    assert "workers                 3 (concurrencia 4, 1 de reserva)" in output
    assert "slots necesarios        7" in output
    assert "llegadas                al azar (Poisson)" in output
    assert "sin SQS, S3, almacenamiento, tráfico, base de datos ni monitorización" in output
    assert "Qué se rompe primero" in output


def test_the_requests_of_idle_workers_are_in_the_plan():
    result = json.loads(run("--demand", "10/h", "--service", "30s", "--price-per-hour", "1", "--json").output)
    assert result["workers"] == 2
    assert result["sqs_requests_per_month_of_videos"] == 4 * 7200
    assert result["sqs_requests_per_month_idle"] == 2 * 24 * 43_200  # 2.07 million
    assert result["sqs_requests_per_month"] == 28_800 + 2_073_600
    assert result["s3_requests_per_month"] == 14_400
    assert result["cost_includes"] == ["workers", "spare_workers"]
    assert {"sqs_requests", "s3_requests", "traffic"} <= set(result["cost_excludes"])


def test_a_plan_for_batches_says_so():
    output = run("--demand", "10/min", "--service", "30s", "--batch", "10", "--lang", "en").output
    assert "in batches of 10, random (Poisson)" in output
    assert "check, by formula" not in output


def test_plan_as_json_at_internet_scale():
    result = json.loads(run("--demand", "500/s", "--wait-p95", "5min", "--service", "300s", "--json").output)
    assert result["demand"]["per_minute"] == 30_000
    assert result["simulation"] is None
    assert result["cost_per_thousand"] is None
    in_flight = next(limit for limit in result["limits"] if limit["bears"] == 120_000)
    assert in_flight["share"] > 1
    assert in_flight["name"] == {"code": "sqs_messages_in_flight", "text": "mensajes SQS en vuelo"}


def test_plan_takes_service_from_the_fastest_recorded_run(monkeypatch):
    rows = [row("a", x_sat_per_minute=2.0, service_mean_seconds=30.0),
            row("b", x_sat_per_minute=3.4, service_mean_seconds=35.0),
            indicative_row("c", x_sat_per_minute=9.0, service_mean_seconds=9.0),
            invalid_row("d", x_sat_per_minute=99.0, service_mean_seconds=1.0)]  # fmt: skip
    monkeypatch.setattr(plan_module, "load_rows", lambda _settings, runs: rows)
    result = json.loads(run("--demand", "30/min", "--runs", "a,b", "--json").output)
    assert (result["demand"]["service_seconds"], result["demand"]["slots_per_worker"]) == (35.0, 2)


def test_plan_refuses_runs_that_are_all_invalid(monkeypatch):
    monkeypatch.setattr(plan_module, "load_rows", lambda _settings, runs: [invalid_row(reason="idle_slots")])
    with pytest.raises(UsageError, match=r"no run is valid \(idle_slots\)"):
        run("--demand", "30/min", "--runs", "a")


def test_plan_without_a_service_time_says_how_to_give_one():
    with pytest.raises(UsageError, match="the service time is unknown"):
        run("--demand", "30/min")


@pytest.mark.parametrize("demand", ["30", "fast", "-3/min", "0/min", "30/day"])
def test_a_demand_that_is_not_a_rate_is_refused(demand):
    result = run("--demand", demand, "--service", "30s")
    assert result.exit_code == 2
    assert "is not a rate such as 30/min" in " ".join(result.output.split())


def test_an_impossibly_large_demand_is_an_error():
    with pytest.raises(UsageError, match="slots"):
        run("--demand", "1e9/min", "--service", "30s")


def test_help_shows_defaults_and_environment():
    output = run("--help").output
    assert "AFORO_PLAN_WAIT_P95" in output
    assert "python -m capacity plan --demand 30000/min" in output
