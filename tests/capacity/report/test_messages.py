import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from capacity.audit.suspicious import Oddity
from capacity.commands.compare import _verdict
from capacity.diagnosis.bottleneck import Cause, Confidence
from capacity.diagnosis.criteria import Measurement, Quantity, at_least
from capacity.diagnosis.data_quality import Problem
from capacity.diagnosis.next_steps import advice
from capacity.diagnosis.validity import Level, Validity
from capacity.estimators.comparison import Comparison, Gate
from capacity.estimators.interval import Interval
from capacity.estimators.reason import Reason
from capacity.estimators.slots import Executions
from capacity.estimators.throughput import NoCapacity, saturated_throughput
from capacity.report.answer import answer
from capacity.report.messages import CONFIDENCE_NAMES, PROBLEMS, QUANTITIES, SENTENCES, measurement, sentence
from capacity.report.statements import headline, missing_capacity
from capacity.report.to_json import to_json
from core.language import CAUSE_NAMES, LANGUAGES, VALIDITY_NAMES, VALIDITY_REASON_NAMES


def burst(reason):
    row = SimpleNamespace(
        size_label="5MB",
        slots=2,
        rate_per_minute=None,
        x_sat_per_minute=None,
        x=21.0,
        run_id="b2",
        count=4,
        validity=Validity(),
    )
    return SimpleNamespace(row=row, saturated=SimpleNamespace(reason=reason))


def test_every_code_has_its_sentence():
    for codes, sentences in SENTENCES.items():
        assert set(sentences) == set(codes)
    assert set(QUANTITIES) == set(Quantity)
    assert set(CAUSE_NAMES) == set(Cause)
    assert all(advice(cause).next_step for cause in Cause)
    assert set(CONFIDENCE_NAMES) == set(Confidence)
    assert set(VALIDITY_REASON_NAMES) == {problem.value for problem in Problem}
    assert set(VALIDITY_NAMES) == {level.value for level in Level}


@pytest.mark.parametrize("lang", LANGUAGES)
def test_no_two_flags_of_a_run_have_the_same_words(lang):
    sentences = {problem: text.to(lang) for problem, text in PROBLEMS.items()}
    names = {problem: VALIDITY_REASON_NAMES[problem].to(lang) for problem in Problem}
    assert len(set(sentences.values())) == len(sentences)
    mixed = {(a, b) for a, text in sentences.items() for b, name in names.items() if a != b and name in text}
    assert mixed == set()


def test_a_code_of_two_enums_has_a_sentence_in_each():
    assert sentence(Reason(NoCapacity.CLOCK_SKEW), "en") == "slot cycles are not positive: clock skew"
    assert sentence(Reason(Problem.CLOCK_SKEW, {"executions": 3}), "en") == "3 executions with negative time"


@pytest.mark.parametrize(
    ("executions", "es", "en"),
    [(1, "1 ejecución con tiempo negativo", "1 execution with negative time"),
     (2, "2 ejecuciones con tiempo negativo", "2 executions with negative time")],
)  # fmt: skip
def test_nouns_agree_with_their_number(executions, es, en):
    reason = Reason(Problem.CLOCK_SKEW, {"executions": executions})
    assert (sentence(reason, "es"), sentence(reason, "en")) == (es, en)


def test_one_video_on_one_slot_is_singular():
    reason = Reason(Problem.FEW_VIDEOS, {"videos": 1, "slots": 1, "generations_needed": 3})
    assert sentence(reason, "es") == "1 video en 1 slot: menos de 3 generaciones"


@pytest.mark.parametrize(
    ("cores", "en"), [(1.0, "CPU busy 97 % of 1 core"), (2.0, "CPU busy 97 % of 2 cores"), (None, "CPU busy 97 %")]
)
def test_a_utilisation_names_the_cores_that_it_refers_to(cores, en):
    assert measurement(Measurement(Quantity.CPU_UTILISATION, 0.97, cores=cores), "en") == en


def test_only_measured_steal_ratios_are_shown():
    reason = Reason(Problem.STEAL, {"mean_ratio": 0.06, "worst_window_ratio": None})
    assert sentence(reason, "es") == "CPU robada por el hipervisor: 6.0 %"


def test_a_spanish_sentence_calls_a_run_prueba():
    assert not [text.es for texts in SENTENCES.values() for text in texts.values() if "corrida" in text.es]


def test_a_measurement_is_json_with_code_numbers_and_text():
    (measured,) = at_least(Measurement(Quantity.CPU_UTILISATION, 0.97, cores=2.0), 0.9).measurements
    assert to_json(measured, "en") == {
        "code": "cpu_utilisation_ratio",
        "value": 0.97,
        "relation": "at_least",
        "limit": 0.9,
        "upper_limit": None,
        "cores": 2.0,
        "text": "CPU busy 97 % of 2 cores (≥ 90 %)",
    }


def test_a_reason_is_json_with_code_numbers_and_text():
    reason = Reason(Oddity.UNKNOWN_NUMBERS, {"columns": ["X", "S"]})
    shown = {"code": "unknown_numbers", "columns": ["X", "S"], "text": "X, S desconocidos: nada que comprobar"}
    assert json.loads(json.dumps(to_json(reason, "es"))) == shown


@pytest.mark.parametrize(
    ("executions", "en"),
    [
        (
            Executions(np.zeros(2), np.full(2, 30.0), np.ones(2, dtype=bool)),
            "2 executions on 2 slots: no second generation, more videos than slots are needed",
        ),
        (
            Executions(np.array([0.0, 0, 30, 30]), np.array([30.0, 30, 60, 60]), np.zeros(4, dtype=bool)),
            "no execution completed a video",
        ),
        (
            Executions(np.zeros(4), np.full(4, -1.0), np.ones(4, dtype=bool), np.array([0, 0, 1, 1])),
            "slot cycles are not positive: clock skew",
        ),
    ],
)
def test_the_report_states_the_true_reason_of_a_missing_capacity(executions, en):
    run = burst(saturated_throughput(executions, 2).reason)
    assert headline(run.row, "en", missing_capacity(run)) == (
        f"21.00 videos of 5 MB per minute with 2 slots; capacity unknown: {en}"
    )
    analysed = SimpleNamespace(best=None, runs=(run,))
    assert answer(analysed, "en") == [f"No finished run allows an estimate of the capacity: {en}."]


def test_without_a_burst_the_answer_states_that_in_both_languages():
    nothing = SimpleNamespace(best=None, runs=())
    assert [answer(nothing, lang)[0].rsplit(": ")[-1] for lang in LANGUAGES] == [
        "no hay ninguna ráfaga.",
        "there is no burst.",
    ]


def test_an_inconclusive_comparison_says_how_many_runs_to_add():
    comparison = Comparison(Gate.INCONCLUSIVE, 0.95, Interval(0.85, 1.06), None, 2)
    assert _verdict(comparison, "en") == "inconclusive: B/A = 0.95 [0.8500, 1.0600] (-5.0 %); run 2 more per side"
    assert _verdict(comparison, "es").endswith("; haga 2 pruebas más por lado")


def test_every_code_is_documented():
    documented = (Path(__file__).parents[3] / "docs" / "json.md").read_text("utf-8")
    assert [code for codes in SENTENCES for code in codes if f"`{code.value}`" not in documented] == []
