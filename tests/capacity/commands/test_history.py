"""`history`: the sentence, the page, the JSON and the exit code."""

import json

import pytest
from click.testing import CliRunner

from capacity.__main__ import main
from core.errors import AforoError, CapacityLost, ExitCode, GoalMissed
from tests.capacity.store import burst, record_bursts, slow_down

DAY = 86400
NOVEMBER_1 = 1_793_491_200.0  # 2026-11-01 00:00 UTC
QUICK, SLOW = (5.0, 5.05, 4.95, 5.02, 4.98), (6.0, 6.05, 5.95, 6.02)


@pytest.fixture
def record(sessions):
    """Return a function that records one burst a day, from a day of November on, with these service times."""

    def record_runs(services, *, from_day=1, slots=1, **environment):
        for day, service in enumerate(services, from_day):
            row, *times = burst(
                slots, 12, service, NOVEMBER_1 + (day - 1) * DAY + 3600 * (slots - 1), f"c{slots}-day-{day:02}"
            )
            row.environment = {**row.environment, **environment}
            record_bursts(sessions, [(row, *times)])

    return record_runs


@pytest.fixture
def history(environment):
    return lambda *words: CliRunner().invoke(main, ["history", "--lang", "en", *words], env=environment)


def plain(text):
    return " ".join(text.replace("\N{NO-BREAK SPACE}", " ").split())


def test_the_sentence_says_since_when_by_how_much_and_what_differs(record, history):
    record(QUICK)
    record(SLOW, from_day=6, ffmpeg="7.0")
    shown = history()
    assert shown.exit_code == 0
    text = plain(shown.output)
    assert "5 MB · c=1 · Burst (full): 9 runs, 2026-11-01 – 2026-11-09" in text
    assert "X_sat: fell by 16.5 % [" in text
    assert "since c1-day-06 (2026-11-06 00:00 UTC), from 11.76 to 9.83 videos/min; different there: ffmpeg" in text
    assert "ffmpeg 5.1 → 7.0" in text
    assert "mean service time: rose by" in text
    assert "c1-day-09" in text


def test_a_spanish_sentence_says_that_nothing_recorded_differs(record, history):
    record([*QUICK, *SLOW])
    text = plain(history("--lang", "es").output)
    assert "X_sat: bajó un 16.5 % [" in text
    assert "desde c1-day-06 (2026-11-06 00:00 UTC), de 11.76 a 9.83 videos/min" in text
    assert "ninguna condición registrada difiere ahí" in text


def test_too_few_runs_are_no_verdict(record, history):
    record(QUICK[:3])
    shown = history("--fail-if-worse", "5%")
    assert "X_sat: 3 runs, too few to see a change; 4 are needed" in plain(shown.output)
    assert shown.exit_code == 0
    assert isinstance(history("--fail-if-worse", "5%", "--fail-if-unknown").exception, GoalMissed)


@pytest.mark.parametrize(
    ("services", "margin", "fails"),
    [([*QUICK, *SLOW], "5%", True), ([*QUICK, *SLOW], "30%", False), ([*SLOW, *QUICK], "5%", False)],
)
def test_the_exit_code_is_5_if_the_newest_change_is_a_loss_above_the_margin(record, history, services, margin, fails):
    record(services)
    shown = history("--fail-if-worse", margin)
    assert isinstance(shown.exception, CapacityLost) is fails
    assert CapacityLost.exit_code == ExitCode.CAPACITY_LOST == 5
    if fails:
        assert "capacity (1 of 1 cells); 5 MB · c=1 · Burst: X_sat: fell by 16.5 %" in str(shown.exception)


def test_one_worse_cell_of_several_fails_and_a_selection_leaves_it_out(record, history):
    record([*QUICK, *SLOW])
    record(QUICK, slots=2)
    assert "capacity (1 of 2 cells)" in str(history("--fail-if-worse", "5%").exception)
    assert history("--fail-if-worse", "5%", "--concurrency", "2").exit_code == 0
    assert history("--fail-if-worse", "5%", "c2-day-01").exit_code == 0
    assert isinstance(history("--fail-if-worse", "5%", "c1-day-01").exception, CapacityLost)


@pytest.mark.parametrize("since", ["2026-11-06", "c1-day-06"])
def test_an_accepted_loss_is_left_behind_by_since(record, history, since):
    record([*QUICK, *SLOW])
    assert history("--fail-if-worse", "5%", "--since", since).exit_code == 0


def test_an_invalid_run_is_in_the_list_and_not_in_the_level(record, history, sessions):
    record([*QUICK, 9.0])
    with sessions.begin() as session:
        slow_down(session, "c1-day-06")
    result = json.loads(history("--json").output)["histories"][0]
    assert result["runs"][-1]["validity"] == "invalid"
    assert result["series"][0]["runs"] == 5
    assert result["series"][0]["changes"] == []
    assert "6 runs, 1 invalid not used" in plain(history().output)


def test_the_json_has_codes_and_numbers(record, history):
    record(QUICK)
    record(SLOW, from_day=6, ffmpeg="7.0")
    result = json.loads(history("--json", "--fail-if-worse", "20%").output)
    assert (result["schema"], result["margin_ratio"]) == (1, 0.2)
    (one,) = result["histories"]
    assert one["trend"] == "unclear"
    assert (one["cell"]["size_label"], one["cell"]["concurrency"]) == ("5MB", 1)
    capacity, service = one["series"]
    assert (capacity["measure"], service["measure"]) == ("x_sat_per_minute", "service_mean_seconds")
    (change,) = capacity["changes"]
    assert (change["previous_run_id"], change["run_id"]) == ("c1-day-05", "c1-day-06")
    assert change["loss_ratio"] == pytest.approx(1 - change["factor"])
    assert change["factor_interval"]["low"] < change["factor"] < change["factor_interval"]["high"] < 1
    assert change["conditions"] == {"ffmpeg": ["5.1", "7.0"]}


def test_the_page_draws_the_change_and_lists_every_run(record, history, tmp_path):
    record([*QUICK, *SLOW])
    assert history("--page", str(tmp_path / "page.html")).exit_code == 0
    text = (tmp_path / "page.html").read_text("utf-8").replace("\N{NO-BREAK SPACE}", " ")
    assert '<section class="answer"><strong>X_sat: fell by 16.5 %' in text
    assert text.count('<figure class="chart"') == 2
    assert text.count('class="dot"') == 18
    assert text.count('stroke="var(--red)"') == 2
    assert all(f"<span>c1-day-{day:02}</span>" in text for day in range(1, 10))


@pytest.mark.parametrize(
    "words",
    [
        ("nope",),
        ("--since", "yesterday"),
        ("--size", "7MB"),
        ("--fail-if-unknown",),
        ("--page", "/nope/page.html"),
    ],
)
def test_wrong_input_is_refused(record, history, words):
    record(QUICK)
    error = history(*words).exception
    assert isinstance(error, AforoError) and error.exit_code in {2, 3}


def test_a_selection_of_invalid_runs_says_so(record, history, sessions):
    record(QUICK[:1])
    with sessions.begin() as session:
        slow_down(session, "c1-day-01")
    assert "every selected run is invalid or has no figure" in str(history().exception)
    assert "no ended run is selected" in str(history("--concurrency", "7").exception)


@pytest.mark.parametrize("margin", ["5", "0.05", "60%", "-1%", "5 percent"])
def test_a_margin_is_a_percentage(history, margin):
    shown = history("--fail-if-worse", margin)
    assert shown.exit_code == ExitCode.USAGE
    assert "is not a percentage from 0% to 50%, such as 5%" in shown.output
