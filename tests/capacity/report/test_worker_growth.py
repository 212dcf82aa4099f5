"""Growth of X_sat with the number of workers in the answer, and cells of several workers in table and curves."""

import pytest

from capacity.analysis.analysed_runs import AnalysedRuns
from capacity.analysis.scalability_curves import curves
from capacity.estimators.interval import Interval
from capacity.report.level_table import rows
from capacity.report.worker_growth import growth_text, worker_growths
from capacity.table.cells import fill
from capacity.table.phrases import cell_name
from capacity.table.table_text import csv_row, sources
from tests.capacity.result_rows import invalid_row, row


def on(nodes, x_sat, concurrency=2, make=row, **more):
    return make(
        f"w{nodes}c{concurrency}", nodes=nodes, concurrency=concurrency, slots=nodes * concurrency,
        x_sat_per_minute=x_sat, x_sat_interval=Interval(x_sat - 1, x_sat + 1), **more,
    )  # fmt: skip


def analysed(*measured):
    return AnalysedRuns(tuple(measured), ())


def test_the_points_of_several_numbers_of_workers_are_one_sentence():
    (growth,) = worker_growths(analysed(on(3, 27.0), on(1, 10.0), on(2, 19.0), on(1, 30.0, concurrency=4)))
    assert growth_text(growth, "en") == (
        "X_sat by workers, with 2 slots each and videos of 5 MB: 1 worker 10.00 [9.00, 11.00], "
        "2 workers 19.00 [18.00, 20.00] (×1.90 of 1), 3 workers 27.00 [26.00, 28.00] (×2.70 of 1) videos/min."
    )
    assert growth_text(growth, "es").startswith("X_sat según los workers, con 2 slots en cada uno y videos de 5 MB")


def test_one_number_of_workers_or_an_invalid_second_one_has_no_growth():
    assert worker_growths(analysed(on(2, 19.0), on(2, 30.0, concurrency=4))) == []
    assert worker_growths(analysed(on(1, 10.0), on(2, 19.0, make=invalid_row))) == []


def test_sizes_and_unequal_workers_are_not_mixed():
    other_size = on(2, 19.0, size_label="10MB")
    unequal = row("u", nodes=2, concurrency=2, slots=3)
    assert worker_growths(analysed(on(1, 10.0), other_size, unequal)) == []


def test_runs_of_one_and_two_workers_are_two_cells_curves_and_names():
    one, two = on(1, 10.0), on(2, 19.0)
    cells = fill([one, two])
    assert [(csv_row(cell)["nodes"], cell.x_sat) for cell in cells] == [(1, pytest.approx(10)), (2, pytest.approx(19))]
    assert sources(cells, "en") == "- 5 MB, c=2, Burst: w1c2\n- 5 MB, c=2, 2 workers, Burst: w2c2\n"
    assert [cell_name(each, "en") for each in (one, two)] == ["5 MB · c=2 · Burst", "5 MB · c=2 · 2 workers · Burst"]
    drawn = curves(analysed(one, two))
    assert [(curve.name, [point.slots for point in curve.points]) for curve in drawn] == [
        ("5 MB", [2]),
        ("5 MB, 2 workers", [4]),
    ]
    assert [cells[1] for cells in rows(drawn, "en", None)] == ["2", "4 (2 × 2)"]
