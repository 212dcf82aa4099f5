"""Create or migrate the tables of Aforo's database."""

from __future__ import annotations

from core.database import open_engine, upgrade_schema
from core.settings import Settings


def ensure_tables(settings: Settings) -> None:
    """Create or migrate the tables of Aforo's database to the version of this program.

    Raise EnvironmentFault if the database rejects the migration.
    """
    upgrade_schema(open_engine(settings.database.url))
