"""Wait for the recording rules after a run: until they include its last video, and no longer."""

import time

import pytest

from capacity.analysis import recording_rules
from capacity.analysis.measured_run import ScenarioFigures
from capacity.analysis.recording_rules import wait_settled
from tests.capacity.store import add_run, open_store, run_row


class Rules:
    """Recording rules whose X has one video less for the first `behind` queries."""

    def __init__(self, behind):
        self.behind, self.queries = behind, 0

    def __call__(self, _url):
        self.queries += 1
        videos = 3 if self.queries <= self.behind else 4
        return {"r1": ScenarioFigures(60 * videos / 20, 15.0)}


@pytest.fixture
def session(tmp_path):
    with open_store(tmp_path / "a.db").begin() as session:
        row = run_row(count=4)
        add_run(session, row, [0, 0, 10, 10], [10, 10, 20, 20])
        row.finished_at = time.time()
        session.flush()
        yield session


@pytest.mark.parametrize("behind", [1, 3])
def test_figures_are_final_as_soon_as_the_rules_agree_with_the_database(session, behind, monkeypatch):
    rules, waits = Rules(behind), []
    monkeypatch.setattr(recording_rules, "_query_figures", rules)
    monkeypatch.setattr(recording_rules.time, "sleep", waits.append)
    wait_settled(session, session.get_one(recording_rules.RunRow, "r1"), "http://prometheus")
    assert rules.queries == behind + 1
    assert waits == [1] * (behind - 1)


def test_without_prometheus_nothing_is_awaited(session, monkeypatch):
    monkeypatch.setattr(recording_rules, "_query_figures", lambda _url: None)
    monkeypatch.setattr(recording_rules.time, "sleep", lambda _seconds: pytest.fail("it waits"))
    wait_settled(session, session.get_one(recording_rules.RunRow, "r1"), "http://prometheus")
