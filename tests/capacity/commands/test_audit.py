import json
import os

import pytest
from click.testing import CliRunner

from capacity.commands.audit import audit
from capacity.commands.published_table import published_rows
from capacity.commands.usl import MOST_POINTS, usl
from capacity.table.cells import fill
from capacity.table.table_text import csv_text, markdown
from core.errors import UsageError
from core.run import Mode
from tests.capacity.result_rows import row

TABLE = "size,concurrency,mode,count,x_per_min,s_mean_s,rate\n"
SPANISH = "Tamaño{0}Concurrencia{0}Modo{0}X (videos/min){0}S promedio (s){0}Notas\n"


@pytest.fixture
def write(tmp_path):
    def write_file(text, name="table.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


def run(command, *arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments], catch_exceptions=False)


def test_audit_prints_a_line_for_each_row_and_fails_on_an_impossible_one(write):
    result = run(audit, write(TABLE + "50MB,4,burst,100,8.00,390,\n50MB,4,Burst,100,8.00,751,\n"))
    assert result.exit_code == 1
    assert result.output == (
        "50MB c=4 burst n=100: correcta\n"
        "50MB c=4 burst n=100: imposible (el tiempo de respuesta medio 751 s supera la prueba entera, "
        "60·100/8 = 750.0 s (X·S/60 = 100.1 > 100 videos en el sistema))\n"
    )


def test_audit_as_json(write):
    result = run(audit, write(TABLE + "50MB,4,sustained,50,9.8,20,10\n50MB,4,burst,100,,,\n"), "--json", "--lang", "en")
    assert result.exit_code == 0
    unknown = {"code": "unknown_numbers", "columns": ["X", "S"], "text": "X, S unknown: nothing to check"}
    assert json.loads(result.output) == {
        "schema": 1,
        "rows": [
            {"verdict": "ok", "reasons": []},
            {"verdict": "suspicious", "reasons": [unknown]},
        ],
        "rows_without_count": 0,
    }


def test_a_row_without_a_count_is_reported(write):
    text = SPANISH.format(",") + "50 MB,4,Burst,8.0,390,\n50 MB,4,Sustained,5.0,12,tasa=5/min\n"
    result = run(audit, write(text), "--lang", "en")
    assert result.output.splitlines()[-1].startswith("2 rows without the number of videos N")


def figures(x, s):
    return {"x_per_minute": x, "s_seconds": s, "x_database": x, "s_database": s}


def measured():
    burst = {"mode": "burst", "count": 16, "asked": 16, "done": 16, "size_label": "50MB"}
    return [
        row(run_id="a", concurrency=1, slots=1, **figures(28.5, 17.9), **burst),
        row(run_id="b", concurrency=2, slots=4, nodes=2, **figures(1234.5, 0.5), **burst),
        row(run_id="c", concurrency=2, slots=4, nodes=2, **figures(1237.5, 0.5), **burst),
    ]


def of_rows(rows):
    return [(r.size, r.concurrency, r.workers, r.mode, r.count, r.runs, round(r.x.value, 2), r.s.value) for r in rows]


@pytest.mark.parametrize("lang", ["es", "en"])
def test_our_own_tables_are_read(write, lang):
    cells = fill(measured())
    expected = [("50MB", 1, 1, Mode.BURST, 16, 1, 28.5, 17.9), ("50MB", 2, 2, Mode.BURST, 16, 2, 1236.0, 0.5)]
    assert of_rows(published_rows(write(csv_text(cells, lang)))) == expected
    table = of_rows(published_rows(write(markdown(cells, lang), "table.md")))
    assert table == [("50 MB", *cell[1:]) for cell in expected]


def test_the_table_in_a_document_is_read(write):
    text = "# Prueba\n\n| Parte | Valor |\n|---|---|\n| CPU | 4 |\n\n" + markdown(fill(measured()), "es") + "\nFin.\n"
    assert [r.count for r in published_rows(write(text, "document.md"))] == [16, 16]


def test_the_committed_document_holds_no_impossible_row():
    assert run(audit, "capacity-planning/escenario_2_worker_throughput.md").exit_code == 0


@pytest.mark.parametrize(
    "text",
    [
        SPANISH.format(",") + "50 MB,4,Burst,1063.5,390,N=100\n",
        SPANISH.format(";") + "50 MB;4;Ráfaga;1.063,5;390;N=100\n",
        "sep=;\n" + SPANISH.format(";") + "50 MB;4;Burst;1063,5;390;N=100\n",
        "\ufeffsep=;\n" + SPANISH.format(";") + "50 MB;4;Burst;1\u202f063,5;390;N=100\n",
        "| Tamaño | Concurrencia | Modo | X (videos/min) | S promedio (s) | Notas |\n|---|:-:|---|--:|---|---|\n"
        "| 50 MB | 4 | Burst | 1 063.5 | 390 | N=100 |\n",
        "size | concurrency | mode | x_per_min | s_mean_s | n\n---|---|---|---|---|---\n50 MB|4|burst|1063.5|390|100\n",
    ],
)
def test_the_forms_of_a_table_are_read(write, text):
    assert of_rows(published_rows(write(text))) == [("50 MB", 4, 1, Mode.BURST, 100, 1, 1063.5, 390.0)]


def test_notes_give_rate_and_workers_and_a_lower_bound_has_no_upper_end(write):
    text = SPANISH.format(";") + "5 MB;2;Sustained;9,4;≥ 9,05;no válida; N=8 de 16\n".replace("; N", ", N")
    text += "5 MB;2;Sustained;desconocido;7,1;N=8, 3 nodos, tasa=2,5/min\n5 MB;2+5;Burst;9,4;9,5;N=8, 2 workers\n"
    bounded, unknown, mixed = published_rows(write(text))
    assert (bounded.count, bounded.s.value, bounded.s.high) == (8, 9.05, float("inf"))
    assert (unknown.x, unknown.workers, unknown.rate, unknown.slots) == (None, 3, 2.5, 6)
    assert (mixed.slots, mixed.workers) == (7, 1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("50MB,0,burst,100,8,390,", "line 2 (0); concurrency must be a whole number from 1 to 100,000"),
        ("50MB," + 300 * "9" + ",burst,100,8,390,", "concurrency must be a whole number from 1 to 100,000"),
        ("50MB,4,bursty,100,8,390,", "line 2 (bursty); mode must be burst or sustained"),
        ("50MB,4,burst,1.5,8,390,", "line 2 (1.5); count must be a whole number"),
        ("50MB,4,burst,100,8,x,", "line 2 (x); s_mean_s must be a number"),
        ("50MB,4,burst,100,1e999999999999,390,", "line 2 (1e999999999999); x_per_min must be a number"),
        ("50MB,4,burst,100,0e999999999999,390,", "line 2 (0e999999999999); x_per_min must be a number"),
        (",4,burst,100,8,3,", "line 2 (); size must be"),
        (400 * "9" + "MB,4,burst,100,8,3,", "size must be"),
        ("50MB,4,sustained,100,8,3,0", "line 2 (0); rate must be a number over 0"),
    ],
)
def test_the_error_for_an_invalid_table_names_the_line(write, line, message):
    with pytest.raises(UsageError) as caught:
        run(audit, write(TABLE + line + "\n"))
    assert message in str(caught.value)


@pytest.mark.parametrize("number", ["1.063", "12.500"])
def test_a_point_before_three_digits_is_not_guessed_where_commas_are_decimal(write, number):
    text = TABLE.replace(",", ";") + f"50MB;4;burst;100;{number};390;\n"
    with pytest.raises(UsageError) as caught:
        run(audit, write(text))
    assert f"({number}); x_per_min can be {number.replace('.', '')} or {number.replace('.', ',')}" in str(caught.value)


@pytest.mark.parametrize("command", [audit, usl])
def test_what_never_ends_is_not_read(tmp_path, command):
    os.mkfifo(tmp_path / "pipe")
    for path in ("/dev/zero", tmp_path / "pipe", tmp_path):
        with pytest.raises(UsageError, match="not a regular file"):
            run(command, path)


def test_tables_have_a_limit(write):
    with pytest.raises(UsageError, match="too large for a table"):
        run(usl, write("n,x\n" + "1,2\n" * 1_000_000))
    with pytest.raises(UsageError, match=f"over {MOST_POINTS} lines of data"):
        run(usl, write("n,x\n" + "1,2\n" * (MOST_POINTS + 1)))
