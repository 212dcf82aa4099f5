"""The help of every command names its exit codes."""

import click
import pytest
from click.testing import CliRunner

from capacity.__main__ import main as capacity
from collector.__main__ import main as collector
from exporters.__main__ import main as exporters
from grafana.__main__ import main as grafana
from injector.__main__ import main as injector
from local.__main__ import main as local
from provision.__main__ import main as provision
from worker.__main__ import main as worker

GROUPS: dict[str, click.Group] = {
    "capacity": capacity,
    "collector": collector,
    "exporters": exporters,
    "grafana": grafana,
    "local": local,
}
COMMANDS = {"injector": injector, "provision": provision, "worker": worker} | {
    f"{program} {name}": command
    for program, group in GROUPS.items()
    for name, command in group.commands.items()
    if not command.hidden
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_names_the_exit_codes(name: str) -> None:
    shown = " ".join(CliRunner().invoke(COMMANDS[name], ["--help"]).stdout.split())
    assert "Exit codes: 0 " in shown
