"""Provisioning of Grafana, and the variables that its files need."""

from __future__ import annotations

import json
import re
from configparser import RawConfigParser
from pathlib import Path

import pytest
import yaml

from core.settings import Settings
from grafana.dashboard_files import FOLDERS
from local.configuration import supervisord_environment

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "grafana/provisioning").rglob("*.yml"))
TEXT = "".join(path.read_text(encoding="utf-8") for path in FILES)
ASKED = set(re.findall(r"^[^#\n]*\$\{(\w+)\}", TEXT, re.MULTILINE))


def native() -> dict[str, str]:
    """Return the environment of the native Grafana.

    Supervisord's own variables are replaced by their values.
    """
    parser = RawConfigParser(comment_prefixes=(";",), inline_comment_prefixes=None)
    parser.read(ROOT / "local/supervisord.conf")
    environment = supervisord_environment(Settings.from_env({}), {})
    pairs = re.findall(r'(\w+)="([^"]*)"', parser["program:grafana"]["environment"])
    fill = {f"%(ENV_{name})s": value for name, value in environment.items()} | {"%(here)s": str(ROOT / "local")}
    return {name: re.sub(r"%\(\w+\)s", lambda match: fill[match[0]], value) for name, value in pairs}


def compose() -> dict[str, str]:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))["services"]
    return services["grafana"]["environment"]


def test_every_dollar_in_the_files_starts_an_intended_variable():
    assert {"AFORO_PROMETHEUS_URL", "AFORO_DASHBOARDS"} == ASKED
    values = [line for line in TEXT.splitlines() if not line.lstrip().startswith("#")]
    assert not [line for line in values if re.search(r"\$(?!\{\w+\})", line)]


@pytest.mark.parametrize("environment", [native(), compose()], ids=["native", "compose"])
def test_grafana_starts_with_the_variables_that_its_files_need(environment):
    assert environment.keys() >= ASKED | {"GF_PATHS_PROVISIONING"}


def test_the_native_grafana_finds_its_dashboards_and_its_prometheus():
    environment = native()
    assert Path(environment["AFORO_DASHBOARDS"]).resolve() == FOLDERS["es"]
    assert Path(environment["GF_PATHS_PROVISIONING"], "dashboards/aforo.yml").is_file()
    assert environment["AFORO_PROMETHEUS_URL"] == Settings.from_env({}).prometheus.url


def test_the_containers_grafana_finds_its_dashboards_where_the_folder_is_mounted():
    assert compose()["AFORO_DASHBOARDS"] == "/etc/aforo/dashboards-${AFORO_LANG:-es}"
    assert compose()["GF_PATHS_PROVISIONING"] == "/etc/aforo/provisioning"


def test_one_language_is_provisioned_from_read_only_files():
    provider = yaml.safe_load((ROOT / "grafana/provisioning/dashboards/aforo.yml").read_text(encoding="utf-8"))
    (only,) = provider["providers"]
    assert only["options"] == {"path": "${AFORO_DASHBOARDS}"}
    assert only["allowUiUpdates"] is False
    spanish, english = ({json.loads(p.read_text())["uid"] for p in FOLDERS[lang].glob("*.json")} for lang in FOLDERS)
    assert spanish == english


def test_the_dashboards_default_to_the_provisioned_datasource():
    sources = yaml.safe_load((ROOT / "grafana/provisioning/datasources/prometheus.yml").read_text(encoding="utf-8"))
    (source,) = sources["datasources"]
    assert (source["url"], source["isDefault"]) == ("${AFORO_PROMETHEUS_URL}", True)
    assert source["jsonData"]["timeInterval"] == "1s"
    for path in FOLDERS["es"].glob("*.json"):
        variable = json.loads(path.read_text(encoding="utf-8"))["templating"]["list"][0]
        assert (variable["name"], variable["current"]["value"]) == ("datasource", source["uid"])


@pytest.mark.parametrize("environment", [native(), compose()], ids=["native", "compose"])
def test_grafana_opens_on_our_first_dashboard_and_asks_nobody_for_news(environment):
    home = environment["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == environment["AFORO_DASHBOARDS"] + "/aforo-capacity.json"
    assert environment["GF_NEWS_NEWS_FEED_ENABLED"] == "false"


def test_the_folders_that_grafana_looks_for_exist():
    """Without them it logs errors at each start."""
    assert {path.name for path in (ROOT / "grafana/provisioning").iterdir()} >= {"plugins", "alerting"}
