"""The wait of the compose stack for its first scrapes."""

import pytest
from click.testing import CliRunner

from core import compose_stack
from core.errors import EnvironmentFault
from core.settings import MOST_WORKERS, Settings

SETTINGS = Settings.from_env({"STACK": "compose", "AFORO_PROMETHEUS_PAGE": "http://127.0.0.1:9490"})


def answers(monkeypatch, *values):
    """Let Prometheus answer with these values, one for each question. Return the questions."""
    asked, left = [], list(values)

    def single(_url, expression):
        asked.append(expression)
        return left.pop(0)

    monkeypatch.setattr(compose_stack.promql, "single", single)
    monkeypatch.setattr(compose_stack, "POLL_SECONDS", 0)
    return asked


def test_it_waits_until_every_worker_is_scraped_with_its_slots(monkeypatch):
    asked = answers(monkeypatch, None, None, 1.0)
    compose_stack.wait_for_scrapes(SETTINGS, workers=3, slots=2, seconds=60)
    assert len(asked) == 3
    assert 'count(up{job="worker"}) == 3' in asked[0]
    assert "count(aforo_worker_slots == 2) == 3" in asked[0]


def test_workers_that_do_not_appear_are_an_error_that_names_the_page_of_the_targets(monkeypatch):
    answers(monkeypatch, None)
    with pytest.raises(EnvironmentFault) as fault:
        compose_stack.wait_for_scrapes(SETTINGS, workers=3, slots=2, seconds=-1)
    line = "Prometheus; it does not see 3 workers with 2 slots; see http://127.0.0.1:9490/targets"
    assert str(fault.value) == line


@pytest.mark.parametrize("command", ["check", "check-levels"])
def test_containers_have_the_limit_of_all_workers(command, monkeypatch):
    monkeypatch.setattr(compose_stack.Settings, "from_process", lambda: SETTINGS)
    most, more = (CliRunner().invoke(compose_stack.main, [command, f"--workers={MOST_WORKERS + i}"]) for i in (0, 1))
    assert most.exit_code == 0
    assert f"to {MOST_WORKERS}" in str(more.exception)
