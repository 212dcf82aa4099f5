"""Create the read-only database user for the exporters, on PostgreSQL."""

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
#: Marks a user as created by us. We do not change the password of any other user.
COMMENT = "Made by Aforo for its exporters, which read only."


def ensure_readonly_user(settings: Settings) -> None:
    """Make sure that the user in AFORO_DATABASE_READONLY_URL can read Aforo's tables.

    A missing user is created. A user that Aforo created before, but that cannot read, gets the password in this URL.
    Raise EnvironmentFault if the user cannot be created or cannot read the tables. Do nothing if the database is not
    PostgreSQL, or if no separate user is set.
    """
    owner, reader = make_url(settings.database.url), make_url(settings.database.reading_url)
    is_separate_user = owner.get_backend_name() in POSTGRESQL and reader.username not in {None, owner.username}
    if not is_separate_user or _can_read(reader):
        return
    try:
        with closing(open_engine(settings.database.url).raw_connection()) as connection:
            _grant(connection.cursor(), reader)
            connection.commit()
    except (psycopg.Error, SQLAlchemyError) as error:
        raise _fault(reader, f"it cannot read, and could not be created: {first_line(error)}") from error
    if not _can_read(reader):
        raise _fault(reader, "it was not created by Aforo, and cannot log in with that password")


def _fault(reader: URL, why: str) -> EnvironmentFault:
    remedy = "create it as docs/operating.md describes, or leave AFORO_DATABASE_READONLY_URL empty"
    return EnvironmentFault("user of AFORO_DATABASE_READONLY_URL", why, remedy, value=reader.username)


def _can_read(reader: URL) -> bool:
    engine: Engine = open_engine(reader.render_as_string(hide_password=False))
    try:
        with engine.connect() as connection:
            privileges = " AND ".join(f"has_table_privilege('{table}', 'SELECT')" for table in TABLES)
            return bool(connection.exec_driver_sql(f"SELECT {privileges}").scalar())
    except SQLAlchemyError:
        return False
    finally:
        engine.dispose()


def _grant(cursor: Any, reader: URL) -> None:
    name, password = sql.Identifier(str(reader.username)), sql.Literal(str(reader.password or ""))
    cursor.execute(
        "SELECT shobj_description(oid, 'pg_authid') IS NOT DISTINCT FROM %s FROM pg_roles WHERE rolname = %s",
        (COMMENT, reader.username),
    )
    existing = cursor.fetchone()
    if existing is None or existing[0]:
        verb = sql.SQL("CREATE" if existing is None else "ALTER")
        cursor.execute(sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(verb, name, password))
        cursor.execute(sql.SQL("ALTER ROLE {} SET default_transaction_read_only = on").format(name))
        cursor.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(name, sql.Literal(COMMENT)))
    tables = sql.SQL(", ").join(map(sql.Identifier, TABLES))
    cursor.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(tables, name))
