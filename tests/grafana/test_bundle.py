"""The bundle of rules, alerts and dashboards works without the rest of the repository."""

from __future__ import annotations

import json
import re
import subprocess

import pytest
import yaml

from grafana.bundle import write
from grafana.expressions import expressions
from grafana.series_names import rules
from tests.prometheus.promtools import PROMTOOLS


def test_the_bundle_holds_every_rule_alert_and_dashboard_and_a_readme(tmp_path):
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules/left-over.yml").write_text("{}")
    files = {path.relative_to(tmp_path).as_posix() for path in write(tmp_path)}
    assert "rules/left-over.yml" not in files
    assert {"README.md", "docs/runbook.md", "docs/metrics.md", "alerts/runs.yml", "rules/runs.yml"} <= files
    assert len([name for name in files if name.startswith("dashboards-es/")]) == 5
    uids = [json.loads((tmp_path / name).read_text())["uid"] for name in files if name.startswith("dashboards-en/")]
    assert len(set(uids)) == 5


def test_the_readme_names_the_jobs_that_alerts_and_dashboards_select(tmp_path):
    write(tmp_path)
    readme = (tmp_path / "README.md").read_text()
    queries = [rule["expr"] for rule in rules("alerts")]
    boards = [json.loads(file.read_text()) for file in tmp_path.glob("dashboards-es/*.json")]
    queries += [expression.text for board in boards for expression in expressions(board)]
    named = {job for text in queries for jobs in re.findall(r'job=~?"([^"]+)"', text) for job in jobs.split("|")}
    assert {job for job in named - {"$job"} if f"`{job}`" not in readme} == set()


def test_alerts_of_the_bundle_link_to_the_given_runbook(tmp_path):
    write(tmp_path, "https://wiki.example.com/runbook")
    groups = [g for file in (tmp_path / "alerts").glob("*.yml") for g in yaml.safe_load(file.read_text())["groups"]]
    alerts = {rule["alert"]: rule["annotations"]["runbook_url"] for group in groups for rule in group["rules"]}
    assert alerts == {a["alert"]: f"https://wiki.example.com/runbook#{a['alert'].lower()}" for a in rules("alerts")}


def test_prometheus_accepts_the_bundle_installed_as_its_readme_describes(tmp_path):
    if not PROMTOOLS:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    write(tmp_path / "aforo-bundle")
    lines = (tmp_path / "aforo-bundle/README.md").read_text().splitlines()
    configuration = [line[7:] for line in lines if line.startswith("       ")]
    (tmp_path / "prometheus.yml").write_text("\n".join(configuration))
    done = subprocess.run(
        [PROMTOOLS[0], "check", "config", "prometheus.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("rules found") == 8


def test_the_central_file_has_every_rule_and_alert_within_the_limits_of_mimir(tmp_path):
    """mimirtool reads unknown keys and a repeated namespace as errors. Mimir's limits are its defaults."""
    write(tmp_path)
    read = yaml.safe_load((tmp_path / "central/aforo.yml").read_text())
    names = [group["name"] for group in read["groups"]]
    assert read.keys() == {"groups"}
    assert (len(names), len(names) <= 70) == (len(set(names)), True)
    assert max(len(group["rules"]) for group in read["groups"]) <= 20
    separate = [*tmp_path.glob("rules/*.yml"), *tmp_path.glob("alerts/*.yml")]
    groups = [group for file in separate for group in yaml.safe_load(file.read_text())["groups"]]
    assert sorted(groups, key=str) == sorted(read["groups"], key=str)


def test_promtool_accepts_the_central_file(tmp_path):
    if not PROMTOOLS:
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    write(tmp_path)
    command = [PROMTOOLS[0], "check", "rules", "--lint=all", "--lint-fatal", "central/aforo.yml"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
