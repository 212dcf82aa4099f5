"""Engines and sessions: SQLite made safe for many processes, any other URL as SQLAlchemy has it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, DBAPIError, NoSuchModuleError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import NullPool

from core.errors import EnvironmentFault, UsageError, first_line

Sessions = sessionmaker[Session]
BUSY_TIMEOUT_SECONDS = 70
#: in a process with an event loop, which must go on
BRIEF_TIMEOUT_SECONDS = 5
#: what URLs call PostgreSQL, where no driver is named
POSTGRESQL = frozenset({"postgresql", "postgres"})
MIGRATIONS = Path(__file__).with_name("migrations")


def open_engine(url: str, *, forks: bool = False) -> Engine:
    """Return an engine for `url`; raise UsageError for a URL that cannot be meant.

    In a process that `forks`, no connection outlives its use: a child that inherits one can corrupt a SQLite file.
    """
    parsed = parse_url(url)
    try:
        pool: dict[str, Any] = {"poolclass": NullPool} if forks else {}
        if parsed.get_backend_name() == "sqlite":
            return _sqlite_engine(parsed, BRIEF_TIMEOUT_SECONDS if forks else BUSY_TIMEOUT_SECONDS, pool)
        pool = pool or {"pool_pre_ping": True, "pool_size": 4}
        return create_engine(_with_driver(parsed), connect_args=_timeouts(parsed), **pool)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise _refusal(error, url) from None


def parse_url(url: str) -> URL:
    """Return the parts of `url`; raise UsageError for one that cannot be meant."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:  # ValueError: a port that is no number
        raise _refusal(error, url) from None


def open_sessions(engine: Engine) -> Sessions:
    """Return the factory of short sessions; every write is one transaction: `with sessions.begin() as session`."""
    return sessionmaker(engine, expire_on_commit=False)


def upgrade_schema(engine: Engine) -> None:
    """Bring the schema to this program's version; raise EnvironmentFault when the database refuses."""
    configuration = Config()
    configuration.set_main_option("script_location", str(MIGRATIONS))
    with _explained(engine), engine.connect() as connection:
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "head")
        connection.commit()


def take_turn(session: Session, key: int) -> None:
    """Wait for other transactions that took a turn under `key`, and hold up later ones until this one has ended.

    SQLite's that may write go one after the other anyway (docs/adr/0004).
    """
    if session.get_bind().dialect.name == "postgresql":
        session.execute(select(func.pg_advisory_xact_lock(key)))


def masked(url: str) -> str:
    """Return `url` with its password hidden, for people to read."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return url.rsplit("@", maxsplit=1)[-1]


def _refusal(error: Exception, url: str) -> UsageError:
    return UsageError("AFORO_DATABASE_URL", first_line(error), "see .env.example for the forms", value=masked(url))


@contextmanager
def _explained(engine: Engine) -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        raise database_fault(error, engine.url.render_as_string(hide_password=True)) from error


def _sqlite_engine(url: URL, timeout_seconds: float, pool: dict[str, Any]) -> Engine:
    if url.database and url.database != ":memory:":
        _make_folder(Path(url.database))
    engine = create_engine(url, connect_args={"timeout": timeout_seconds}, **pool)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_immediate)
    return engine


def _make_folder(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(
            "database folder", str(error), "choose another AFORO_DATABASE_URL", value=file.parent
        ) from error


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    """Hand transactions to `_begin_immediate` and let readers work beside the one writer."""
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_immediate(connection: Any) -> None:
    """Take the write lock at once: the driver's default loses updates or fails mid-way (docs/adr/0004)."""
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _with_driver(url: URL) -> URL:
    return url.set(drivername="postgresql+psycopg") if url.drivername in POSTGRESQL else url


def _timeouts(url: URL) -> dict[str, Any]:
    """Return libpq's limits: a server that vanished without a word is given up after 25 s, not after hours."""
    if not url.get_backend_name().startswith("postgres"):
        return {}
    silence = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}
    return {"connect_timeout": 5, **silence}


def database_fault(error: DBAPIError, url: str | None = None) -> EnvironmentFault:
    """Return the one-line fault for what the database at `url`, its password hidden, says."""
    return EnvironmentFault("database", first_line(error.orig), "check AFORO_DATABASE_URL and the server", value=url)
