"""`.env.example` lists the settings for users. It must match what the programs and the compose file read."""

import re
from pathlib import Path

from aforo.settings import DECLARATIONS
from core.settings import declared
from local.env_example import COMPOSE, render

SHOWN = Path(".env.example").read_text(encoding="utf-8")
COMPOSE_FILE = re.sub(r"(?m)^\s*#.*", "", Path("docker-compose.yml").read_text(encoding="utf-8"))
#: read by boto3 itself, and an option of a run
NO_SETTINGS = {"CONCURRENCY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"}


def test_it_is_up_to_date():
    assert render() == SHOWN, "run `make docs`"


def test_it_names_every_setting_with_its_default_and_meaning():
    for setting in declared():
        assert f"# {setting['meaning']}\n#{setting['name']}={setting['default']}\n" in SHOWN


def test_it_names_every_variable_of_the_library():
    assert {each.name for each in DECLARATIONS} <= set(re.findall(r"(?m)^#(\w+)=", SHOWN))


def test_a_variable_of_the_library_that_the_programs_read_too_shows_both_defaults():
    settings = {setting["name"]: setting for setting in declared()}
    shared = {each.name: each for each in DECLARATIONS if each.name in settings}
    assert list(shared) == ["AFORO_EVENTS_REDIS_URL"]
    for name, each in shared.items():
        assert (each.default, each.default_of_programs) == ("", settings[name]["default"])
        assert "empty turns forwarding off, and is the default in your own worker" in settings[name]["meaning"]


def test_it_names_every_variable_of_the_compose_file():
    assert set(re.findall(r"\$\{(\w+)", COMPOSE_FILE)) - NO_SETTINGS <= set(re.findall(r"(?m)^#(\w+)=", SHOWN))


def test_its_compose_variables_have_the_defaults_of_the_compose_file():
    for name, default, _ in COMPOSE:
        defaults = set(re.findall(rf"\$\{{{name}:?-([^${{}}]+)\}}", COMPOSE_FILE))
        if default and name != "COMPOSE_PROFILES":  # a setting of docker compose itself; the script gives its default
            assert defaults == {default}, name
    assert "setting COMPOSE_PROFILES emulator,grafana" in Path("deploy/compose/stack").read_text(encoding="utf-8")
