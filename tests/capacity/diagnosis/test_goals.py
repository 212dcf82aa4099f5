import pytest

from capacity.diagnosis.goals import Figure, Outcome, judge, parse_goal
from core.errors import UsageError

FIGURES = {"x_sat": Figure(14.2), "response_p95": Figure(130.0), "failed": Figure(0.0), "goodput": Figure(0.9)}


def outcome(text, figures=FIGURES):
    (result,) = judge([parse_goal(text)], {"r1": figures})
    return result.outcome


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x_sat<20", Outcome.MISSED),
        ("x_sat < 14.2", Outcome.MET),
        ("x_sat<=14.2", Outcome.MISSED),
        ("response_p95>120s", Outcome.MISSED),
        ("response_p95>2.5min", Outcome.MET),
        ("failed>0", Outcome.MET),
        ("failed!=0", Outcome.MET),
        ("goodput<95%", Outcome.MISSED),
        ("goodput<0.85", Outcome.MET),
    ],
)
def test_a_condition_that_holds_is_a_missed_goal(text, expected):
    assert outcome(text) is expected


@pytest.mark.parametrize(
    ("text", "stable", "expected"),
    [
        ("stable=no", "no", Outcome.MISSED),
        ("stable=no", "yes", Outcome.MET),
        ("stable!=yes", "no", Outcome.MISSED),
        ("stable=no", None, Outcome.UNKNOWN),
    ],
)
def test_an_inconclusive_run_is_not_stable_enough_for_a_goal(text, stable, expected):
    assert outcome(text, {"stable": Figure(stable)}) is expected


def test_a_figure_that_no_result_has_is_unknown_and_fails():
    (result,) = judge([parse_goal("stable=no")], {"r1": FIGURES})
    assert (result.outcome, result.fails) == (Outcome.UNKNOWN, True)


def test_a_goal_skips_the_results_without_its_figure():
    results = judge([parse_goal("x_sat<20")], {"burst": FIGURES, "sustained": {"stable": Figure("yes")}})
    assert [result.outcome for result in results] == [Outcome.MISSED, Outcome.NOT_APPLICABLE]
    assert [result.fails for result in results] == [True, False]


@pytest.mark.parametrize(
    ("text", "expected"), [("s>40s", Outcome.MISSED), ("s>60s", Outcome.UNKNOWN), ("s<60s", Outcome.UNKNOWN)]
)
def test_a_lower_bound_meets_no_goal(text, expected):
    assert outcome(text, {"s": Figure(50.0, is_lower_bound=True)}) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x_sat", "it is no condition"),
        ("speed<20", "there is no such figure"),
        ("x_sat<20s", "a number with no unit"),
        ("s<many", "a number with ms or s or min or h"),
        ("stable<yes", "stable is a word"),
        ("stable=maybe", "stable is a word"),
    ],
)
def test_a_wrong_condition_is_refused(text, message):
    with pytest.raises(UsageError, match=message):
        parse_goal(text)
