"""Which runs are judged when there are more than can be: a matrix of 12 cells with three runs each."""

import pytest

from capacity.analysis import analysed_runs
from capacity.analysis.load_and_analyse import load_and_analyse
from capacity.analysis.result_rows import reading
from capacity.report.page import render_page
from core.settings import Settings
from tests.capacity.store import add_run, burst, open_store

SIZES = ("5MB", "10MB", "50MB", "100MB")
SERVICE_SECONDS = {1: 5.0, 2: 5.2, 4: 6.0}
CELLS = [(size, slots) for size in SIZES for slots in SERVICE_SECONDS]


@pytest.fixture(scope="module")
def matrix(tmp_path_factory):
    """Return the sessions of a store with the matrix, whose last cell's oldest run met a slower machine."""
    sessions = open_store(tmp_path_factory.mktemp("matrix") / "store.db")
    order = [(size, slots, repeat) for repeat in (1, 2, 3) for size, slots in CELLS]
    with sessions.begin() as session:
        for number, (size, slots, repeat) in enumerate(order):
            run_id = f"{size.lower()}-c{slots}-{repeat}"
            row, start, end, slot = burst(slots, 12, SERVICE_SECONDS[slots], 1e9 + 1000 * number, run_id)
            row.size_label = size
            if run_id == "100mb-c4-1":
                row.environment = row.environment | {"canary_before_seconds": 0.2, "canary_after_seconds": 0.3}
            add_run(session, row, start, end, slot=slot)
    return sessions


def gathered(sessions, folder, wanted=None):
    environment = {"AFORO_RESULTS_PATH": str(folder), "AFORO_PROMETHEUS_URL": "http://127.0.0.1:9"}
    with reading(sessions) as session:
        return load_and_analyse(session, Settings.from_env(environment), wanted)


def cells_of(findings):
    return [(cell.key.size_label, cell.key.concurrency) for cell, _ in analysed.analysed_cells]


def test_every_run_behind_a_matrix_is_judged(matrix, tmp_path):
    found = gathered(matrix, tmp_path)
    assert len(found.runs) == 36
    assert found.distrusted == {"100mb-c4-1"}
    last = found.cells[-1]
    assert [row.run_id for row in last.sources] == ["100mb-c4-2", "100mb-c4-3"]
    assert [run.row.slots for run in found.best_of_sizes] == [4, 4, 4, 4]


def test_where_not_all_can_be_judged_each_cell_still_has_evidence(matrix, tmp_path, monkeypatch):
    monkeypatch.setattr(analysed_runs, "JUDGED_RUNS", 13)
    found = gathered(matrix, tmp_path, wanted="5mb-c1-1")
    assert cells_of(found) == CELLS
    assert {run.row.run_id for run in found.runs} == {"5mb-c1-1", *(f"{s.lower()}-c{c}-3" for s, c in CELLS)}
    assert [run.row.slots for run in found.best_of_sizes] == [4, 4, 4, 4]


def test_what_memory_does_not_hold_is_not_judged_but_the_run_asked_for_is(matrix, tmp_path, monkeypatch):
    monkeypatch.setattr(analysed_runs, "HELD_VIDEOS", 30)
    found = gathered(matrix, tmp_path, wanted="50mb-c2-1")
    assert {run.row.run_id for run in found.runs} == {"50mb-c2-1", "5mb-c1-3", "5mb-c2-3"}


def test_the_page_draws_the_newest_run_of_each_cell_first(matrix, tmp_path, monkeypatch):
    monkeypatch.setattr(analysed_runs, "DRAWN_RUNS", 12)
    found = gathered(matrix, tmp_path)
    assert found.drawn == {f"{size.lower()}-c{slots}-3" for size, slots in CELLS}
    assert render_page(found, "es").count("<details") == 12
