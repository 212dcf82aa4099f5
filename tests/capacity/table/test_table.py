import csv
import math
from dataclasses import replace
from io import StringIO

import pytest

from capacity.diagnosis.validity import Level, Validity
from capacity.table.cells import fill
from capacity.table.table_text import csv_text, markdown, sources
from tests.capacity.result_rows import ELSEWHERE, HERE, indicative_row, invalid_row, row


def ids(cell):
    return [run.run_id for run in cell.runs]


def test_cells_are_in_the_order_of_the_scenario():
    rows = [
        row("d", size_label="10MB"),
        row("c", mode="sustained", rate_per_minute=10.0),
        row("b", concurrency=4),
        row(),
    ]
    assert [ids(cell) for cell in fill(rows)] == [["a"], ["b"], ["c"], ["d"]]


@pytest.mark.parametrize(
    "weaker",
    [
        row("b", status="interrupted", created_at=9.0),
        row("b", done=15, created_at=9.0),
        row("b", done=15, failed=1, created_at=9.0),
        row("b", duplicates=1, created_at=9.0),
        row("b", x_database=8.1, created_at=9.0),
        row("b", x_per_minute=None, x_database=None, created_at=9.0),
    ],
)
def test_a_weaker_run_does_not_enter_the_cell(weaker):
    (cell,) = fill([row(), weaker])
    assert (ids(cell), cell.left_out) == (["a"], 1)


@pytest.mark.parametrize("conditions", ELSEWHERE)
def test_an_older_run_under_other_conditions_does_not_enter_the_cell(conditions):
    (cell,) = fill([row(), row("b", conditions=conditions, created_at=0.5)])
    assert (ids(cell), cell.left_out) == (["a"], 1)


def test_an_invalid_run_gives_way_to_a_valid_older_one_and_fills_a_cell_without_better_runs():
    assert ids(fill([row(), invalid_row("b", created_at=9.0)])[0]) == ["a"]
    assert ids(fill([invalid_row("b")])[0]) == ["b"]


def test_a_valid_run_comes_before_indicative_ones_and_an_incomplete_one_before_an_invalid_one():
    (cell,) = fill([indicative_row("b", created_at=9.0), row(), invalid_row("c", created_at=10.0)])
    assert (ids(cell), cell.left_out, cell.validity.level) == (["a"], 2, Level.VALID)
    assert ids(fill([invalid_row("c"), row("d", status="interrupted", done=10)])[0]) == ["d"]


def test_the_notes_begin_with_the_validity_and_its_reasons():
    assert "| 60.0 | válida; N=16;" in markdown(fill([row()]), "es")
    assert "| indicative (few videos); N=16;" in markdown(fill([indicative_row()]), "en")
    assert "| NO VÁLIDA (slots que no trabajaron); N=16;" in markdown(fill([invalid_row(reason="idle_slots")]), "es")
    assert "| 60.0 | válida; mi-app; N=16;" in markdown(fill([row(app="mi-app")]), "es")
    (line,) = csv.DictReader(StringIO(csv_text(fill([invalid_row()]), "en")))
    assert (line["validity"], line["validity_reasons"]) == ("invalid", "littles_law")


def test_a_lower_bound_of_s_is_printed_as_one():
    lower = row(status="interrupted", count=8, done=5, s_seconds=7.25, s_database=9.05)
    text = markdown(fill([lower]), "es")
    assert "| ≥ 9.1 |" in text
    assert "la base de datos da" not in text, "Prometheus averages finished videos: no contradiction"


def test_repeats_are_averaged_and_three_of_them_have_an_interval_between_runs():
    rows = [
        row(name, x_per_minute=x, x_database=x, x_sat_per_minute=x)
        for name, x in zip("abc", (4.0, 8.0, 16.0), strict=True)
    ]
    (cell,) = fill(rows)
    assert (ids(cell), cell.x, cell.s) == (["a", "b", "c"], pytest.approx(28 / 3), 60.0)
    assert cell.x_sat == pytest.approx(8.0)
    half = 4.302653 * math.log(2) / math.sqrt(3)  # t with 2 degrees of freedom, sd of ln = ln 2
    assert cell.x_sat_interval.high == pytest.approx(8 * math.exp(half), rel=1e-6)
    assert cell.is_between_runs


def test_two_repeats_have_no_interval():
    (cell,) = fill([row("a"), row("b")])
    assert cell.x_sat_interval is None
    assert not cell.is_between_runs


def stopped(run_id, count, capacity, **more):
    """Return a burst of 100 videos that stopped early after `count` videos."""
    return row(run_id, count=count, done=count, asked=100, x_sat_per_minute=capacity, x_per_minute=capacity - 1,
               x_database=capacity - 1, **more)  # fmt: skip


def test_bursts_that_stopped_at_different_counts_are_all_averaged_for_the_capacity():
    rows = [stopped("a", 14, 4.0), stopped("b", 17, 8.0), stopped("c", 16, 16.0)]
    (cell,) = fill(rows)
    assert (ids(cell), cell.count, cell.x, cell.left_out) == (["b"], 17, 7.0, 0)
    assert [run.run_id for run in cell.x_sat_runs] == ["a", "b", "c"]
    assert (cell.x_sat, cell.is_between_runs) == (pytest.approx(8.0), True)
    assert cell.x_sat_interval.low == pytest.approx(8 * math.exp(-4.302653 * math.log(2) / math.sqrt(3)), rel=1e-6)
    assert "N=17 de 100 (parada adaptativa); X_sat=8.00 [1.43–44.76] entre 3 pruebas |" in markdown([cell], "es")
    assert sources([cell], "en") == "- 5 MB, c=2, Burst: b; X_sat of a, b, c\n"
    (line,) = csv.DictReader(StringIO(csv_text([cell], "en")))
    assert [line[name] for name in ("runs", "x_sat_runs", "left_out")] == ["b", "a b c", "0"]


def test_two_bursts_of_different_counts_have_a_mean_capacity_and_no_interval():
    (cell,) = fill([stopped("a", 14, 4.0), stopped("b", 17, 9.0)])
    assert (cell.x_sat, cell.x_sat_interval) == (pytest.approx(6.0), None)
    assert "; X_sat=6.00 de 2 pruebas |" in markdown([cell], "es")


def test_a_shorter_burst_that_is_invalid_or_under_other_conditions_does_not_enter_the_capacity():
    other = stopped("b", 14, 4.0, conditions=replace(HERE, storage="s3"))
    broken = stopped("c", 14, 5.0, validity=Validity(Level.INVALID, ("drift",)))
    (cell,) = fill([stopped("a", 17, 9.0), other, broken])
    assert [run.run_id for run in cell.x_sat_runs] == ["a"]
    assert (cell.x_sat, cell.left_out) == (pytest.approx(9.0), 2)


def test_figures_that_prometheus_no_longer_has_come_from_the_database_with_a_note():
    text = markdown(fill([row(x_per_minute=None, s_seconds=None)]), "es")
    assert (
        "| 8.00 | 60.0 | válida; N=16; X_sat=8.20 [7.70–8.80]; solo base de datos, sin contraste con Prometheus |"
        in text
    )


def test_the_table_and_its_sources_as_a_person_reads_them():
    cells = fill(
        [
            row("r1", count=12, done=12, asked=24),
            row(
                "r2", mode="sustained", concurrency=4, rate_per_minute=10.0, stability="UNSTABLE", x_sat_per_minute=None
            ),
            row("r3", mode="sustained", concurrency=4, rate_per_minute=10.0, stability="STABLE", status="interrupted"),
        ]
    )
    assert markdown(cells, "es") == (
        "| Tamaño | Concurrencia | Modo | X (videos/min) | S promedio (s) | Notas |\n"
        "|---|---|---|---|---|---|\n"
        "| 5 MB | 2 | Burst | 8.00 | 60.0 | válida; N=12 de 24 (parada adaptativa); X_sat=8.20 [7.70–8.80] |\n"
        "| 5 MB | 4 | Sustained | 8.00 | 60.0 | válida; N=16; tasa=10/min; cola inestable |\n"
    )
    assert sources(cells, "es") == "- 5 MB, c=2, Burst: r1\n- 5 MB, c=4, Sustained: r2 (sin usar: 1)\n"
    assert "N=12 of 24 (adaptive stop)" in markdown(cells, "en")


def test_losses_are_in_the_notes_with_agreeing_nouns():
    text = markdown(fill([row(status="interrupted", done=10, failed=2, duplicates=3)]), "es")
    assert "4 sin terminar; 2 fallidos; 3 entregas repetidas" in text
    one = markdown(fill([row(done=15, failed=1, duplicates=1)]), "es")
    assert "1 fallido; 1 entrega repetida |" in one.replace("; solo base de datos", "")


def test_csv_has_every_figure_and_the_run_ids_with_unknown_blank():
    header, first, *_ = csv_text(fill([row("a"), row("b", s_seconds=None, s_database=None)]), "en").splitlines()
    cells = dict(zip(header.split(","), first.split(","), strict=True))
    assert (cells["runs"], cells["x_per_minute"], cells["rate_per_minute"], cells["agrees"]) == ("a b", "8.0", "", "")
    assert cells["x_sat_low"] == ""


def test_in_spanish_csv_has_decimal_commas_and_semicolons():
    (cell,) = fill([row("a", s_seconds=None, s_database=1063.5)])
    (line,) = csv.DictReader(StringIO(csv_text([cell], "es")), delimiter=";")
    assert (line["x_per_minute"], line["s_seconds"], line["count"]) == ("8,0", "1063,5", "16")
    assert (line["size"], line["runs"]) == ("5MB", "a")
    (english,) = csv.DictReader(StringIO(csv_text([cell], "en")))
    assert english["s_seconds"] == "1063.5"
