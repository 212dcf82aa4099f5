"""What the compose file makes of profiles and settings, as `docker compose config` says it: nothing is started."""

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
#: they end, or never run by themselves
WITHOUT_HEALTH = {"resources", "console"}


@pytest.fixture
def configured(tmp_path):
    version = ["docker", "compose", "version"]
    if not shutil.which("docker") or subprocess.run(version, capture_output=True, check=False).returncode != 0:
        pytest.skip("there is no docker compose")
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
def test_a_profile_brings_what_belongs_to_it_and_nothing_else(configured, profiles, more):
    assert set(configured(profiles)) == CORE | more


def test_what_keeps_running_says_whether_it_is_well(configured):
    services = configured("emulator,grafana,alerts,console")
    assert {name for name, service in services.items() if "healthcheck" not in service} == WITHOUT_HEALTH


def test_a_worker_has_the_limits_that_are_asked_for(configured):
    asked = {"CPUS": "1.5", "MEMORY": "2g", "STOP": "100s"}
    named = {f"AFORO_COMPOSE_WORKER_{name}": value for name, value in asked.items()}
    worker = configured(WORKERS="3", **named)["worker"]
    assert (worker["scale"], worker["cpus"], int(worker["mem_limit"])) == (3, 1.5, 2 << 30)
    assert worker["stop_grace_period"] == "1m40s"


def test_pages_are_published_where_the_settings_say_on_the_loopback_interface_alone(configured):
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
def test_exporters_read_as_a_user_of_their_own(configured, settings, owner, reader):
    services = configured(**settings)
    environment = {name: service.get("environment", {}) for name, service in services.items()}
    assert {environment[name]["AFORO_DATABASE_URL"] for name in ("worker", "resources")} == {owner}
    assert {environment[name]["AFORO_DATABASE_URL"] for name in ("sqs-exporter", "db-exporter")} == {reader}
    assert environment["resources"]["AFORO_DATABASE_READONLY_URL"] == reader
    assert environment["db-exporter"]["AFORO_POSTGRES_PASSWORD"] == ""


def test_alerts_go_where_alertmanager_listens_and_it_knows_the_receiver(configured):
    alertmanager = configured("alerts")["alertmanager"]
    scraped = yaml.safe_load((ROOT / "prometheus/prometheus.compose.yml").read_text(encoding="utf-8"))
    (target,) = scraped["alerting"]["alertmanagers"][0]["dns_sd_configs"]
    assert (target["names"], target["port"]) == (["alertmanager"], alertmanager["ports"][0]["target"])
    (mounted,) = (volume for volume in alertmanager["volumes"] if volume["type"] == "bind")
    assert f"--config.file={mounted['target']}" in alertmanager["command"]
    own = yaml.safe_load((ROOT / "deploy/compose" / Path(mounted["source"]).name).read_text(encoding="utf-8"))
    assert own["route"]["receiver"] in {receiver["name"] for receiver in own["receivers"]}
