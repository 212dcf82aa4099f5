"""Document, terminal and page from one recorded store, without Prometheus."""

import json
import os
import re
import socket
from contextlib import nullcontext
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from capacity.analysis.result_rows import reading
from click.testing import CliRunner

from capacity.__main__ import main
from capacity.analysis.load_and_analyse import load_and_analyse
from capacity.commands import runs as runs_module
from capacity.report.conclusions import unknowns
from capacity.report.document import render_document
from capacity.report.page import render_page
from capacity.report.statements import answer
from capacity.runs.archive import write_archive
from capacity.runs.resource_samples import Resources
from core.errors import ExitCode, UsageError
from core.models import RunRow
from core.run import RunStatus
from core.settings import Settings
from tests.capacity.store import add_run, burst, fill_store, open_store

GOLDEN = Path(__file__).parent / "golden_files"
NO_PROMETHEUS = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    environment = {
        "AFORO_DATABASE_URL": f"sqlite:///{folder}/store.db",
        "AFORO_RESULTS_PATH": str(folder / "results"),
        "AFORO_PROMETHEUS_URL": NO_PROMETHEUS,
        "AFORO_GRAFANA_URL": NO_PROMETHEUS,
    }
    settings = Settings.from_env(environment)
    fill_store(folder, settings)
    return environment, settings


@pytest.fixture(scope="module")
def findings(settings):
    with reading(open_store(Path(settings[0]["AFORO_DATABASE_URL"].removeprefix("sqlite:///")))) as session:
        return load_and_analyse(session, settings[1])


def ask(settings, *arguments):
    return CliRunner().invoke(main, arguments, env=settings[0], catch_exceptions=False)


def same_as_golden(name, text):
    """Compare with the kept file; AFORO_KEEP_GOLDEN=1 keeps what is now, to be looked at before it is committed."""
    if os.environ.get("AFORO_KEEP_GOLDEN"):
        (GOLDEN / name).write_text(text, "utf-8")
    assert text == (GOLDEN / name).read_text("utf-8")


def test_the_answer_counts_the_runs_that_the_capacity_is_the_mean_of(tmp_path):
    sessions = open_store(tmp_path / "store.db")
    for number, count in enumerate((12, 14, 13)):
        row, start, end, slot = burst(1, count, 5.0 + number / 10, 1e9 + 1000 * number, f"r{number}")
        with sessions.begin() as session:
            add_run(session, row, start, end, slot=slot)
    environment = {"AFORO_RESULTS_PATH": str(tmp_path / "results"), "AFORO_PROMETHEUS_URL": NO_PROMETHEUS}
    with reading(sessions) as session:
        found = load_and_analyse(session, Settings.from_env(environment))
    first, _, scope, _ = answer(found, "en")
    assert "nominal capacity, mean of 3 runs; 95 %: [" in first
    assert scope == "The interval includes how runs differ."
    assert "a partir de 3 corridas medidas" in render_document(found)


@pytest.mark.parametrize(
    ("services", "told"),
    [
        ((5.0,), "nominal capacity; 95 %: "),
        ((5.0, 6.25), "10.59 videos of 5 MB a minute with 1 slot (nominal capacity, mean of 2 runs: 11.82, 9.49)"),
        ((5.0, 6.25, 5.5), "nominal capacity, mean of 3 runs; 95 %: ["),
    ],
)
def test_the_answer_is_the_mean_of_a_cells_runs_not_the_luckiest_one(tmp_path, services, told):
    sessions = open_store(tmp_path / "store.db")
    for number, seconds in enumerate(services):
        row, start, end, slot = burst(1, 12, seconds, 1e9 + 1000 * number, f"r{number}")
        with sessions.begin() as session:
            add_run(session, row, start, end, slot=slot)
    environment = {"AFORO_RESULTS_PATH": str(tmp_path / "results"), "AFORO_PROMETHEUS_URL": NO_PROMETHEUS}
    with reading(sessions) as session:
        assert told in answer(load_and_analyse(session, Settings.from_env(environment)), "en")[0]


@pytest.mark.parametrize(
    ("runs", "told"),
    [
        (1, ["1 configuración tiene una sola corrida, y su intervalo es solo el de ella."]),
        (2, ["1 configuración tiene dos corridas, que no dan ningún intervalo: hacen falta 3."]),
        (3, []),
    ],
)
def test_the_document_tells_what_one_and_two_runs_leave_unknown(tmp_path, runs, told):
    sessions = open_store(tmp_path / "store.db")
    for number in range(runs):
        row, start, end, slot = burst(1, 12, 5.0 + number / 10, 1e9 + 1000 * number, f"r{number}")
        with sessions.begin() as session:
            add_run(session, row, start, end, slot=slot)
    environment = {"AFORO_RESULTS_PATH": str(tmp_path / "results"), "AFORO_PROMETHEUS_URL": NO_PROMETHEUS}
    with reading(sessions) as session:
        found = unknowns(load_and_analyse(session, Settings.from_env(environment)))
    start = "Cómo varían unas corridas de otras: "
    assert [sentence.removeprefix(start) for sentence in found if sentence.startswith(start)] == told


def test_the_document_is_the_kept_one(findings):
    same_as_golden("escenario_2.md", render_document(findings))


def test_the_same_data_give_the_same_document(settings, findings):
    with reading(open_store(Path(settings[0]["AFORO_DATABASE_URL"].removeprefix("sqlite:///")))) as session:
        assert render_document(load_and_analyse(session, settings[1])) == render_document(findings)


@pytest.mark.parametrize(("run_id", "lang"), [("b2", "es"), ("b2", "en"), ("s2", "es")])
def test_a_report_in_the_terminal_is_the_kept_one(settings, run_id, lang):
    shown = ask(settings, "report", run_id, "--lang", lang)
    assert shown.exit_code == 0
    same_as_golden(f"report_{run_id}_{lang}.txt", shown.stdout)


def test_a_report_says_where_to_look_on_standard_error(settings):
    folder = settings[0]["AFORO_RESULTS_PATH"]
    assert ask(settings, "report", "b2").stderr == (
        f"\ninforme: {folder}/report.html · datos: {folder}/runs/b2/ · tabla: {folder}/table.md\n"
        f"tableros: Grafana no está en marcha · Prometheus: {NO_PROMETHEUS}/consoles/index.html#b2\n"
    )


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        ("https://grafana.example", ("grafana.example", 443)),
        ("http://grafana.example", ("grafana.example", 80)),
        ("https://grafana.example:3000", ("grafana.example", 3000)),
    ],
)
def test_grafana_is_looked_for_where_its_address_says(settings, monkeypatch, url, asked):
    def connect(address, *_, **__):
        if address != asked:
            raise ConnectionRefusedError
        return nullcontext()

    monkeypatch.setattr(runs_module.socket, "create_connection", connect)
    shown = CliRunner().invoke(main, ["report", "b2"], env=settings[0] | {"AFORO_GRAFANA_URL": url})
    assert f"tableros: {url}/d/aforo-run?var-run_id=b2&" in shown.stderr


def test_it_tells_what_a_browser_opens_where_that_is_not_what_it_asks_itself(settings):
    page = {"AFORO_PROMETHEUS_PAGE": "http://127.0.0.1:9490"}
    shown = CliRunner().invoke(main, ["report", "b2"], env=settings[0] | page, catch_exceptions=False)
    assert shown.stderr.endswith(" · Prometheus: http://127.0.0.1:9490/consoles/index.html#b2\n")


def test_the_address_of_grafana_opens_the_dashboard_on_the_run_with_a_margin(settings):
    with open_store(Path(settings[0]["AFORO_DATABASE_URL"].removeprefix("sqlite:///")))() as session:
        run = session.get_one(RunRow, "b2")
    with socket.create_server(("127.0.0.1", 0)) as grafana:
        url = f"http://127.0.0.1:{grafana.getsockname()[1]}"
        environment = settings[0] | {"AFORO_GRAFANA_URL": url, "AFORO_GRAFANA_PAGE": "https://grafana.example/"}
        shown = CliRunner().invoke(main, ["report", "b2"], env=environment, catch_exceptions=False)
    window = f"from={1000 * (run.started_at - 30):.0f}&to={1000 * (run.finished_at + 30):.0f}"
    assert f"tableros: https://grafana.example/d/aforo-run?var-run_id=b2&{window} · " in shown.stderr


def test_a_runs_folder_gives_the_same_figures_without_a_database(settings):
    row = json.loads(ask(settings, "report", "b2", "--json").stdout)
    folder = f"{settings[0]['AFORO_RESULTS_PATH']}/runs/b2"
    alone = CliRunner().invoke(
        main, ["report", folder, "--json"], env={"AFORO_DATABASE_URL": "sqlite:////nowhere/x.db"}
    )
    again = json.loads(alone.stdout)
    assert alone.exit_code == 0
    names = (
        "x_database",
        "s_database",
        "x_sat_per_minute",
        "x_sat_interval",
        "service",
        "parts",
        "conservation",
        "flags",
    )
    assert {name: again[name] for name in names} == {name: row[name] for name in names}


def test_a_runs_folder_tells_videos_that_are_not_done_by_its_exit_code(settings, tmp_path):
    sessions = open_store(tmp_path / "store.db")
    row, start, end, slot = burst(1, 12, 5.0, 1e9, "b1")
    row.count, row.status = 14, RunStatus.INTERRUPTED
    with sessions.begin() as session:
        add_run(session, row, start, end, slot=slot)
        write_archive(session, row, Resources(np.empty(0)), tmp_path / "b1")
    shown = CliRunner().invoke(main, ["report", str(tmp_path / "b1"), "--lang", "en"])
    assert "run interrupted; 2 unfinished" in shown.stdout
    assert str(shown.exception) == "run (b1); 2 of 14 videos are not done; see `make logs`"
    assert shown.exception.exit_code == ExitCode.RUN_FAILED


def test_the_verdicts_are_stored_for_the_exporter(settings):
    ask(settings, "report", "b2")
    with open_store(Path(settings[0]["AFORO_DATABASE_URL"].removeprefix("sqlite:///")))() as session:
        burst, sustained = session.get_one(RunRow, "b2"), session.get_one(RunRow, "s2")
        assert burst.capacity_per_minute == pytest.approx(22.73, abs=0.2)
        assert burst.capacity_low_per_minute < burst.capacity_per_minute < burst.capacity_high_per_minute
        assert (burst.stability, burst.bottleneck) == (None, "cpu")
        assert (sustained.stability, sustained.capacity_per_minute, sustained.bottleneck) == ("STABLE", None, None)


def test_the_table_is_written_in_both_forms_with_its_runs(settings):
    shown = ask(settings, "table")
    folder = Path(settings[0]["AFORO_RESULTS_PATH"])
    assert shown.stdout == (folder / "table.md").read_text("utf-8")
    assert "- 5 MB, c=4, Burst: b4" in shown.stdout
    assert ask(settings, "table", "--csv").stdout == (folder / "table.csv").read_text("utf-8")
    rows = json.loads(ask(settings, "table", "--json").stdout)["rows"]
    assert [row["runs"] for row in rows] == [["b1"], ["b2"], ["b4"], ["s2"]]


class Page(HTMLParser):
    """Collects what a page refers to, its open tags, and the drawn coordinates."""

    VOID = frozenset({"meta", "link", "br", "polyline", "polygon", "rect", "line"})

    def __init__(self, text):
        super().__init__()
        self.references, self.open, self.rectangles = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.references += [found[name] for name in ("src", "href") if name in found]
        if tag == "rect":
            self.rectangles.append([float(found[name]) for name in ("x", "y", "width", "height")])
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.mark.parametrize("lang", ["es", "en"])
def test_the_page_is_whole_and_needs_nothing_else(findings, lang):
    text = render_page(findings, lang)
    page = Page(text)
    assert page.open == []
    assert page.references == ["data:,"]
    assert "<script" not in text
    assert re.findall(r"\bnan\b|\binf\b|None|>-0[<% ]", text) == []
    assert len(text) < 400_000


def test_every_bar_lies_on_its_plane(findings):
    for x, y, width, height in Page(render_page(findings, "es")).rectangles:
        assert -0.1 <= x <= x + width <= 1000.7
        assert -0.01 <= y <= y + height <= 100.01


def test_the_page_says_the_answer_before_anything_else(findings):
    text = render_page(findings, "es")
    body = text[text.index("<body>") :]
    assert body.startswith('<body><h1>Capacidad de la capa de workers</h1><section class="answer"><strong>')
    assert "videos de 5 MB por minuto con 4 slots" in body[:300]
    assert body.index("Tabla de resultados") < body.index("Qué limita cada configuración") < body.index("Corridas")


def test_an_empty_store_gives_a_page_a_table_and_no_document(tmp_path):
    environment = {
        "AFORO_DATABASE_URL": f"sqlite:///{tmp_path}/e.db",
        "AFORO_RESULTS_PATH": str(tmp_path / "results"),
        "AFORO_PROMETHEUS_URL": NO_PROMETHEUS,
    }
    shown = CliRunner().invoke(main, ["table"], env=environment, catch_exceptions=False)
    assert shown.exit_code == 0
    assert "make run-burst" in (tmp_path / "results/report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", ",", "b2"], "ids with commas between are wanted"),
        (["compare", "b2,b2", "b1"], "each once"),
        (["compare", "b1,b2", "b2"], "a run is on both sides"),
        (["compare", "nope", "b2"], "none is recorded under it"),
        (["compare", "b1", "b2", "--margin", "nan"], "not a finite number"),
        (["plan", "--demand", "30/min", "--service", "30s", "--cv", "nan"], "not a finite number"),
        (["plan", "--demand", "30/min", "--runs", "b1,nope"], "none is recorded under it"),
        (["usl", "--runs", "b1,nope"], "none is recorded under it"),
        (["report", "nope"], "none is recorded under it"),
        (["report", "--tasks-log", "/nope"], "it cannot be read"),
        (["document", "--sizes", "7MB"], "nothing of that size is measured"),
        (["document", "--sizes", "7"], "it has no unit"),
        (["matrix", "--concurrencies", "1,x"], "whole numbers of slots"),
        (["matrix", "--rate", "nan"], "videos a minute or auto"),
        (["matrix", "--modes", "both"], "there are burst and sustained"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(settings, arguments, message):
    refused = CliRunner().invoke(main, arguments, env=settings[0])
    assert message in str(refused.exception) + refused.output
    assert isinstance(refused.exception, UsageError) or refused.exit_code == 2


def test_runs_on_another_storage_are_not_compared(tmp_path):
    sessions = open_store(tmp_path / "store.db")
    for number, storage in enumerate(("filesystem", "filesystem", "s3", "s3")):
        row, start, end, slot = burst(1, 12, 5.0, 1e9 + 1000 * number, f"r{number}")
        row.environment = {**row.environment, "storage": storage}
        with sessions.begin() as session:
            add_run(session, row, start, end, slot=slot)
    environment = {"AFORO_DATABASE_URL": f"sqlite:///{tmp_path}/store.db", "AFORO_PROMETHEUS_URL": NO_PROMETHEUS}
    compare = lambda *words: CliRunner().invoke(main, ["compare", *words, "--lang", "en"], env=environment)  # noqa: E731
    refused = compare("r0,r1", "r2,r3")
    assert refused.exit_code == 1
    assert refused.output == "not comparable: the runs differ in storage: filesystem ≠ s3\n"
    alike = compare("r0", "r1", "--run-deviation", "0.01")
    assert alike.output.startswith("B is not slower than A: B/A = 1 ")


def test_figures_that_prometheus_has_forgotten_are_those_it_had(settings, tmp_path):
    folder = Path(settings[0]["AFORO_RESULTS_PATH"]) / "runs" / "b1"
    ask(settings, "report", "b1")
    kept = json.loads((folder / "row.json").read_text("utf-8"))
    (folder / "row.json").write_text(
        json.dumps(kept | {"x_per_minute": kept["x_database"], "s_seconds": kept["s_database"]})
    )
    row = json.loads(ask(settings, "report", "b1", "--json").stdout)
    assert (row["x_per_minute"], row["agrees"]) == (kept["x_database"], True)
    (folder / "row.json").write_text(json.dumps(kept))
