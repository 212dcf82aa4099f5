"""Entry point of `python -m capacity VERB`: analyse recorded runs, or carry out tests."""

from __future__ import annotations

import click

from capacity.commands.audit import audit
from capacity.commands.compare import compare
from capacity.commands.document import document
from capacity.commands.history import history
from capacity.commands.import_run import import_
from capacity.commands.matrix import matrix
from capacity.commands.plan import plan
from capacity.commands.report import report
from capacity.commands.search import search
from capacity.commands.table import table
from capacity.commands.usl import usl
from capacity.commands.wait import wait
from core import cli


@click.group()
def main() -> None:
    """Analyse recorded runs, or carry out tests."""


for verb in (audit, compare, document, history, import_, matrix, plan, report, search, table, usl, wait):
    main.add_command(verb)

if __name__ == "__main__":
    cli.run(main, "python -m capacity")
