"""Tables and charts, computed by Grafana's own code (`npm ci` in grafana/transformations)."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from grafana.expressions import panels

FOLDER = Path(__file__).parents[2] / "grafana"
pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (FOLDER / "transformations/node_modules").is_dir(),
    reason="Grafana's code is not installed (opt-in, 177 MB): npm ci --prefix grafana/transformations",
)
TIME = 1_790_000_000_000


def panel(title: str, board: str = "aforo-capacity"):
    loaded = json.loads((FOLDER / f"dashboards-es/{board}.json").read_text(encoding="utf-8"))
    return next(each for each in panels(loaded) if each["title"] == title)


def frame(ref_id: str, *rows: dict, value: str = "Value #{}", late_ms: int = 0):
    """Return the table frame of one query: time, labels by name, value.

    The frame is empty without samples.
    """
    labels = sorted({name for row in rows for name in row} - {"="})
    columns = [("Time", "time", [TIME + late_ms for _ in rows])]
    columns += [(name, "string", [row.get(name, "") for row in rows]) for name in labels]
    columns.append((value.format(ref_id), "number", [row["="] for row in rows]))
    fields = [{"name": name, "type": kind, "values": values} for name, kind, values in columns] if rows else []
    return {"refId": ref_id, "fields": fields}


def applied(shown, *frames):
    task = json.dumps([{"transformations": shown["transformations"], "frames": frames}])
    command = ["node", str(FOLDER / "transformations/apply.cjs")]
    done = subprocess.run(command, input=task, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)[0]
    return result["columns"], result["rows"]


def fact(run_id: str, concurrency: str = "2", size: str = "50MB", **more):
    return {"run_id": run_id, "size": size, "concurrency": concurrency, "mode": "burst", "=": 1} | more


def of_runs(ref_id: str, **values: float):
    """Return one value per run. Its time is a little later than that of the previous query."""
    rows = [{"run_id": run_id, "=": value} for run_id, value in values.items()]
    return frame(ref_id, *rows, late_ms=ord(ref_id))


def test_the_result_table_has_one_row_per_run_newest_first_whatever_the_sample_times():
    shown = panel("Resultados")
    values = [of_runs(name, r1=n, r2=n + 0.5, r3=n + 0.25) for n, name in enumerate("DEFGHIJK")]
    states = of_runs("B", r1=3, r2=4, r3=2)
    trust = frame("C", *({"run_id": run, "validity": "valid", "reasons": "", "=": 1} for run in ("r1", "r2", "r3")))
    columns, rows = applied(shown, frame("A", fact("r1"), fact("r2"), fact("r3", "4")), states, trust, *values)
    assert columns == [
        *("Prueba", "Tamaño", "Concurrencia", "Modo", "Estado", "Validez", "Motivo", "X (videos/min)"),
        *("S media (s)", "Espera (s)", "Servicio (s)", "Terminados", "Fallidos", "start_ms", "end_ms"),
    ]
    assert rows == [
        ["r3", "50MB", "4", "burst", 2, "valid", "", *(n + 0.25 for n in range(8))],
        ["r2", "50MB", "2", "burst", 4, "valid", "", *(n + 0.5 for n in range(8))],
        ["r1", "50MB", "2", "burst", 3, "valid", "", *range(8)],
    ]


def test_a_run_without_a_report_is_in_the_verdict_table_with_empty_cells():
    verdicts = (
        frame("F", {"run_id": "r2", "stability": "stable", "=": 1}),
        frame("G", {"run_id": "r1", "bottleneck": "cpu", "=": 1}),
    )
    trust = frame("B", {"run_id": "r1", "validity": "invalid", "reasons": "drift", "=": 1})
    numbers = [of_runs("C", r1=6.5), of_runs("D", r1=6.0), of_runs("E", r1=7.0)]
    facts = frame("A", fact("r1"), fact("r2", mode="sustained"), fact("r3"))
    columns, rows = applied(panel("X_sat y veredictos"), facts, trust, *numbers, *verdicts)
    assert columns[4:11] == [
        *(
            "Validez",
            "Motivo",
            "X_sat (videos/min)",
            "X_sat desde",
            "X_sat hasta",
            "Estabilidad",
            "Cuello de botella",
        ),
    ]
    assert rows == [
        ["r3", "50MB", "2", "burst", None, None, None, None, None, None, None],
        ["r2", "50MB", "2", "sustained", None, None, None, None, None, "stable", None],
        ["r1", "50MB", "2", "burst", "invalid", "drift", 6.5, 6, 7, None, "cpu"],
    ]


def test_before_any_report_the_verdict_table_lists_the_runs():
    _, rows = applied(panel("X_sat y veredictos"), frame("A", fact("r1")))
    assert rows == [["r1", "50MB", "2", "burst"]]


def test_concurrency_counts_as_a_number_and_sizes_are_series():
    cells = []
    for concurrency, size, x in (
        ("16", "50 MB", 9.0),
        ("2", "50 MB", 3.0),
        ("2", "100 MB", 1.5),
        ("2", "50 MB · mine", 4.0),
    ):
        cells.append({"concurrency": concurrency, "size": size[:6].strip(), "series": size, "=": x})
    columns, rows = applied(panel("X según la concurrencia (videos/min)"), frame("A", *cells, value="Value"))
    assert columns == ["concurrency\\series", "50 MB", "100 MB", "50 MB · mine"]
    assert rows == [["2", 3, 1.5, 4], ["16", 9, None, None]]


def test_an_interval_is_stacked_on_its_lower_bound_in_the_order_of_sizes_and_slots():
    def cells(ref_id, values, **labels):
        return frame(ref_id, *({"cell": name, "=": value} | labels.get(name, {}) for name, value in values.items()))

    order = {"c": ("100e6", "2"), "b": ("50e6", "16"), "a": ("50e6", "2"), "d": ("9e6", "4"), "e": ("100e6", "1")}
    labels = {name: {"bytes": size, "slots": slots, "size": "", "app": ""} for name, (size, slots) in order.items()}
    frames = [
        cells("A", {"c": 9.0, "b": 5.0, "a": 6.0, "d": 30.0}),
        cells("B", {"c": 4.0, "b": 2.0, "a": 1.0, "d": 8.0}),
        cells("C", {"e": 7.0}),
        cells("D", {"c": 11.0, "b": 6.0, "a": 6.5, "d": 34.0, "e": 7.0}, **labels),
    ]
    columns, rows = applied(panel("X_sat e intervalo (videos/min)"), *frames)
    assert columns == ["cell", "Value #A", "Value #B", "Value #C"]
    assert rows == [
        ["d", 30, 8, None],
        ["a", 6, 1, None],
        ["b", 5, 2, None],
        ["e", None, None, 7],
        ["c", 9, 4, None],
    ]


def test_cells_are_in_the_order_of_sizes_slots_and_workers_as_numbers():
    order = {
        "10 MB · 1": ("10e6", "1", "1"),
        "2 MB · 16": ("2e6", "16", "1"),
        "100 MB · 4": ("100e6", "4", "1"),
        "50 MB · 2×10": ("50e6", "2", "10"),
        "50 MB · 2×3": ("50e6", "2", "3"),
        "50 MB · 1": ("50e6", "1", "1"),
        "2 MB · 2 · mine": ("2e6", "2", "1"),
        "2 MB · 2": ("2e6", "2", "1"),
    }
    labels = ("bytes", "slots_per_worker", "workers")
    cells = [{"cell": cell, **dict(zip(labels, numbers, strict=True)), "=": 1} for cell, numbers in order.items()]
    x_sat = [{"cell": cell, "=": number} for number, cell in enumerate(order)]
    columns, rows = applied(panel("Celdas"), frame("A", *cells), frame("B", *x_sat, late_ms=1))
    assert columns[:2] == ["Celda", "X_sat (videos/min)"]
    assert [row[0] for row in rows] == [
        *("2 MB · 2", "2 MB · 2 · mine", "2 MB · 16", "10 MB · 1"),
        *("50 MB · 1", "50 MB · 2×3", "50 MB · 2×10", "100 MB · 4"),
    ]
    assert [row[1] for row in rows] == [list(order).index(row[0]) for row in rows]


def test_wait_and_service_of_a_run_are_in_one_row():
    columns, rows = applied(
        panel("De qué se compone S (s)"), of_runs("A", r2=5.0, r1=4.0), of_runs("B", r1=2.0, r2=2.5)
    )
    assert columns == ["run_id", "Value #A", "Value #B"]
    assert rows == [["r2", 5, 2.5], ["r1", 4, 2]]


def test_two_alerts_of_one_name_are_two_rows():
    alerts = [{"alertname": "TargetDown", "severity": "warning", "instance": name, "=": 1} for name in "ab"]
    columns, rows = applied(panel("Alertas activas", "aforo-stack-health"), frame("A", *alerts, value="Value"))
    assert columns == ["Alerta", "Gravedad", "Instancia"]
    assert [row[2] for row in rows] == ["a", "b"]


def test_alerts_that_differ_only_by_source_or_job_show_it():
    alerts = [
        {"alertname": "ExporterSourceUnreachable", "severity": "critical", "collector": "db", "=": 1},
        {"alertname": "ExporterSourceUnreachable", "severity": "critical", "collector": "sqs", "=": 1},
        {"alertname": "TargetDown", "severity": "warning", "job": "db-exporter", "instance": "a", "=": 1},
    ]
    columns, rows = applied(panel("Alertas activas", "aforo-stack-health"), frame("A", *alerts, value="Value"))
    assert columns == ["Alerta", "Gravedad", "Trabajo", "Instancia", "Fuente"]
    assert [row[2:] for row in rows] == [["db-exporter", "a", ""], ["", "", "db"], ["", "", "sqs"]]


def test_an_unknown_transformation_is_rejected():
    done = subprocess.run(
        ["node", str(FOLDER / "transformations/apply.cjs")],
        input=json.dumps([{"transformations": [{"id": "merge2", "options": {}}], "frames": []}]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "unknown transformation merge2\n")
