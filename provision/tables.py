"""Tables of our database."""

from __future__ import annotations

from core.database import open_engine, upgrade_schema
from core.settings import Settings


def ensure_tables(settings: Settings) -> None:
    """Migrate the schema to the version of this program.

    Raise EnvironmentFault if the database rejects the migration.
    """
    upgrade_schema(open_engine(settings.database.url))
