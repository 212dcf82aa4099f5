"""Rules, alerts and their promtool tests, with every promtool this machine has."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "prometheus" / "rules").glob("*.yml"))
ALERTS = sorted((ROOT / "prometheus" / "alerts").glob("*.yml"))
TESTS = sorted((ROOT / "prometheus" / "tests").glob("*.yml"))
#: the system's, and others by their paths: AFORO_PROMTOOLS=/opt/promtool-2:/opt/promtool-3
PROMTOOLS = [path for path in (shutil.which("promtool"), *os.environ.get("AFORO_PROMTOOLS", "").split(":")) if path]


@pytest.fixture(params=PROMTOOLS or [None])
def promtool(request: pytest.FixtureRequest) -> str:
    if request.param is None:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    return str(request.param)


def test_rules_and_alerts_pass_the_linter(promtool: str) -> None:
    _run(promtool, "check", "rules", "--lint=all", "--lint-fatal", *map(str, [*RULES, *ALERTS]))


def test_rules_and_alerts_do_what_their_tests_say(promtool: str) -> None:
    _run(promtool, "test", "rules", *map(str, TESTS))


def test_every_rule_is_asserted_somewhere() -> None:
    tested = "".join(path.read_text(encoding="utf-8") for path in TESTS)
    plain_rates = {name for name in _recorded() if name.endswith("rate1m")}
    assert {name for name in _recorded() if name not in tested} <= plain_rates | UNTESTED_RATIOS


def test_every_alert_fires_and_stays_silent_in_a_test() -> None:
    cases = [case for path in TESTS for case in _alert_cases(path)]
    assert {c["alertname"] for c in cases if c["exp_alerts"]} == set(_alerts())
    assert {c["alertname"] for c in cases if not c["exp_alerts"]} == set(_alerts())


@pytest.mark.parametrize(
    "name", [a["alert"] for p in ALERTS for g in yaml.safe_load(p.read_text())["groups"] for a in g["rules"]]
)
def test_an_alert_says_what_happened_and_where_to_read_on(name: str) -> None:
    alert = _alerts()[name]
    assert alert["labels"]["severity"] in {"warning", "critical"}
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"


def test_the_runbook_has_one_heading_per_alert_and_no_other() -> None:
    lines = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8").splitlines()
    assert sorted(line[3:] for line in lines if line.startswith("## ")) == sorted(_alerts())


#: evenly averaged rates without a threshold in them: there is nothing to decide
UNTESTED_RATIOS = {
    "instance:aforo_node_cgroup_throttled_periods:ratio1m",
    "instance_resource:aforo_node_pressure:ratio1m",
    "task:aforo_worker_task_seconds:mean5m",
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


def _alert_cases(path: Path) -> list[dict[str, Any]]:
    tests = yaml.safe_load(path.read_text(encoding="utf-8"))["tests"]
    return [case for test in tests for case in test.get("alert_rule_test", [])]
