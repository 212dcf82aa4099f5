"""Rules, alerts and their promtool tests, with every promtool of this machine."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.expressions import metric_names
from grafana.series_names import rules, series_names
from tests.prometheus.promtools import PROMTOOLS

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "prometheus" / "rules").glob("*.yml"))
ALERTS = sorted((ROOT / "prometheus" / "alerts").glob("*.yml"))
TESTS = sorted((ROOT / "prometheus" / "tests").glob("*.yml"))
ALERT_NAMES = [rule["alert"] for rule in rules("alerts")]


@pytest.fixture(params=[0, 1])
def promtool(request: pytest.FixtureRequest) -> str:
    """Return the system's promtool, then a promtool of another major version."""
    if request.param >= len(PROMTOOLS):
        pytest.skip("too few promtools; AFORO_PROMTOOLS=/path/promtool-2:/path/promtool-3 adds others")
    return PROMTOOLS[request.param]


def test_rules_and_alerts_pass_the_linter(promtool: str) -> None:
    _run(promtool, "check", "rules", "--lint=all", "--lint-fatal", *map(str, [*RULES, *ALERTS]))


def test_rules_and_alerts_pass_their_tests(promtool: str) -> None:
    _run(promtool, "test", "rules", *map(str, TESTS))


def test_every_rule_has_an_assertion() -> None:
    tested = "".join(path.read_text(encoding="utf-8") for path in TESTS)
    plain_rates = {name for name in _recorded() if name.endswith("rate1m")}
    assert {name for name in _recorded() if name not in tested} <= plain_rates | UNTESTED_RATIOS


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_an_alert_fires_and_then_clears_in_one_test_and_stays_silent_in_another(name: str) -> None:
    tests = [cases for path in TESTS for cases in _cases_of(name, path)]
    assert any(True in cases and not cases[-1] for cases in tests)
    assert any(cases and True not in cases for cases in tests)


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_an_alert_has_a_summary_and_a_link_to_the_runbook(name: str) -> None:
    alert = _alerts()[name]
    assert alert["labels"]["severity"] in {"warning", "critical"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"


def test_the_runbook_has_exactly_one_complete_section_per_alert() -> None:
    _, *sections = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8").split("\n## ")
    assert sorted(section.split("\n", 1)[0] for section in sections) == sorted(_alerts())
    for section in sections:
        assert re.findall(r"(?m)^\*\*(.+?)\.\*\*", section) == ["Meaning", "First look", "Causes", "Remedy"], section


def test_rules_and_alerts_read_only_metrics_that_exist() -> None:
    unknown = {name for rule in _rules([*RULES, *ALERTS]) for name in metric_names(rule["expr"])} - series_names()
    assert unknown == set()


#: plain averages of rates without a threshold: there is no second case to test
UNTESTED_RATIOS = {
    "instance:aforo_node_cgroup_throttled_periods:ratio1m",
    "instance_resource:aforo_node_pressure:ratio1m",
}


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _recorded() -> set[str]:
    return {rule["record"] for rule in _rules(RULES)}


def _alerts() -> dict[str, Any]:
    return {rule["alert"]: rule for rule in _rules(ALERTS)}


def _rules(paths: list[Path]) -> list[dict[str, Any]]:
    groups = [group for path in paths for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]
    return [rule for group in groups for rule in group["rules"]]


def _cases_of(name: str, path: Path) -> list[list[bool]]:
    """Return for each test if the alert is expected at its evaluation times, in order."""
    tests = yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
    cases_of_tests = [[case for case in test.get("alert_rule_test", []) if case["alertname"] == name] for test in tests]
    return [[bool(case["exp_alerts"]) for case in cases] for cases in cases_of_tests]
