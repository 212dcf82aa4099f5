"""The options of one run are listed in four places, which must name the same options.

The Makefile, docker-compose.yml and local/check_options.sh cannot import the list in `core/run_options.py`.
"""

import re
from pathlib import Path

import yaml

from core.run_options import RUN_OPTIONS


def test_the_makefile_exports_every_run_option_but_the_mode_which_its_verbs_set():
    (line,) = re.findall(r"(?m)^OPTIONS := (.+)$", Path("Makefile").read_text(encoding="utf-8"))
    options_of_other_verbs = {"STACK", "ARGS", "SEEDS"}
    assert set(line.split()) == RUN_OPTIONS - {"MODE"} | options_of_other_verbs


def test_the_console_of_the_compose_stack_gets_every_run_option():
    compose = yaml.safe_load(Path("docker-compose.yml").read_text(encoding="utf-8"))
    assert compose["x-run-options"] == dict.fromkeys(RUN_OPTIONS)


def test_the_check_of_the_command_line_knows_every_run_option():
    text = Path("local/check_options.sh").read_text(encoding="utf-8")
    lists = re.findall(r'(?m)^(?:RUN|MATRIX)="(.+)"$', text)
    assert len(lists) == 2
    assert set(" ".join(lists).split()) == RUN_OPTIONS - {"MODE"} | {"STACK", "APP", "ARGS"}
