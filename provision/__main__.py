"""`python -m provision`: create the missing queue, bucket, tables and database user of a stack.

The service `resources` of docker-compose.yml runs this command.
"""

from __future__ import annotations

import click

from core import cli
from core.settings import Settings
from provision.resources import create_resources


@click.command(epilog="Example: python -m provision")
def main() -> None:
    """Create the queue, the bucket, the tables and the read-only database user that are missing.

    On real AWS, create only the tables and the user. The queue must exist already.

    Exit codes: 0 nothing is missing any more, 2 a setting is invalid, 3 SQS, S3 or the database is not available.
    """
    create_resources(Settings.from_process())


if __name__ == "__main__":
    cli.run(main, "python -m provision")
