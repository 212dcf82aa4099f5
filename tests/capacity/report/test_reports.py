"""Document, terminal, page and commands on one recorded store, without Prometheus."""

import json
import os
import re
import socket
from contextlib import nullcontext
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from capacity.__main__ import main
from capacity.analysis.load_and_analyse import load_and_analyse
from capacity.commands import links
from capacity.report.answer import answer
from capacity.report.conclusions import unknowns
from capacity.report.document import conclusion_sentences, render_document
from capacity.report.html_page import render_page
from capacity.runs.resource_samples import Resources
from capacity.runs.run_files import write_archive
from capacity.runs.sessions import reading
from capacity.table.table_text import HEADER, RULE
from core.errors import ExitCode, UsageError
from core.models import RunRow
from core.run import RunStatus
from core.settings import Settings
from tests.capacity.store import NO_SERVER, add_run, burst, fill_store, open_store, record_bursts

GOLDEN = Path(__file__).parent / "golden_files"


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Return the environment and settings of a store.

    The store has bursts of 1, 2 and 4 slots and a sustained run.
    """
    folder = tmp_path_factory.mktemp("store")
    environment = {
        "AFORO_DATABASE_URL": f"sqlite:///{folder}/store.db",
        "AFORO_RESULTS_PATH": str(folder / "results"),
        "AFORO_PROMETHEUS_URL": NO_SERVER,
        "AFORO_GRAFANA_URL": NO_SERVER,
    }
    settings = Settings.from_env(environment)
    fill_store(folder, settings)
    return environment, settings


def stored_sessions(stored):
    return open_store(Path(stored[0]["AFORO_DATABASE_URL"].removeprefix("sqlite:///")))


@pytest.fixture(scope="module")
def analysed(stored):
    with reading(stored_sessions(stored)) as session:
        return load_and_analyse(session, stored[1])


def ask(stored, *arguments):
    return CliRunner().invoke(main, arguments, env=stored[0], catch_exceptions=False)


def analyse_bursts(sessions, settings, bursts):
    record_bursts(sessions, bursts)
    with reading(sessions) as session:
        return load_and_analyse(session, settings)


def same_as_golden(name, text):
    """Compare with the golden file.

    With AFORO_KEEP_GOLDEN=1, write the golden file. Read it before you commit it.
    """
    if os.environ.get("AFORO_KEEP_GOLDEN"):
        (GOLDEN / name).write_text(text, "utf-8")
    assert text == (GOLDEN / name).read_text("utf-8")


def test_the_answer_counts_the_runs_that_the_capacity_is_the_mean_of(sessions, settings):
    counts = enumerate((12, 14, 13))
    bursts = [burst(1, count, 5.0 + number / 10, 1e9 + 1000 * number, f"r{number}") for number, count in counts]
    analysis = analyse_bursts(sessions, settings, bursts)
    first, validity, _, _ = answer(analysis, "en")
    assert "nominal capacity, mean of 3 runs; 95 %: [" in first
    assert (
        validity == "Validity: no reservations about the measurement. The interval includes differences between runs."
    )
    assert "a partir de 3 pruebas medidas" in render_document(analysis)


@pytest.mark.parametrize(
    ("services", "sentence"),
    [
        ((5.0,), "nominal capacity; 95 %: "),
        ((5.0, 6.25), "10.54 videos of 5 MB per minute with 1 slot (nominal capacity, mean of 2 runs: 11.76, 9.45)"),
        ((5.0, 6.25, 5.5), "nominal capacity, mean of 3 runs; 95 %: ["),
    ],
)
def test_the_answer_is_the_mean_of_a_cells_runs_not_the_luckiest_one(sessions, settings, services, sentence):
    bursts = [burst(1, 12, seconds, 1e9 + 1000 * number, f"r{number}") for number, seconds in enumerate(services)]
    assert sentence in answer(analyse_bursts(sessions, settings, bursts), "en")[0]


@pytest.mark.parametrize(
    ("runs", "sentences"),
    [
        (1, ["1 configuración tiene una sola prueba, y su intervalo es solo el de ella."]),
        (2, ["1 configuración tiene dos pruebas, que no dan ningún intervalo: hacen falta 3."]),
        (3, []),
    ],
)
def test_the_document_states_what_one_and_two_runs_leave_unknown(sessions, settings, runs, sentences):
    bursts = [burst(1, 12, 5.0 + number / 10, 1e9 + 1000 * number, f"r{number}") for number in range(runs)]
    unknown = conclusion_sentences(unknowns(analyse_bursts(sessions, settings, bursts)))
    start = "Cómo varían unas pruebas de otras: "
    assert [sentence.removeprefix(start) for sentence in unknown if sentence.startswith(start)] == sentences


def test_the_document_is_the_golden_one(analysed):
    same_as_golden("escenario_2.md", render_document(analysed))


def test_the_same_data_give_the_same_document(stored, analysed):
    with reading(stored_sessions(stored)) as session:
        assert render_document(load_and_analyse(session, stored[1])) == render_document(analysed)


@pytest.mark.parametrize(("run_id", "lang"), [("b2", "es"), ("b2", "en"), ("s2", "es")])
def test_a_report_in_the_terminal_is_the_golden_one(stored, run_id, lang):
    shown = ask(stored, "report", run_id, "--lang", lang)
    assert shown.exit_code == 0
    same_as_golden(f"report_{run_id}_{lang}.txt", shown.stdout)


def test_aforo_lang_sets_the_language_and_lang_overrides_it(stored):
    english = CliRunner().invoke(main, ["table"], env=stored[0] | {"AFORO_LANG": "en"}, catch_exceptions=False)
    assert english.stdout.startswith(HEADER.en)
    spanish = CliRunner().invoke(main, ["table", "--lang", "es"], env=stored[0] | {"AFORO_LANG": "en"})
    assert spanish.stdout.startswith(HEADER.es)


def test_a_report_prints_its_links_on_standard_error(stored):
    folder = stored[0]["AFORO_RESULTS_PATH"]
    assert ask(stored, "report", "b2").stderr == (
        f"\ninforme: {folder}/report.html · datos: {folder}/runs/b2/ · tabla: {folder}/table.md\n"
        f"tableros: Grafana no está en marcha · Prometheus: {NO_SERVER}/consoles/index.html#b2\n"
    )


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("https://grafana.example", ("grafana.example", 443)),
        ("http://grafana.example", ("grafana.example", 80)),
        ("https://grafana.example:3000", ("grafana.example", 3000)),
    ],
)
def test_grafana_is_contacted_at_the_host_and_port_of_its_url(stored, monkeypatch, url, address):
    def connect(contacted, *_, **__):
        if contacted != address:
            raise ConnectionRefusedError
        return nullcontext()

    monkeypatch.setattr(links.socket, "create_connection", connect)
    shown = CliRunner().invoke(main, ["report", "b2"], env=stored[0] | {"AFORO_GRAFANA_URL": url})
    assert f"tableros: {url}/d/aforo-run?var-run_id=b2&" in shown.stderr


def test_the_page_url_replaces_the_query_url_in_the_links(stored):
    page = {"AFORO_PROMETHEUS_PAGE": "http://127.0.0.1:9490"}
    shown = CliRunner().invoke(main, ["report", "b2"], env=stored[0] | page, catch_exceptions=False)
    assert shown.stderr.endswith(" · Prometheus: http://127.0.0.1:9490/consoles/index.html#b2\n")


def test_the_address_of_grafana_opens_the_dashboard_on_the_run_with_a_margin(stored):
    with stored_sessions(stored)() as session:
        run = session.get_one(RunRow, "b2")
    with socket.create_server(("127.0.0.1", 0)) as grafana:
        url = f"http://127.0.0.1:{grafana.getsockname()[1]}"
        environment = stored[0] | {"AFORO_GRAFANA_URL": url, "AFORO_GRAFANA_PAGE": "https://grafana.example/"}
        shown = CliRunner().invoke(main, ["report", "b2"], env=environment, catch_exceptions=False)
    window = f"from={1000 * (run.started_at - 30):.0f}&to={1000 * (run.finished_at + 30):.0f}"
    assert f"tableros: https://grafana.example/d/aforo-run?var-run_id=b2&{window} · " in shown.stderr


def test_a_runs_folder_gives_the_same_figures_without_a_database(stored):
    row = json.loads(ask(stored, "report", "b2", "--json").stdout)
    folder = f"{stored[0]['AFORO_RESULTS_PATH']}/runs/b2"
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


def test_a_run_may_have_the_name_of_a_folder_of_this_place(stored, tmp_path, monkeypatch):
    (tmp_path / "b2").mkdir()
    monkeypatch.chdir(tmp_path)
    assert json.loads(ask(stored, "report", "b2", "--json").stdout)["run_id"] == "b2"


def test_a_runs_folder_with_unfinished_videos_gives_exit_code_1(stored, tmp_path):
    sessions = open_store(tmp_path / "store.db")
    row, start, end, slot = burst(1, 12, 5.0, 1e9, "b1")
    row.count, row.status = 14, RunStatus.INTERRUPTED
    with sessions.begin() as session:
        add_run(session, row, start, end, slot=slot)
        write_archive(session, row, Resources(np.empty(0)), tmp_path / "b1")
    shown = CliRunner().invoke(main, ["report", str(tmp_path / "b1"), "--lang", "en"])
    assert "indicative (run not finished); N=14; " in shown.stdout
    assert "; 2 not sent; " in shown.stdout
    assert str(shown.exception) == "run (b1); 2 of 14 videos are not done; see `make logs`"
    assert shown.exception.exit_code == ExitCode.RUN_FAILED


def test_the_verdicts_are_stored_for_the_exporter(stored):
    ask(stored, "report", "b2")
    with stored_sessions(stored)() as session:
        burst, sustained = session.get_one(RunRow, "b2"), session.get_one(RunRow, "s2")
        assert burst.capacity_per_minute == pytest.approx(22.73, abs=0.2)
        assert burst.capacity_low_per_minute < burst.capacity_per_minute < burst.capacity_high_per_minute
        assert (burst.stability, burst.bottleneck) == (None, "cpu")
        assert (sustained.stability, sustained.capacity_per_minute, sustained.bottleneck) == ("STABLE", None, None)


def test_the_table_is_written_in_both_forms_with_its_runs(stored):
    shown = ask(stored, "table")
    folder = Path(stored[0]["AFORO_RESULTS_PATH"])
    assert shown.stdout == (folder / "table.md").read_text("utf-8")
    assert "- 5 MB, c=4, Burst: b4" in shown.stdout
    assert ask(stored, "table", "--csv").stdout == (folder / "table.csv").read_text("utf-8")
    rows = json.loads(ask(stored, "table", "--json").stdout)["rows"]
    assert [row["runs"] for row in rows] == [["b1"], ["b2"], ["b4"], ["s2"]]


class Page(HTMLParser):
    """Parser that collects the references, open tags and rectangles of a page."""

    VOID = frozenset({"meta", "link", "br", "polyline", "polygon", "rect", "line"})

    def __init__(self, text):
        super().__init__()
        self.references, self.open, self.rectangles = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.references += [attributes[name] for name in ("src", "href") if name in attributes]
        if tag == "rect":
            self.rectangles.append([float(attributes[name]) for name in ("x", "y", "width", "height")])
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


@pytest.mark.parametrize("lang", ["es", "en"])
def test_the_page_is_complete_and_self_contained(analysed, lang):
    text = render_page(analysed, lang)
    page = Page(text)
    assert page.open == []
    assert page.references == ["data:,"]
    assert "<script" not in text
    assert re.findall(r"\bnan\b|\binf\b|None|>-0[<% ]", text) == []
    assert len(text) < 400_000


def test_every_bar_lies_on_its_plane(analysed):
    for x, y, width, height in Page(render_page(analysed, "es")).rectangles:
        assert -0.1 <= x <= x + width <= 1000.7
        assert -0.01 <= y <= y + height <= 100.01


def test_the_page_starts_with_the_answer(analysed):
    text = render_page(analysed, "es")
    body = text[text.index("<body>") :].replace("\N{NO-BREAK SPACE}", " ")
    assert body.startswith('<body><h1>Capacidad de la capa de workers</h1><section class="answer"><strong>')
    assert "videos de 5 MB por minuto con 4 slots" in body[:300]
    assert (
        body.index("Tabla de resultados") < body.index("Qué limita cada configuración") < body.index("<h2>Pruebas</h2>")
    )


def test_an_empty_table_names_the_archived_runs(environment, tmp_path):
    for name in ("a", "b"):
        (tmp_path / "results/runs" / name).mkdir(parents=True)
        (tmp_path / "results/runs" / name / "run.json").write_text("{}")
    shown = CliRunner().invoke(main, ["table", "--lang", "en"], env=environment, catch_exceptions=False)
    folder = tmp_path / "results/runs/b"
    assert shown.stderr == f"the database has no runs, but 2 are archived; read each with `make report ARGS={folder}`\n"


def test_an_empty_store_gives_a_page_a_table_and_no_document(environment, tmp_path):
    shown = CliRunner().invoke(main, ["table"], env=environment, catch_exceptions=False)
    assert (shown.exit_code, shown.stdout) == (0, f"{HEADER.es}\n{RULE}\n\n\n")
    assert (tmp_path / "results/table.md").read_text("utf-8") == shown.stdout
    assert "make run-burst" in (tmp_path / "results/report.html").read_text("utf-8")
    refused = CliRunner().invoke(main, ["document", "--output", str(tmp_path / "d.md")], env=environment)
    assert isinstance(refused.exception, UsageError)
    assert not (tmp_path / "d.md").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["compare", ",", "b2"], "different ids separated by commas"),
        (["compare", "b2,b2", "b1"], "different ids"),
        (["compare", "b1,b2", "b2"], "a run is on both sides"),
        (["compare", "nope", "b2"], "no such run is recorded"),
        (["compare", "b1", "b2", "--margin", "nan"], "not a finite number"),
        (["plan", "--demand", "30/min", "--service", "30s", "--cv", "nan"], "not a finite number"),
        (["plan", "--demand", "30/min", "--runs", "b1,nope"], "no such run is recorded"),
        (["usl", "--runs", "b1,nope"], "no such run is recorded"),
        (["report", "nope"], "no such run is recorded"),
        (["report", "--tasks-log", "/nope"], "there is no such file"),
        (["document", "--sizes", "7MB"], "no run of that size is recorded"),
        (["document", "--sizes", "7"], "it has no unit"),
        (["matrix", "--concurrencies", "1,x"], "whole numbers of slots"),
        (["matrix", "--rate", "nan"], "videos per minute or auto"),
        (["matrix", "--modes", "both"], "there are burst and sustained"),
    ],
)
def test_invalid_arguments_are_refused_in_one_line(stored, arguments, message):
    refused = CliRunner().invoke(main, arguments, env=stored[0])
    assert message in str(refused.exception) + refused.output
    assert isinstance(refused.exception, UsageError) or refused.exit_code == 2


def test_runs_on_another_storage_are_not_compared(sessions, environment):
    for number, storage in enumerate(("filesystem", "filesystem", "s3", "s3")):
        row, *times = burst(1, 12, 5.0, 1e9 + 1000 * number, f"r{number}")
        row.environment = {**row.environment, "storage": storage}
        record_bursts(sessions, [(row, *times)])
    compare = lambda *words: CliRunner().invoke(main, ["compare", *words, "--lang", "en"], env=environment)  # noqa: E731
    refused = compare("r0,r1", "r2,r3")
    assert refused.exit_code == 1
    assert refused.output == "not comparable: the runs differ in storage: filesystem ≠ s3\n"
    alike = compare("r0", "r1", "--run-deviation", "0.01")
    assert alike.output.startswith("B is not slower than A: B/A = 1 ")
    allowed = compare("r0,r1", "r2,r3", "--allow", "storage")
    assert (allowed.exit_code, allowed.output[:39]) == (0, "B is not slower than A: B/A = 1 [1.0000")
    within_a_side = compare("r0,r2", "r1,r3", "--allow", "storage")
    assert within_a_side.output == refused.output
    with pytest.raises(UsageError, match="there is no such condition"):
        CliRunner().invoke(
            main, ["compare", "r0", "r1", "--allow", "weather"], env=environment, standalone_mode=False,
            catch_exceptions=False,
        )  # fmt: skip


def test_an_invalid_run_is_not_compared(sessions, environment):
    for number in range(2):
        row, *times = burst(1, 12, 5.0, 1e9 + 1000 * number, f"r{number}")
        row.environment = {**row.environment, "messages_before": 6 * number}
        record_bursts(sessions, [(row, *times)])
    refused = CliRunner().invoke(main, ["compare", "r0", "r1", "--lang", "en"], env=environment)
    assert (refused.exit_code, refused.output) == (1, "not comparable: r1 is invalid: messages of other runs\n")


def test_figures_of_the_last_report_are_used_when_prometheus_has_none(stored, tmp_path):
    folder = Path(stored[0]["AFORO_RESULTS_PATH"]) / "runs" / "b1"
    ask(stored, "report", "b1")
    archived = json.loads((folder / "row.json").read_text("utf-8"))
    (folder / "row.json").write_text(
        json.dumps(archived | {"x_per_minute": archived["x_database"], "s_seconds": archived["s_database"]})
    )
    row = json.loads(ask(stored, "report", "b1", "--json").stdout)
    assert (row["x_per_minute"], row["agrees"]) == (archived["x_database"], True)
    (folder / "row.json").write_text(json.dumps(archived))
