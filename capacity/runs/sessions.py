"""Open sessions on the database in which runs are recorded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from core.database import Sessions, open_engine, open_sessions, upgrade_schema
from core.settings import Settings


def open_store(settings: Settings) -> Sessions:
    """Update the schema of the database in which runs are recorded, and return a factory of its sessions.

    `settings` has the address of the database.
    """
    engine = open_engine(settings.database.url)
    upgrade_schema(engine)
    return open_sessions(engine)


@contextmanager
def reading(sessions: Sessions) -> Iterator[Session]:
    """Open a read-only database session for a `with` block.

    The session takes no write lock. An analysis takes seconds, and a lock would delay the workers' writes.
    """
    with sessions() as session:
        session.connection(execution_options={"read_only": True})
        yield session
