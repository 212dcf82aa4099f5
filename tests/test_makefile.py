"""Make options are data: they are not executed, and an empty option stays empty."""

import os
import re
import subprocess
from pathlib import Path

import pytest

PROBE = "\nprobe:\n\t@printf '%s|' \"$$SIZE\"\nwords:\n\t@set -f; printf '%s|' $$ARGS\n"


def outside(**variables):
    """Return this environment without the variables of a `make` that runs the tests."""
    return {key: value for key, value in os.environ.items() if not key.startswith(("MAKE", "MFLAGS"))} | variables


def make(tmp_path, *arguments, verb="probe"):
    makefile = tmp_path / "Makefile"
    makefile.write_text(Path("Makefile").read_text(encoding="utf-8") + PROBE, encoding="utf-8")
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MAKE") and key != "SIZE"}
    command = ["make", "-f", str(makefile), verb, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout


@pytest.mark.parametrize(
    "size", ["50MB; touch pwned", "`touch pwned`", "$(shell touch pwned)", "$(touch pwned)", "a'b\"c"]
)
def test_an_option_reaches_the_program_unchanged_and_is_not_executed(tmp_path, size):
    pwned = Path("pwned")
    assert make(tmp_path, f"SIZE={size}") == f"{size}|"
    assert not pwned.exists()


@pytest.mark.parametrize("name", ["SIZE", "STACK", "ARGS", "FILE"])
def test_no_verb_executes_an_option_from_the_command_line_or_the_environment(tmp_path, name):
    value = "$(shell touch pwned)`touch pwned`; touch pwned"
    for arguments, environment in (([f"{name}={value}"], {}), ([], {name: value})):
        command = ["make", "-n", "run-burst", "run-sustained", "up", "logs", "table", "clean", "plan", *arguments]
        shown = subprocess.run(command, capture_output=True, text=True, env=outside(**environment), check=True).stdout
        assert "touch pwned" not in shown
    assert not Path("pwned").exists()


def test_the_app_file_is_handed_on_under_a_name_that_celery_does_not_read(tmp_path):
    path = "../my app/$(shell touch pwned).toml"
    wanted = ("AFORO_APP_FILE", "APP", "LOADER", "CONFIG_MODULE")
    lines = [f"\t@printf '%s|' \"$${{{name}-}}\"" for name in wanted]
    makefile = tmp_path / "Makefile"
    text = Path("Makefile").read_text(encoding="utf-8")
    makefile.write_text("\n".join([text, "names:", *lines, ""]), encoding="utf-8")
    theirs = outside(APP="app.main", LOADER="x", CONFIG_MODULE="y")
    for arguments, expected in (([f"APP={path}"], f"{path}||||"), ([], "||||")):
        command = ["make", "-f", str(makefile), "names", *arguments]
        shown = subprocess.run(command, capture_output=True, text=True, env=theirs, check=True).stdout
        assert shown == expected
    assert not Path("pwned").exists()


def test_words_in_args_are_plain_arguments(tmp_path):
    shown = make(tmp_path, "ARGS=$(shell touch pwned) `touch pwned` ; touch pwned", verb="words")
    assert shown == "$(shell|touch|pwned)|`touch|pwned`|;|touch|pwned|"
    assert not Path("pwned").exists()


def test_the_option_stack_selects_the_programs():
    def shown(*arguments):
        return subprocess.run(
            ["make", "-n", "up", *arguments], capture_output=True, text=True, env=outside(), check=True
        ).stdout

    assert "deploy/compose/stack up" in shown("STACK=compose")
    assert ".venv/bin/python -m local up" in shown("STACK=aws")
    assert ".venv/bin/python -m local up" in shown("STACK=unknown")


def test_the_bundle_accepts_args():
    command = ["make", "-n", "bundle", "ARGS=--runbook https://wiki.example/aforo"]
    shown = subprocess.run(command, capture_output=True, text=True, env=outside(), check=True).stdout
    assert "-m grafana bundle $ARGS" in shown


def test_every_scrape_configuration_is_checked():
    shown = subprocess.run(["make", "-n", "lint-prometheus"], capture_output=True, text=True, env=outside(), check=True)
    for file in Path("prometheus").glob("prometheus*.yml"):
        assert re.search(rf"promtool check config .*\b{re.escape(str(file))}", shown.stdout), file


def test_an_empty_option_arrives_empty(tmp_path):
    assert make(tmp_path, "SIZE=") == "|"


def test_make_without_a_verb_prints_the_help():
    shown = subprocess.run(["make"], capture_output=True, text=True, check=True).stdout
    assert "run-burst" in shown
    assert "run-sustained" in shown
