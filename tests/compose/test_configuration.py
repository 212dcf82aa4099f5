"""The compose file with profiles and settings, as `docker compose config` shows it. Nothing is started."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CORE = {"postgres", "events", "resources", "worker", "prometheus"} | {f"{n}-exporter" for n in ("sqs", "db", "celery")}
#: Services that end, or that run on request only.
WITHOUT_HEALTH = {"resources", "console"}


@pytest.fixture
def configured(tmp_path):
    version = ["docker", "compose", "version"]
    if not shutil.which("docker") or subprocess.run(version, capture_output=True, check=False).returncode != 0:
        pytest.skip("docker compose is not installed")
    shutil.copy2(ROOT / "docker-compose.yml", tmp_path)

    def run(profiles="emulator,grafana", **settings):
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        done = subprocess.run(
            ["docker", "compose", "config", "--format", "json"],
            cwd=tmp_path,
            env=kept | {"COMPOSE_PROFILES": profiles} | settings,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["services"]

    return run


@pytest.mark.parametrize(
    ("profiles", "more"),
    [
        ("emulator", {"aws"}),
        ("emulator,grafana", {"aws", "grafana"}),
        ("aws", {"grafana"}),
        ("aws,alerts", {"grafana", "alertmanager"}),
        ("emulator,alerts", {"aws", "alertmanager"}),
    ],
)
def test_a_profile_adds_its_services_and_no_others(configured, profiles, more):
    assert set(configured(profiles)) == CORE | more


def test_every_permanent_service_has_a_health_check(configured):
    services = configured("emulator,grafana,alerts,console")
    assert {name for name, service in services.items() if "healthcheck" not in service} == WITHOUT_HEALTH


def test_a_worker_has_the_limits_of_the_settings(configured):
    asked = {"CPUS": "1.5", "MEMORY": "2g", "STOP": "100s"}
    named = {f"AFORO_COMPOSE_WORKER_{name}": value for name, value in asked.items()}
    worker = configured(WORKERS="3", **named)["worker"]
    assert (worker["scale"], worker["cpus"], int(worker["mem_limit"])) == (3, 1.5, 2 << 30)
    assert worker["stop_grace_period"] == "1m40s"


def test_pages_are_published_on_loopback_ports_of_the_settings(configured):
    ports = {"prometheus": "9990", "grafana": "9991", "alertmanager": "9992"}
    asked = {f"AFORO_COMPOSE_{name.upper()}_PORT": port for name, port in ports.items()}
    services = configured("emulator,grafana,alerts", **asked)
    published = {name: [(p["host_ip"], p["published"]) for p in s.get("ports", [])] for name, s in services.items()}
    assert {name: found for name, found in published.items() if found} == {
        name: [("127.0.0.1", port)] for name, port in ports.items()
    }


@pytest.mark.parametrize(
    ("settings", "owner", "reader"),
    [
        (
            {"AFORO_POSTGRES_PASSWORD": "o", "AFORO_POSTGRES_READER_PASSWORD": "r"},
            "postgresql://aforo:o@postgres/aforo",
            "postgresql://aforo_reader:r@postgres/aforo",
        ),
        ({"AFORO_DATABASE_URL": "postgresql://db/x"}, "postgresql://db/x", "postgresql://db/x"),
        (
            {"AFORO_DATABASE_URL": "postgresql://db/x", "AFORO_DATABASE_READONLY_URL": "postgresql://r@db/x"},
            "postgresql://db/x",
            "postgresql://r@db/x",
        ),
    ],
)
def test_exporters_connect_as_the_read_only_user(configured, settings, owner, reader):
    services = configured(**settings)
    environment = {name: service.get("environment", {}) for name, service in services.items()}
    assert {environment[name]["AFORO_DATABASE_URL"] for name in ("worker", "resources")} == {owner}
    assert {environment[name]["AFORO_DATABASE_URL"] for name in ("sqs-exporter", "db-exporter")} == {reader}
    assert environment["resources"]["AFORO_DATABASE_READONLY_URL"] == reader
    assert environment["db-exporter"]["AFORO_POSTGRES_PASSWORD"] == ""


def test_alerts_go_to_alertmanager_which_has_the_receiver(configured):
    alertmanager = configured("alerts")["alertmanager"]
    scraped = yaml.safe_load((ROOT / "prometheus/prometheus.compose.yml").read_text(encoding="utf-8"))
    (target,) = scraped["alerting"]["alertmanagers"][0]["dns_sd_configs"]
    assert (target["names"], target["port"]) == (["alertmanager"], alertmanager["ports"][0]["target"])
    (mounted,) = (volume for volume in alertmanager["volumes"] if volume["type"] == "bind")
    assert f"--config.file={mounted['target']}" in alertmanager["command"]
    own = yaml.safe_load((ROOT / "deploy/compose" / Path(mounted["source"]).name).read_text(encoding="utf-8"))
    assert own["route"]["receiver"] in {receiver["name"] for receiver in own["receivers"]}
