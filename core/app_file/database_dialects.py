"""Differences between PostgreSQL, MySQL and SQLite in reading and inserting rows of an app's table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Column, Engine, create_engine, func, select
from sqlalchemy.dialects.mysql import TIMESTAMP
from sqlalchemy.engine import make_url

CONNECT_SECONDS = 5
#: Driver by the first word of a database URL. MySQL's is an optional package.
DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "sqlite": "sqlite",
}
INSTALL_MYSQL = "run .venv/bin/pip install --require-hashes -r requirements/mysql.txt"


def open_engine(url: str) -> Engine:
    """Return the engine of an app's database. Raise ModuleNotFoundError if its driver is not installed."""
    arguments: dict[str, Any] = {"timeout": 30} if url.startswith("sqlite") else {"connect_timeout": CONNECT_SECONDS}
    return create_engine(make_url(url), connect_args=arguments, pool_pre_ping=True, pool_size=2)


def readable(engine: Engine, column: Column[Any]) -> Any:
    """Return the SQL expression that selects `column` of an app's table in a form that Aforo can read.

    A time in SQLite is selected as text, and a TIMESTAMP of MySQL as epoch seconds.
    """
    if engine.dialect.name == "sqlite" and is_time(column):  # SQLite has no type for times
        return func.trim(column).label(column.name)
    if isinstance(column.type, TIMESTAMP):  # MySQL would convert it to the session's time zone
        return func.unix_timestamp(column).label(column.name)
    return column.label(column.name)


def writable_moment(column: Column[Any], moment: datetime) -> Any:
    """Return the SQL expression that writes the time `moment` into `column`, a TIMESTAMP of MySQL.

    Return None if the column has any other type. `moment` must have a time zone.
    """
    return func.from_unixtime(moment.timestamp()) if isinstance(column.type, TIMESTAMP) else None


def is_time(column: Column[Any]) -> bool:
    """Return True if the type of a column is a date with a time of day."""
    try:
        return column.type.python_type is datetime
    except NotImplementedError:
        return False


def database_clock(engine: Engine) -> float | None:
    """Return the current time by the database's clock, in epoch seconds.

    Return None for SQLite, which has no clock of its own.
    """
    if engine.dialect.name == "sqlite":
        return None
    is_mysql = engine.dialect.name in {"mysql", "mariadb"}
    clock = func.utc_timestamp(6) if is_mysql else func.current_timestamp()
    with engine.connect() as connection:
        now = connection.scalar(select(clock))
    return (now.replace(tzinfo=UTC) if is_mysql else now).timestamp() if now is not None else None
