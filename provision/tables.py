"""Create or migrate the tables of Aforo's database."""

from __future__ import annotations

from core.database import open_engine, upgrade_schema
from core.settings import Settings


def ensure_tables(settings: Settings) -> None:
    """Create the tables of Aforo's database, or migrate them to the schema of this version of Aforo.

    Raise EnvironmentFault if the database rejects the migration.
    """
    upgrade_schema(open_engine(settings.database.url))
