"""Sessions on the database of recorded runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.orm import Session

from core.database import Sessions, open_engine, open_sessions, upgrade_schema
from core.settings import Settings


def open_store(settings: Settings) -> Sessions:
    """Return a session factory for the settings' database, after updating its schema."""
    engine = open_engine(settings.database.url)
    upgrade_schema(engine)
    return open_sessions(engine)


@contextmanager
def reading(sessions: Sessions) -> Iterator[Session]:
    """Open a session without a write lock, because seconds of analysis must not delay the workers' writes."""
    with sessions() as session:
        session.connection(execution_options={"read_only": True})
        yield session
