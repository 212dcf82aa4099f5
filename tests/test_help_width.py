"""Every help text fits a terminal of 80 columns."""

import pytest
from click.testing import CliRunner

from capacity.__main__ import main as capacity
from injector.__main__ import main as injector

COMMANDS = {"injector": injector} | {f"capacity {name}": command for name, command in capacity.commands.items()}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_help_text_fits_80_columns(name):
    shown = CliRunner().invoke(COMMANDS[name], ["--help"], terminal_width=80)
    assert shown.exit_code == 0
    assert [line for line in shown.stdout.splitlines() if len(line) > 80] == []
