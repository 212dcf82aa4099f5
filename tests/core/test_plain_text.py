"""Output in a Latin-1 locale."""

import os
import subprocess
import sys

import pytest

SHOW = """
import click
from core import cli

@click.command()
def show():
    click.echo("línea: S ≥ 9.05 s, ρ [0.9–1.1] → año ☃")

cli.run(show, "show")
"""


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "línea: S ≥ 9.05 s, ρ [0.9–1.1] → año ☃"),
        ("latin-1", "línea: S >= 9.05 s, rho [0.9-1.1] -> año ?"),
    ],
)
def test_characters_that_an_encoding_lacks_are_spelled(encoding, shown):
    environment = os.environ | {"PYTHONIOENCODING": f"{encoding}:strict"}
    done = subprocess.run([sys.executable, "-c", SHOW], env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode(encoding).strip() == shown
