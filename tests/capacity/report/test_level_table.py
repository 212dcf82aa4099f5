"""Table of the levels, and intervals that leave the axis."""

import math

import pytest

from capacity.analysis.scalability_curves import Curve, Point
from capacity.estimators.interval import Interval
from capacity.report.charts import Axis, Frame
from capacity.report.curve_statements import statements
from capacity.report.figures import throughput_chart
from capacity.report.level_table import gain, names, rows

ONE = Point(1, 10.0, Interval(9.0, 100 / 9), (10.0,), between_runs=True)
TWO = Point(2, 18.0, Interval(16.0, 20.25), (18.0,), between_runs=True)


def test_the_gain_of_a_doubling_has_the_variance_of_both_levels():
    step = gain(ONE, TWO)
    half = math.hypot(math.log(10 / 9), math.log(20.25 / 16) / 2)
    assert (step.slots_factor, step.ratio, step.between_runs) == (2.0, 1.8, True)
    assert step.interval.high == pytest.approx(1.8 * math.exp(half))
    assert step.interval.low == pytest.approx(1.8 * math.exp(-half))


@pytest.mark.parametrize("interval", [None, Interval(9.0, math.inf), Interval(0.0, 20.0)])
def test_without_both_intervals_the_gain_has_none(interval):
    assert gain(Point(1, 10.0, interval, (10.0,)), TWO).interval is None


def test_the_table_has_a_row_per_level_and_the_cost_where_a_price_is_given():
    curve = Curve("50MB", (ONE, TWO), None)
    first, second = rows([curve], "es", 0.6)
    assert first == ("50 MB", "1", "10.00 [9.00, 11.11]", "500", "—", "100 %", "1.000")
    assert second[4].startswith("×1.80 [") and second[4].endswith("] con ×2 slots")
    assert (second[5], second[6]) == ("90 %", "0.556")
    assert len(names("es", 0.6)) == len(first) == len(names("es", None)) + 1


def test_the_cost_counts_the_workers_of_the_level():
    point = Point(4, 10.0, None, (10.0,), nodes=2)
    assert next(rows([Curve("50MB", (point,), None)], "es", 0.6))[-1] == "2.000"


def test_a_gain_within_single_runs_is_marked_as_indicative():
    points = (Point(1, 10.0, Interval(9.0, 11.0), (10.0,)), Point(2, 18.0, Interval(17.0, 19.0), (18.0,)))
    *_, last = rows([Curve("50MB", points, None)], "en", None)
    assert last[4].endswith("with ×2 slots (indicative)")


def test_one_number_of_slots_gives_the_reason_for_no_law():
    assert list(statements(Curve("50MB", (ONE,), None), "es")) == [
        "Sin ley de escalabilidad (USL): solo hay un número de slots."
    ]


@pytest.mark.parametrize(
    ("low", "high", "classes", "place"),
    [
        (9.33, 39.0, "whisker", "bottom:23.33%;height:74.17%"),
        (9.33, 43.25, "whisker cut-high", "bottom:23.33%;height:76.68%"),
        (9.33, math.inf, "whisker cut-high", "bottom:23.33%;height:76.68%"),
        (-1.0, 10.0, "whisker cut-low", "bottom:0.00%;height:25.00%"),
    ],
)
def test_an_interval_that_leaves_the_axis_has_no_cap(low, high, classes, place):
    drawn = Frame(Axis(0, 4), Axis(0, 40)).whisker(1, low, high, "blue")
    assert f'class="{classes}"' in drawn
    assert place in drawn


def test_the_labels_of_an_axis_of_counts_are_whole_numbers():
    assert Axis(0, 2.5).ticks() == [0, 0.5, 1, 1.5, 2, 2.5]
    assert Axis(0, 2.5, is_count=True).ticks() == [0, 1, 2]
    assert Axis(0.5, 30.5, is_count=True).ticks() == [10, 20, 30]


def test_the_chart_cuts_an_interval_over_twice_the_capacity_and_names_its_ends():
    chart = throughput_chart([Curve("50MB", (Point(1, 20.0, Interval(9.33, 99.0), (20.0,)),), None)], "es")
    assert "whisker cut-high" in chart
    assert 'title="20.00 [9.33–99.00]/min"' in chart
