"""`python -m aforo`: command line of the library, for the machine on which a worker runs."""

from __future__ import annotations

import click

from aforo import __version__


@click.group(epilog="Example: python -m aforo version")
def main() -> None:
    """Commands of the Aforo library, for the machine on which a worker runs."""


@main.command()
def version() -> None:
    """Print the version of the installed Aforo library."""
    click.echo(__version__)


if __name__ == "__main__":
    main(prog_name="python -m aforo")
