"""`python -m core.check_settings`: validate all settings.

deploy/compose/stack runs this program before it starts the stack.
"""

from __future__ import annotations

import click

from core import cli
from core.errors import UsageError
from core.settings import Settings


@click.command()
def main() -> None:
    """Validate all settings. Exit with code 2 if a setting is invalid."""
    check_compose_exporters(Settings.from_process())


def check_compose_exporters(settings: Settings) -> None:
    """Raise UsageError if the settings demand TLS or a password for the exporters' /metrics.

    The Prometheus of the compose stack supports neither.
    """
    files = {
        "AFORO_EXPORTER_TLS_CERTIFICATE": settings.exporters.tls_certificate,
        "AFORO_EXPORTER_TLS_KEY": settings.exporters.tls_key,
        "AFORO_EXPORTER_AUTH_FILE": settings.exporters.auth_file,
    }
    for name, file in files.items():
        if file is not None:
            why = "this stack's Prometheus scrapes exporters without it"
            raise UsageError(name, why, "leave it empty for STACK=compose", value=file)


if __name__ == "__main__":
    cli.run(main, "python -m core.check_settings")
