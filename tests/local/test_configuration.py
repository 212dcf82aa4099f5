"""Configuration of the programs of the native stack."""

import dataclasses
import re
from pathlib import Path
from types import SimpleNamespace

import yaml

from aforo.telemetry.catalogue import METRICS
from core.settings import Settings
from local.configuration import fingerprint, prometheus_config, supervisord_environment, worker_options
from local.programs import Program, programs

SOURCE = """\
rule_files:
  - rules/*.yml

scrape_configs:
  - job_name: worker
    static_configs: [{targets: ["127.0.0.1:9101"]}]
  - job_name: celery-exporter
    scrape_interval: 5s
    static_configs: [{targets: ["127.0.0.1:9808"]}]
"""


def test_prometheus_gets_our_ports_absolute_rule_paths_and_only_the_jobs_that_run():
    result = prometheus_config(SOURCE, [Program("worker", 29101, "X")], Path("/srv/prometheus"))
    assert result == (
        "rule_files:\n  - /srv/prometheus/rules/*.yml\n\nscrape_configs:\n"
        '  - job_name: worker\n    static_configs: [{targets: ["127.0.0.1:29101"]}]\n'
    )


def test_the_committed_configuration_has_a_job_for_every_scraped_program():
    every = programs(Settings.from_env({}))
    result = prometheus_config(Path("prometheus/prometheus.yml").read_text(encoding="utf-8"), every, Path("/p"))
    assert {f"job_name: {p.name}\n" in result for p in every if p.scraped} == {True}


def worker_job(app_name, metrics=()):
    app = SimpleNamespace(name=app_name, worker=SimpleNamespace(metrics=metrics))
    text = Path("prometheus/prometheus.yml").read_text(encoding="utf-8")
    scraped = [] if metrics else [Program("worker", 29101, "X")]
    (job,) = yaml.safe_load(prometheus_config(text, scraped, Path("/p"), app))["scrape_configs"]
    return job


def test_the_info_metrics_of_an_apps_worker_get_its_name():
    job = worker_job("my-app")
    assert job["static_configs"] == [{"targets": ["127.0.0.1:29101"]}]
    (added,) = job["metric_relabel_configs"]
    assert (added["target_label"], added["replacement"]) == ("app", "my-app")
    named = [name for name in METRICS if re.fullmatch(added["regex"], name)]
    assert named == ["aforo_worker_info", "aforo_worker_queue_info", "aforo_node_info"]


def test_workers_elsewhere_are_scraped_at_their_addresses_and_get_the_name_too():
    job = worker_job("my-app", ("w1:9101", "w2:9101"))
    assert job["static_configs"] == [{"targets": ["w1:9101", "w2:9101"]}]
    assert job["metric_relabel_configs"][0]["replacement"] == "my-app"


def test_each_committed_configuration_names_the_reference_worker():
    for name in ("prometheus.yml", "prometheus.compose.yml"):
        jobs = yaml.safe_load(Path("prometheus", name).read_text(encoding="utf-8"))["scrape_configs"]
        (added,) = next(job for job in jobs if job["job_name"] == "worker")["metric_relabel_configs"]
        assert (added["target_label"], added["replacement"]) == ("app", "aforo")


def test_a_program_that_a_setting_places_elsewhere_is_not_started():
    settings = Settings.from_env({"AFORO_PROMETHEUS_URL": "http://metrics.example:9090", "AFORO_EVENTS_REDIS_URL": ""})
    names = [program.name for program in programs(settings)]
    assert names == ["emulator", "sqs-exporter", "db-exporter", "worker"]


def test_real_aws_needs_no_emulator():
    assert "emulator" not in [program.name for program in programs(Settings.from_env({"STACK": "aws"}))]


def test_options_of_one_run_do_not_reach_the_stack():
    result = supervisord_environment(Settings(), {"SIZE": "50MB", "MAKEFLAGS": "n", "LANG": "C"})
    assert result.keys() & {"SIZE", "MAKEFLAGS", "LANG"} == {"LANG"}


def test_worker_options_are_quoted_for_the_shell():
    assert "AFORO_WORKER_PROFILE='a b'\n" in worker_options(2, "a b", 0)


def test_slots_profile_and_threads_do_not_change_the_fingerprint_but_every_other_setting_does():
    base = Settings()
    other_slots = dataclasses.replace(base, worker=dataclasses.replace(base.worker, concurrency=7, threads=3))
    other_stall = dataclasses.replace(base, worker=dataclasses.replace(base.worker, stall_seconds=7))
    assert fingerprint(other_slots, {}) == fingerprint(base, {})
    for_one_run = Settings.from_env({"PROFILE": "showcase", "AFORO_PLAN_BACKLOG": "5", "AFORO_PROMTOOLS": "/x"})
    assert fingerprint(for_one_run, {}) == fingerprint(Settings.from_env({}), {})
    assert fingerprint(other_stall, {}) != fingerprint(base, {})
    assert fingerprint(base, {"AWS_PROFILE": "team"}) != fingerprint(base, {})


def test_a_program_installed_while_the_stack_is_up_changes_the_fingerprint(tmp_path, monkeypatch):
    """supervisord knows only the ports and the PATH of its start, so a new program needs a new supervisord."""
    before = fingerprint(Settings.from_env({}), {})
    installed = tmp_path / "grafana"
    installed.write_text("#!/bin/sh\n")
    installed.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert fingerprint(Settings.from_env({}), {}) != before
