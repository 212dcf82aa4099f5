"""Connect all programs to the database: open it, migrate the schema, and explain its errors.

SQLite is configured for use by many processes.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, func, inspect, select
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import NullPool

from core.errors import EnvironmentFault, UsageError, first_line, printable
from core.passwords import without_passwords

Sessions = sessionmaker[Session]
BUSY_TIMEOUT_SECONDS = 70
#: For a process with an event loop, which must not block for long.
BRIEF_TIMEOUT_SECONDS = 5
#: Schemes of PostgreSQL URLs without a driver.
POSTGRESQL = frozenset({"postgresql", "postgres"})
#: SQLite accepts 999 parameters in one statement.
KEYS_PER_QUERY = 500
#: key of `take_turn` for a migration
MIGRATION_TURN = 0xAF0107
SQLITE_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
MIGRATIONS = Path(__file__).with_name("migrations")


def open_engine(url: str, *, forks: bool = False) -> Engine:
    """Return an SQLAlchemy engine for the database at `url`. Raise UsageError for an invalid URL.

    Set `forks` to True if the process forks children. The engine then keeps no connection open after use. A call waits
    up to 70 s for another process to end its write to an SQLite file, or 5 s with `forks`. The folder of an SQLite file
    is created. Raise EnvironmentFault if that fails.
    """
    parsed = parse_url(url)
    try:
        # a child would inherit an open connection, and could corrupt an SQLite file with it
        pool: dict[str, Any] = {"poolclass": NullPool} if forks else {}
        if parsed.get_backend_name() == "sqlite":
            engine = _sqlite_engine(parsed, BRIEF_TIMEOUT_SECONDS if forks else BUSY_TIMEOUT_SECONDS, pool)
        else:
            pool = pool or {"pool_pre_ping": True, "pool_size": 4}
            engine = create_engine(_with_driver(parsed), connect_args=_timeouts(parsed), **pool)
        event.listen(engine, "handle_error", partial(_note_url, masked(str(parsed))))
        return engine
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as error:
        raise _url_error(error, url) from None


def require_sound(url: str) -> str:
    """Check that the SQLite file at `url` is not damaged. Return the URL with its password masked.

    Raise EnvironmentFault if the file is damaged or not a regular file. Raise UsageError if `url` is invalid. A missing
    file or another kind of database is accepted.
    """
    parsed, shown = parse_url(url), masked(url)
    file = Path(parsed.database or "")
    if parsed.get_backend_name() != "sqlite" or not file.exists():
        return shown
    if not file.is_file():
        raise EnvironmentFault("database", "it is not a regular file", "set another AFORO_DATABASE_URL", value=shown)
    try:
        with closing(sqlite3.connect(file, timeout=BRIEF_TIMEOUT_SECONDS)) as connection:
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        raise database_fault(error, shown) from error
    if answer != "ok":
        raise _damaged(answer, shown)
    return shown


def parse_url(url: str) -> URL:
    """Parse the database URL `url`. Raise UsageError if it is invalid."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError) as error:  # ValueError: the port is not a number
        raise _url_error(error, url) from None


def open_sessions(engine: Engine) -> Sessions:
    """Return a factory of sessions for the database of `engine`.

    A block `with sessions.begin() as session:` is one transaction, where `sessions` is the returned factory.
    """
    return sessionmaker(engine, expire_on_commit=False)


def batched_keys(keys: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Split row keys into batches, each small enough for the parameters of one SQL query."""
    for first in range(0, len(keys), KEYS_PER_QUERY):
        yield tuple(keys[first : first + KEYS_PER_QUERY])


def upgrade_schema(engine: Engine) -> None:
    """Migrate the database schema to the version of this program. In an empty database, create the tables.

    Programs that start at the same time migrate one after the other, and each migrates in one transaction.
    Raise EnvironmentFault if the migration fails, if a newer Aforo has migrated the database, or if the database holds
    tables of another app.
    """
    configuration = Config()
    configuration.set_main_option("script_location", str(MIGRATIONS))
    with _explained(engine), engine.begin() as connection:
        take_turn(connection, MIGRATION_TURN)
        _require_ours(connection, configuration, masked(str(engine.url)))
        configuration.attributes["connection"] = connection
        command.upgrade(configuration, "head")


def _require_ours(connection: Connection, configuration: Config, url: str) -> None:
    """Raise EnvironmentFault unless the database is empty or has tables of a version that this program knows."""
    tables = set(inspect(connection).get_table_names())
    heads = set(MigrationContext.configure(connection).get_current_heads())
    if tables and "runs" not in tables and tables != {"alembic_version"}:
        why = f"it holds tables of another app ({', '.join(sorted(tables)[:3])})"
        raise EnvironmentFault("AFORO_DATABASE_URL", why, "give Aforo a database of its own", value=url)
    known = {script.revision for script in ScriptDirectory.from_config(configuration).walk_revisions()}
    revision = ", ".join(sorted(heads - known))
    if re.fullmatch(r"\d{4}", revision) and revision > max(known):
        why = f"a newer Aforo has changed its tables (version {revision}, this one knows {max(known)})"
        raise EnvironmentFault("AFORO_DATABASE_URL", why, "update Aforo, or set another database", value=url)
    if revision:
        why = f"its history is not that of Aforo (alembic version {printable(revision)})"
        raise EnvironmentFault("AFORO_DATABASE_URL", why, "give Aforo a database of its own", value=url)


def take_turn(connection: Connection, key: int) -> None:
    """Wait for the database lock with the number `key`, and hold it until the end of the transaction.

    Transactions with the same key never overlap. With SQLite, do nothing: its write transactions never overlap
    (docs/adr/0004).
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(key)))


def masked(url: str) -> str:
    """Return the database URL with its password masked, even if a parameter of the URL holds the password."""
    return without_passwords(url)


def _url_error(error: Exception, url: str) -> UsageError:
    return UsageError("AFORO_DATABASE_URL", first_line(error), "see .env.example for the forms", value=masked(url))


@contextmanager
def _explained(engine: Engine) -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        raise database_fault(error.orig) from error


def _sqlite_engine(url: URL, timeout_seconds: float, pool: dict[str, Any]) -> Engine:
    if url.database and url.database != ":memory:":
        _make_folder(Path(url.database))
    engine = create_engine(url, connect_args={"timeout": timeout_seconds}, **pool)
    event.listen(engine, "connect", partial(_prepare_sqlite, timeout_seconds))
    event.listen(engine, "begin", _begin_immediate)
    event.listen(engine, "handle_error", _keep_interrupted_connection)
    return engine


def _make_folder(file: Path) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EnvironmentFault(
            "database folder", str(error), "choose another AFORO_DATABASE_URL", value=file.parent
        ) from error


def _prepare_sqlite(timeout_seconds: float, connection: sqlite3.Connection, _record: Any) -> None:
    """Switch SQLite to WAL, and leave the begin of a transaction to `_begin_immediate`.

    With WAL, other processes can read while one process writes.
    """
    connection.isolation_level = None
    _switch_to_wal(connection, timeout_seconds)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _switch_to_wal(connection: sqlite3.Connection, timeout_seconds: float) -> None:
    """Switch a new file to WAL. SQLite does not wait here for a process that writes to it; this function does."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.02)


def _begin_immediate(connection: Any) -> None:
    """Take the write lock at the beginning of a transaction.

    The driver's default loses updates or fails in the middle of the transaction (docs/adr/0004).
    """
    read_only = connection.get_execution_options().get("read_only", False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


def _keep_interrupted_connection(context: ExceptionContext) -> None:
    """Leave the end of a transaction that Ctrl-C interrupts to its rollback, which releases the write lock.

    SQLAlchemy would close the connection instead. SQLite keeps the lock of a closed connection as long as one of its
    queries has unread rows, and the record of the interruption would wait for it.
    """
    if not isinstance(context.original_exception, Exception):
        context.is_disconnect = False


def _with_driver(url: URL) -> URL:
    return url.set(drivername="postgresql+psycopg") if url.drivername in POSTGRESQL else url


def _timeouts(url: URL) -> dict[str, Any]:
    """Return libpq timeouts that detect a dead server within 25 s instead of hours."""
    if not url.get_backend_name().startswith("postgres"):
        return {}
    keepalives = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}
    return {"connect_timeout": 5, **keepalives}


def database_fault(cause: BaseException | None, url: str | None = None) -> EnvironmentFault:
    """Return the one-line error that the user sees for `cause`, an error of the database's driver.

    `url` is the database URL with its password masked, for the text of the error. If `url` is None, use the URL that
    the function `open_engine` has noted in `cause`.
    """
    url = url or next(iter(getattr(cause, "__notes__", ())), None)
    if getattr(cause, "sqlite_errorcode", 0) & 0xFF in SQLITE_DAMAGED:
        return _damaged(cause, url)
    return EnvironmentFault("database", first_line(cause), "check AFORO_DATABASE_URL and the server", value=url)


@contextmanager
def driver_errors(connection: Connection) -> Iterator[None]:
    """Context manager: turn each error of the database's driver in its block into an EnvironmentFault.

    `connection` is the database connection that the block uses.
    """
    try:
        yield
    except connection.dialect.loaded_dbapi.Error as error:
        raise database_fault(error, masked(str(connection.engine.url))) from error


def _damaged(cause: object, url: str | None) -> EnvironmentFault:
    remedy = "restore it from a copy, or move it away, and a new one is made"
    return EnvironmentFault("database", f"the file is damaged ({first_line(cause)})", remedy, value=url)


def _note_url(url: str, context: ExceptionContext) -> None:
    """Add the database's URL to an error of its driver, which the program's last handler prints."""
    context.original_exception.add_note(url)
