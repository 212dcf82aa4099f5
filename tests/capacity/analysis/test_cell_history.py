"""Histories of cells: which runs are one history, since which run it changed, and what differs there."""

from dataclasses import replace

import pytest

from capacity.analysis.cell_history import Measure, Trend, histories
from capacity.estimators.interval import Interval
from tests.capacity.result_rows import HERE, indicative_row, invalid_row, row

NEWER = replace(HERE, ffmpeg="7.0")


def runs(values, *, make=row, first=0, conditions=HERE, **more):
    return [
        make(
            f"r{first + k}",
            x_sat_per_minute=value,
            x_sat_interval=Interval(0.98 * value, 1.02 * value),
            service_mean_seconds=120 / value,
            created_at=float(first + k),
            conditions=conditions,
            **more,
        )
        for k, value in enumerate(values)
    ]


BEFORE, AFTER = [8.0, 8.1, 7.9, 8.05, 8.0], [6.9, 7.0, 6.95, 6.9]


def test_the_change_names_both_runs_and_what_differs_between_them():
    (one,) = histories([*runs(BEFORE), *runs(AFTER, first=5, conditions=NEWER)])
    (change,) = one.judged.changes
    assert (change.before.run_id, change.after.run_id) == ("r4", "r5")
    assert change.conditions == {"ffmpeg": ("5.1", "7.0")}
    assert change.factor == pytest.approx(0.866, abs=0.005)
    assert (change.from_level, change.to_level) == (pytest.approx(8.01, abs=0.01), pytest.approx(6.94, abs=0.01))
    assert [series.measure for series in one.series] == [Measure.X_SAT, Measure.SERVICE]
    assert one.series[1].changes[0].factor == pytest.approx(1 / change.factor)


@pytest.mark.parametrize(
    ("values", "margin", "trend"),
    [
        ([*BEFORE, *AFTER], 0.05, Trend.WORSE),
        ([*BEFORE, *AFTER], 0.20, Trend.UNCLEAR),
        ([*AFTER, *BEFORE], 0.05, Trend.UNCLEAR),
        ([*BEFORE, *BEFORE], 0.05, Trend.NOT_WORSE),
        ([*BEFORE, *BEFORE], 0.01, Trend.UNCLEAR),
        (BEFORE[:3], 0.05, Trend.TOO_FEW_RUNS),
    ],
)
def test_the_trend_is_that_of_the_newest_change(values, margin, trend):
    (one,) = histories(runs(values))
    assert one.judged.trend(margin) is trend


def test_runs_are_taken_in_the_order_of_their_dates():
    (one,) = histories(reversed(runs([*BEFORE, *AFTER])))
    assert one.judged.changes[0].after.run_id == "r5"


def test_an_invalid_run_is_shown_and_not_used():
    (one,) = histories([*runs(BEFORE), *runs([1.0], make=invalid_row, first=5), *runs(AFTER, first=6)])
    assert [row.run_id for row in one.invalid] == ["r5"]
    assert len(one.rows) == 10
    assert [change.after.run_id for change in one.judged.changes] == ["r6"]
    assert "r5" not in [row.run_id for row in one.judged.runs]


def test_an_indicative_run_is_used():
    (one,) = histories([*runs(BEFORE), *runs(AFTER, first=5, make=indicative_row)])
    assert one.judged.changes[0].after.run_id == "r5"


@pytest.mark.parametrize(
    "other", [{"profile": "showcase"}, {"storage": "s3"}, {"stack": "aws"}, {"is_warm": True}, {"shape": "poisson"}]
)
def test_what_is_chosen_for_a_run_makes_a_history_of_its_own(other):
    elsewhere = replace(HERE, **other)
    assert len(histories([*runs(BEFORE), *runs(AFTER, first=5, conditions=elsewhere)])) == 2


def test_a_sustained_cell_is_judged_by_its_service_time():
    values = [*BEFORE, *AFTER]
    rows = [replace(run, x_sat_per_minute=None, x_sat_interval=None) for run in runs(values, mode="sustained")]
    (one,) = histories(rows)
    assert one.judged.measure is Measure.SERVICE
    assert one.judged.trend(0.05) is Trend.WORSE


def test_a_cell_of_invalid_runs_has_no_history():
    assert histories(runs(BEFORE, make=invalid_row)) == []
