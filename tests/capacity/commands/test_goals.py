"""Goals of the user on `report`: exit code, JUnit file and Markdown summary."""

import json
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from capacity.__main__ import main
from capacity.commands import search as search_module
from capacity.diagnosis.goals import Figure
from capacity.diagnosis.validity import Level, Validity
from capacity.estimators.stability import Stability
from capacity.experiments.rate_search import StepResult
from capacity.table.cell_figures import cell_figures
from capacity.table.cells import fill
from core.errors import AforoError, ExitCode, GoalMissed
from tests.capacity.result_rows import invalid_row, row
from tests.capacity.store import burst, record_bursts


@pytest.fixture
def report(sessions, environment):
    record_bursts(sessions, [burst(1, 12, 5.0, 1e9, "b1")])
    return lambda *words: CliRunner().invoke(main, ["report", "b1", "--lang", "en", *words], env=environment)


def test_goals_that_are_met_leave_the_exit_code_at_0(report):
    shown = report("--fail-if", "x_sat<5", "--fail-if", "failed>0")
    assert shown.exit_code == 0
    assert "| `x_sat<5` | b1 | 11.76 | met |" in shown.stdout


def test_a_missed_goal_has_an_exit_code_of_its_own_and_both_files(report, tmp_path):
    junit, summary = tmp_path / "junit.xml", tmp_path / "summary.md"
    summary.write_text("before\n", "utf-8")
    files = ("--junit", str(junit), "--summary", str(summary))
    missed = report("--fail-if", "x_sat<20", "--fail-if", "stable=no", "--fail-if", "x>1", *files)
    assert isinstance(missed.exception, GoalMissed)
    assert missed.exception.exit_code == ExitCode.GOAL_MISSED == 4
    assert "b1: x_sat<20 (11.76); b1: stable=no (unknown); b1: x>1" in str(missed.exception)
    suite = ET.parse(junit).getroot()  # noqa: S314 (our own file)
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "2", "1")
    assert [case[0].tag for case in suite] == ["failure", "error", "failure"]
    text = summary.read_text("utf-8")
    assert text.startswith("before\n### 11.76 videos of 5 MB per minute with 1 slot")
    assert "| `x_sat<20` | b1 | 11.76 | MISSED |" in text
    assert "| 5 MB | 1 | Burst |" in text


def test_goodput_is_the_share_of_videos_within_the_goal(report):
    shown = report("--goal", "30s")
    assert "41.7 % of the videos done within 30.0 s (5/12; 95 %: [19.3 %, 68.0 %])" in shown.stdout
    missed = report("--goal", "30s", "--fail-if", "goodput<95%", "--json")
    assert json.loads(missed.stdout)["goals"] == [
        {"condition": "goodput<95%", "subject": "b1", "outcome": "missed", "value": pytest.approx(5 / 12)}
    ]
    assert isinstance(missed.exception, GoalMissed)


@pytest.mark.parametrize("words", [("--fail-if", "speed<2"), ("--junit", "/nope/x.xml"), ("--summary", "/nope/x.md")])
def test_wrong_goals_are_refused_before_anything_is_done(report, words):
    assert isinstance(report(*words).exception, AforoError)


def test_the_figures_of_an_invalid_cell_are_unknown_and_its_counts_are_not():
    (cell,) = fill([invalid_row(failed=2, done=14)])
    figures = cell_figures(cell)
    assert (figures["x_sat"], figures["s"]) == (Figure(None), Figure(None))
    assert (figures["failed"], figures["validity"]) == (Figure(2.0), Figure("invalid"))


@pytest.mark.parametrize(
    ("verdicts", "stable"),
    [(("STABLE", "STABLE"), "yes"), (("STABLE", "UNSTABLE"), "no"), (("STABLE", "INCONCLUSIVE"), None)],
)
def test_a_cell_is_stable_if_every_run_is(verdicts, stable):
    rows = [
        row(f"r{k}", mode="sustained", rate_per_minute=5.0, x_sat_per_minute=None, stability=verdict)
        for k, verdict in enumerate(verdicts)
    ]
    (cell,) = fill(rows)
    assert cell_figures(cell)["stable"] == Figure(stable)


@pytest.fixture
def search(monkeypatch, environment, sessions):
    """Return `search` of a system with X_sat 10/min that sustains every rate; its sustained runs have `validity`."""

    def invoke(*words, validity=Validity()):  # noqa: B008 (it is frozen)
        def measured(_launcher, step, *_):
            if step.rate_per_minute is None:
                return StepResult(step, 60.0, capacity_per_minute=10.0)
            return StepResult(step, 60.0, verdict=Stability.STABLE, validity=validity)

        monkeypatch.setattr(search_module, "_run", measured)
        return CliRunner().invoke(main, ["search", "--lang", "en", *words], env=environment)

    return invoke


def test_a_search_fails_only_if_its_answer_misses_a_goal(search):
    assert search("--fail-if", "rate<9", "--fail-if", "x_sat<10", "--fail-if", "stable=no").exit_code == 0
    missed = search("--fail-if", "rate<10")
    assert isinstance(missed.exception, GoalMissed)
    assert "rate<10 (9.5" in str(missed.exception)


def test_an_invalid_search_has_no_answer_that_could_meet_a_goal(search):
    assert search("--fail-if", "rate<5", validity=Validity(Level.INVALID, ("littles_law",))).exit_code != 0


def test_each_number_of_workers_is_searched_and_every_run_is_asked_for_with_it(environment, sessions, monkeypatch):
    asked = []

    def run(_launcher, request, _progress):
        asked.append(request)
        capacity = 10.0 * request.workers
        return row(mode=request.mode, slots=request.workers, x_sat_per_minute=capacity, stability=Stability.STABLE)

    monkeypatch.setattr(search_module, "require_settable", lambda *_: None)
    monkeypatch.setattr(search_module.RunLauncher, "run", run)
    monkeypatch.setattr(search_module.RunLauncher, "restore", lambda _launcher: None)
    words = ["search", "--workers", "1,2", "--concurrency", "1", "--json", "--fail-if", "rate<10"]
    searched = CliRunner().invoke(main, words, env=environment)
    assert [(each.workers, each.mode, each.rate_per_minute) for each in asked] == [
        (1, "burst", None),
        (1, "sustained", 9.5),
        (2, "burst", None),
        (2, "sustained", 19.0),
    ]
    searches = json.loads(searched.stdout)["searches"]
    assert [(each["workers"], each["search"]["stable_per_minute"]) for each in searches] == [(1, 9.5), (2, 19.0)]
    assert "50MB c=1 workers=1: rate<10 (9.50)" in str(searched.exception)
