"""`python -m capacity VERB`: from recorded data to verdicts."""

from __future__ import annotations

import click

from capacity.commands.audit import audit
from capacity.commands.compare import compare
from capacity.commands.matrix import matrix
from capacity.commands.plan import plan
from capacity.commands.runs import document, report, table, wait
from capacity.commands.search import search
from capacity.commands.usl import usl
from core import cli


@click.group()
def main() -> None:
    """Turn measurements into numbers that say how far they can be trusted."""


for verb in (audit, compare, document, matrix, plan, report, search, table, usl, wait):
    main.add_command(verb)

if __name__ == "__main__":
    cli.run(main, "python -m capacity")
