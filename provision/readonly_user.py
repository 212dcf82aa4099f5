"""The database user the exporters read as: made on PostgreSQL where it is missing, and allowed to read only."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import Engine
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from core.database import POSTGRESQL, open_engine
from core.errors import EnvironmentFault, first_line
from core.settings import Settings

TABLES = ("runs", "videos", "executions")
#: what marks a user as made here: another's password is not ours to change
COMMENT = "Made by Aforo for its exporters, which read only."


def ensure_reader(settings: Settings) -> None:
    """Let the user of AFORO_DATABASE_READONLY_URL read our tables; raise EnvironmentFault where we may not make it."""
    owner, reader = make_url(settings.database.url), make_url(settings.database.reading_url)
    is_ours_to_make = owner.get_backend_name() in POSTGRESQL and reader.username not in {None, owner.username}
    if not is_ours_to_make or _may_read(reader):
        return
    try:
        with closing(open_engine(settings.database.url).raw_connection()) as connection:
            _make(connection.cursor(), reader)
            connection.commit()
    except (psycopg.Error, SQLAlchemyError) as error:
        raise _fault(reader, f"it cannot read, nor be made: {first_line(error)}") from error
    if not _may_read(reader):
        raise _fault(reader, "it is another's, and cannot log in with that password")


def _fault(reader: URL, why: str) -> EnvironmentFault:
    remedy = "make it as docs/operating.md says, or leave AFORO_DATABASE_READONLY_URL out"
    return EnvironmentFault("user of AFORO_DATABASE_READONLY_URL", why, remedy, value=reader.username)


def _may_read(reader: URL) -> bool:
    engine: Engine = open_engine(reader.render_as_string(hide_password=False))
    try:
        with engine.connect() as connection:
            asked = " AND ".join(f"has_table_privilege('{table}', 'SELECT')" for table in TABLES)
            return bool(connection.exec_driver_sql(f"SELECT {asked}").scalar())
    except SQLAlchemyError:
        return False
    finally:
        engine.dispose()


def _make(cursor: Any, reader: URL) -> None:
    name, password = sql.Identifier(str(reader.username)), sql.Literal(str(reader.password or ""))
    cursor.execute(
        "SELECT shobj_description(oid, 'pg_authid') IS NOT DISTINCT FROM %s FROM pg_roles WHERE rolname = %s",
        (COMMENT, reader.username),
    )
    known = cursor.fetchone()
    if known is None or known[0]:
        verb = sql.SQL("CREATE" if known is None else "ALTER")
        cursor.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, name, password))
        cursor.execute(sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(name))
        cursor.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(name, sql.Literal(COMMENT)))
    tables = sql.SQL(", ").join(map(sql.Identifier, TABLES))
    cursor.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(tables, name))
