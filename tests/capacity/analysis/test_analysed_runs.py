"""Choice of the analysed runs when there are too many. The matrix has 12 cells with three runs each."""

import pytest

from capacity.analysis import load_and_analyse as load_module
from capacity.analysis.load_and_analyse import load_and_analyse
from capacity.report.html_page import render_page
from capacity.runs.sessions import reading
from core.settings import Settings
from tests.capacity.store import NO_SERVER, add_run, burst, open_store, slow_down

SIZES = ("5MB", "10MB", "50MB", "100MB")
SERVICE_SECONDS = {1: 5.0, 2: 5.2, 4: 6.0}
CELLS = [(size, slots) for size in SIZES for slots in SERVICE_SECONDS]


@pytest.fixture(scope="module")
def matrix(tmp_path_factory):
    """Return the sessions of a store with the matrix, whose run 100mb-c4-1 slowed down."""
    sessions = open_store(tmp_path_factory.mktemp("matrix") / "store.db")
    order = [(size, slots, repeat) for repeat in (1, 2, 3) for size, slots in CELLS]
    with sessions.begin() as session:
        for number, (size, slots, repeat) in enumerate(order):
            run_id = f"{size.lower()}-c{slots}-{repeat}"
            row, start, end, slot = burst(
                slots, 16 if slots == 4 else 12, SERVICE_SECONDS[slots], 1e9 + 1000 * number, run_id
            )
            row.size_label = size
            add_run(session, row, start, end, slot=slot)
        slow_down(session, "100mb-c4-1")
    return sessions


def analysed(sessions, folder, run_id=None):
    environment = {"AFORO_RESULTS_PATH": str(folder), "AFORO_PROMETHEUS_URL": NO_SERVER}
    with reading(sessions) as session:
        return load_and_analyse(session, Settings.from_env(environment), run_id)


def cells_of(analysis):
    return [(cell.key.size_label, cell.key.concurrency) for cell, _ in analysis.analysed_cells]


def test_every_run_of_a_matrix_is_analysed(matrix, tmp_path):
    analysis = analysed(matrix, tmp_path)
    assert len(analysis.runs) == 36
    assert {run.row.run_id for run in analysis.runs if run.row.validity.is_invalid} == {"100mb-c4-1"}
    last = analysis.cells[-1]
    assert [row.run_id for row in last.sources] == ["100mb-c4-2", "100mb-c4-3"]
    assert [run.row.slots for run in analysis.best_of_sizes] == [4, 4, 4, 4]


def test_each_cell_has_an_analysed_run_when_not_all_can_be(matrix, tmp_path, monkeypatch):
    monkeypatch.setattr(load_module, "ANALYSED_RUNS", 13)
    analysis = analysed(matrix, tmp_path, run_id="5mb-c1-1")
    assert cells_of(analysis) == CELLS
    assert {run.row.run_id for run in analysis.runs} == {"5mb-c1-1", *(f"{s.lower()}-c{c}-3" for s, c in CELLS)}
    assert [run.row.slots for run in analysis.best_of_sizes] == [4, 4, 4, 4]


def test_runs_beyond_memory_are_not_analysed_but_the_requested_run_is(matrix, tmp_path, monkeypatch):
    monkeypatch.setattr(load_module, "HELD_VIDEOS", 30)
    analysis = analysed(matrix, tmp_path, run_id="50mb-c2-1")
    assert {run.row.run_id for run in analysis.runs} == {"50mb-c2-1", "5mb-c1-3", "5mb-c2-3"}


def test_the_page_draws_the_newest_run_of_each_cell_first(matrix, tmp_path, monkeypatch):
    monkeypatch.setattr(load_module, "DRAWN_RUNS", 12)
    analysis = analysed(matrix, tmp_path)
    assert analysis.drawn == {f"{size.lower()}-c{slots}-3" for size, slots in CELLS}
    assert render_page(analysis, "es").count("<details") == 12
