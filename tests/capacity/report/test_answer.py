"""The first lines of a report: what they say where verdicts are missing or seem to contradict each other."""

from types import SimpleNamespace

import pytest

from capacity.analysis.load_and_analyse import load_and_analyse
from capacity.diagnosis.bottleneck import Cause
from capacity.diagnosis.next_steps import NextStep
from capacity.estimators.interval import Interval
from capacity.estimators.stability import Stability, StabilityVerdict
from capacity.report import statements
from capacity.report.answer import next_step, run_answer
from capacity.report.statements import stability
from capacity.report.terminal import output_width, render_terminal
from capacity.runs.sessions import reading
from tests.capacity.result_rows import indicative_row, invalid_row, row
from tests.capacity.store import burst, record_bursts


def verdict(outcome, growth, low, high, arrivals=12, needed=60):
    middle, enough = (low + high) / 2, arrivals >= needed
    return StabilityVerdict(outcome, growth, middle, Interval(low, high), arrivals, needed, enough, False)


def sustained(judged, cause=Cause.UNCLEAR):
    shown = row(mode="sustained", rate_per_minute=10.0, x_sat_per_minute=None, stability=judged.verdict.value)
    return SimpleNamespace(
        row=shown, stability=judged, saturated=None, warnings=(), bottleneck=SimpleNamespace(cause=cause)
    )


def test_an_unstable_run_without_growth_says_that_rho_decides():
    text = stability(sustained(verdict(Stability.UNSTABLE, 0.0, 1.56, 1.79)), "es")
    assert "la cola crece un 0.0 % de la tasa, ρ [1.56, 1.79]" in text
    assert text.endswith("la cola crecerá aunque en la parte juzgada todavía no creció")


@pytest.mark.parametrize(
    ("judged", "remark"),
    [
        (verdict(Stability.INCONCLUSIVE, 0.0, 0.9, 1.1), "no growth, but ρ may be 1 or more"),
        (verdict(Stability.INCONCLUSIVE, 0.2, 0.6, 0.8), "by ρ < 1 it should not go on growing"),
        (verdict(Stability.UNSTABLE, 0.2, 0.9, 1.1), "arrivals of 60 needed"),
        (verdict(Stability.STABLE, 0.0, 0.5, 0.6), "arrivals of 60 needed"),
    ],
)
def test_only_verdicts_whose_evidence_disagrees_get_a_remark(judged, remark):
    assert stability(sustained(judged), "en").endswith(remark)


def test_with_too_few_arrivals_the_headline_says_what_is_known(monkeypatch):
    monkeypatch.setattr("capacity.report.answer.limit", lambda run, lang: "-")
    first, _, _, last = run_answer(sustained(verdict(Stability.INCONCLUSIVE, 0.0, 0.81, 1.05)), "es")
    assert first == (
        "A 10 videos de 5 MB por minuto con 2 slots no se sabe si la cola es estable: 12 llegadas de 60 necesarias; "
        "salieron 8.00 videos/min, ρ [0.81, 1.05]"
    )
    assert last == "Siguiente paso: repetir la prueba con COUNT=60 o más llegadas."


@pytest.mark.parametrize(
    ("judged", "end"),
    [
        (verdict(Stability.STABLE, 0.0, 0.3, 0.4, arrivals=60), "the queue is stable"),
        (verdict(Stability.STABLE, 0.0, 0.3, 0.4, arrivals=16), "by 16 arrivals: a firm verdict takes 60"),
        (verdict(Stability.UNSTABLE, 0.2, 0.9, 1.1, arrivals=16), "by 16 arrivals: a firm verdict takes 60"),
        (verdict(Stability.UNSTABLE, 0.8, 4.0, 4.5, arrivals=16), "the queue is unstable"),
    ],
)
def test_a_verdict_that_more_arrivals_could_change_says_so_in_the_headline(monkeypatch, judged, end):
    monkeypatch.setattr("capacity.report.answer.limit", lambda run, lang: "-")
    assert run_answer(sustained(judged), "en")[0].endswith(end)


@pytest.mark.parametrize(
    ("judged", "cause", "step"),
    [
        (verdict(Stability.STABLE, 0.0, 0.5, 0.6, arrivals=60), Cause.CPU, NextStep.NOTHING),
        (verdict(Stability.STABLE, 0.0, 0.5, 0.6), Cause.CPU, NextStep.MORE_ARRIVALS),
        (verdict(Stability.INCONCLUSIVE, 0.0, 0.9, 1.1, arrivals=90), Cause.CPU, NextStep.LOWER_RATE),
        (verdict(Stability.UNSTABLE, 0.2, 1.1, 1.2), Cause.UNCLEAR, NextStep.LOWER_RATE),
        (verdict(Stability.UNSTABLE, 0.2, 1.1, 1.2), Cause.SLOTS, NextStep.DOUBLE_SLOTS),
    ],
)
def test_the_next_step_of_a_sustained_run(judged, cause, step):
    assert next_step(sustained(judged, cause)).code is step


@pytest.mark.parametrize(
    ("shown", "step"),
    [
        (invalid_row(), NextStep.REPEAT_RUN),
        (indicative_row(reason="few_videos"), NextStep.MORE_VIDEOS),
        (indicative_row(reason="failed_videos"), NextStep.DOUBLE_CORES),
        (row(), NextStep.DOUBLE_CORES),
    ],
)
def test_the_next_step_of_a_burst(shown, step):
    run = SimpleNamespace(row=shown, stability=None, bottleneck=SimpleNamespace(cause=Cause.CPU))
    assert next_step(run).code is step


@pytest.mark.parametrize(
    ("share", "es"),
    [
        (0.94, "X es el 94 % de X_sat"),
        (1.003, "X es el 100 % de X_sat"),
        (1.03, "X es un 3 % mayor que X_sat"),
    ],
)
def test_x_above_x_sat_is_named_as_such(share, es):
    assert statements._reached(share, "es").es == es


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.031, "resto 0.031 s"), (-0.003, "las etapas suman 0.003 s de más (relojes)")],
)
def test_no_remaining_time_is_negative(seconds, shown):
    assert statements._rest(SimpleNamespace(fully_measured=True, other_seconds=seconds), "es") == shown


def test_without_a_terminal_lines_have_the_full_width(capsys):
    assert output_width() == 118


@pytest.mark.parametrize("width", [60, 80])
def test_no_line_of_a_report_is_wider_than_the_terminal(analysed_burst, width):
    lines = render_terminal(analysed_burst, "es", width).splitlines()
    assert max(map(len, lines)) <= width
    assert any(line.startswith("  Concurrencia") for line in lines)


@pytest.fixture
def analysed_burst(sessions, settings):
    record_bursts(sessions, [burst(1, 12, 5.0, 1e9, "b1")])
    with reading(sessions) as session:
        return load_and_analyse(session, settings).run("b1")
