"""The app's own database table of videos: insert rows for a run, and read the states of its videos.

Aforo updates no rows, and deletes only rows that a run inserted.
"""

from __future__ import annotations

import decimal
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, Engine, MetaData, Table, delete, func, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, NoResultFound, NoSuchTableError, SQLAlchemyError, StatementError
from sqlalchemy.sql.sqltypes import NullType
from sqlalchemy.types import TypeEngine

from core.app_file.database_dialects import INSTALL_MYSQL, database_clock, open_engine, readable, writable_moment
from core.app_file.placeholders import ROW, filled, placeholders
from core.app_file.sections import AppFile, VideosSection
from core.database import batched_keys
from core.errors import AforoError, EnvironmentFault, UsageError, first_line


@dataclass(frozen=True)
class TheirVideo:
    """State of one video in the app's own table: its status, and its times in epoch seconds.

    NULL in the database is None here.
    """

    status: Any
    uploaded_at: float | None
    updated_at: float | None


@dataclass(frozen=True)
class VideosTable:
    """Access to the app's own table of videos, as section `[videos]` of `aforo.toml` describes it.

    The names and types of the columns are read from the database.
    """

    app: AppFile
    section: VideosSection
    engine: Engine
    table: Table

    @classmethod
    def open(cls, app: AppFile) -> VideosTable:
        """Connect to the app's database and read the columns of its table of videos.

        Raise an AforoError if the database does not answer, or if the table or a column is missing, also a column that
        a placeholder `{row.COLUMN}` names. The error names the line of aforo.toml.
        """
        section = app.videos
        assert section is not None  # noqa: S101 (the caller checks it)
        _require_sqlite_file(app, section.url)
        engine = _engine(app, section.url)
        schema, _, name = section.table.rpartition(".")
        try:
            table = Table(name, MetaData(), schema=schema or None, autoload_with=engine, resolve_fks=False)
        except NoSuchTableError:
            place = app.place("videos.table")
            why = "there is no such table in their database"
            raise UsageError(place, why, "correct that line, or create the table", value=section.table) from None
        except SQLAlchemyError as error:
            raise table_fault(app, error, "videos.url") from None
        except TypeError as error:  # an option in the URL that the driver does not know
            why = f"its driver says: {first_line(error)}"
            raise UsageError(app.place("videos.url"), why, "remove that option from the URL") from None
        opened = cls(app, section, engine, table)
        opened._require_columns()
        return opened

    def insert(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Insert and commit one row for a video. Return the row as the database stored it.

        The columns come from the key `insert` of aforo.toml, with its placeholders replaced by `values`. Raise an
        AforoError if the database rejects the row or does not answer.
        """
        try:
            with self.engine.begin() as connection:
                return self._insert(connection, values)
        except SQLAlchemyError as error:
            raise table_fault(self.app, error, "videos.insert") from None

    def try_insert(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Insert one row for a video as a test, and roll the transaction back.

        `values` are the values of the placeholders, as for the method `insert`. Return the row as the database would
        have stored it. Raise an AforoError if the database rejects the row or does not answer.
        """
        try:
            with self.engine.connect() as connection, connection.begin() as transaction:
                row = self._insert(connection, values)
                transaction.rollback()
                return row
        except SQLAlchemyError as error:
            raise table_fault(self.app, error, "videos.insert") from None

    def row(self, key: Any) -> dict[str, Any] | None:
        """Return the row with this key as the database stored it, or None if there is no such row.

        Raise an AforoError if the database does not answer.
        """
        try:
            where = self.table.c[self.section.id] == self._key(key)
            with self.engine.connect() as connection:
                return self._stored(connection, [where])
        except (NoResultFound, ValueError, ArithmeticError):  # or a text that is no key of this type
            return None
        except SQLAlchemyError as error:
            raise table_fault(self.app, error, "videos.id") from None

    def read(self, keys: Sequence[Any]) -> dict[Any, TheirVideo]:
        """Read the rows with these keys from the app's table. Return a dict from key to status and times.

        The dict has no entry for a deleted row. Raise SQLAlchemyError if the database does not answer.
        """
        names = (self.section.id, self.section.status.column, self.section.uploaded_at, self.section.updated_at)
        key, status, uploaded, updated = (self._raw(name) for name in names)
        videos: dict[Any, TheirVideo] = {}
        with self.engine.connect() as connection:
            for part in batched_keys([self._key(key) for key in keys]):
                rows = select(key, status, uploaded, updated).where(self.table.c[self.section.id].in_(part))
                for row in connection.execute(rows):
                    moments = [self._epoch(value) for value in row[2:]]
                    videos[plain(row[0])] = TheirVideo(plain(row[1]), moments[0], moments[1])
        return videos

    def key(self, text: Any) -> Any:
        """Convert a row key from a file to the type in which the method `read` returns keys.

        For a key column of whole numbers, the text `12` becomes the int 12.
        """
        return plain(self._key(text))

    def keys_of(self, column: str, values: Sequence[str]) -> list[Any]:
        """Return the keys of the rows in which `column` has one of the `values`.

        Raise SQLAlchemyError if the database does not answer.
        """
        kind, keys = self.table.c[column].type, []
        with self.engine.connect() as connection:
            for part in batched_keys([_as(kind, value) for value in values]):
                rows = select(self._raw(self.section.id)).where(self.table.c[column].in_(part))
                keys += [plain(key) for key in connection.scalars(rows)]
        return keys

    def keys_between(self, since: float, until: float) -> list[Any]:
        """Return the keys of the rows uploaded from `since` to `until`, in the order of upload.

        `since` and `until` are epoch seconds, and both are included. The upload times of all rows are read.
        """
        uploaded = self._raw(self.section.uploaded_at)
        with self.engine.connect() as connection:
            rows = connection.execute(select(self._raw(self.section.id), uploaded)).all()
        timed = [(moment, plain(key)) for key, value in rows if (moment := self._epoch(value)) is not None]
        return [key for moment, key in sorted(timed, key=lambda pair: pair[0]) if since <= moment <= until]

    def delete(self, keys: Sequence[Any]) -> int:
        """Delete the rows with these keys from the app's table. Return the number of deleted rows.

        Raise an AforoError if the database fails. In this case, no row is deleted.
        """
        deleted = 0
        try:
            with self.engine.begin() as connection:
                for part in batched_keys([self._key(key) for key in keys]):
                    statement = delete(self.table).where(self.table.c[self.section.id].in_(part))
                    deleted += connection.execute(statement).rowcount
        except SQLAlchemyError as error:
            raise table_fault(self.app, error, "videos.table") from None
        return deleted

    def clock_offset_seconds(self) -> float | None:
        """Return how many seconds the database's clock is ahead of ours.

        Return None for SQLite, which uses the clock of this machine.
        """
        database_clock(self.engine)  # the first call also connects
        before = time.time()
        now = database_clock(self.engine)
        return None if now is None else now - (before + time.time()) / 2

    def count(self) -> int:
        """Return the number of rows in the app's table, counted now. Raise SQLAlchemyError if the database fails."""
        with self.engine.connect() as connection:
            return connection.scalar(select(func.count()).select_from(self.table)) or 0

    def uploaded_at(self, row: Mapping[str, Any]) -> float | None:
        """Return the upload time of a video in epoch seconds, or None if the time is NULL.

        `row` is the video's row in the app's table, as `insert` returns it.
        """
        return self._epoch(row.get(self.section.uploaded_at))

    def _insert(self, connection: Connection, values: Mapping[str, Any]) -> dict[str, Any]:
        row = {name: self._coerced(name, template, values) for name, template in self.section.insert.items()}
        key = connection.execute(insert(self.table).values(row)).inserted_primary_key
        by_key = zip(self.table.primary_key.columns, key or (), strict=False)
        where = [column == value for column, value in by_key if value is not None]
        if self.section.id in row:
            where = [self.table.c[self.section.id] == row[self.section.id]]
        if not where:
            what = self.app.place("videos.id")
            why = "the key of an inserted row is unknown"
            raise UsageError(what, why, "give the primary key, or put the key into insert", value=self.section.id)
        return self._stored(connection, where)

    def _stored(self, connection: Connection, where: Sequence[Any]) -> dict[str, Any]:
        columns = [self._raw(column.name) for column in self.table.columns]
        row = connection.execute(select(*columns).where(*where)).mappings().one()
        return {name: plain(value) for name, value in row.items()}

    def _coerced(self, name: str, template: Any, values: Mapping[str, Any]) -> Any:
        """Return the value of a column. A placeholder takes the type of the column."""
        value = filled(template, values)
        if not any(placeholders(template)):
            return _as_time_of(self.table.c[name].type, value, self._zone)
        if isinstance(value, datetime):
            return self._moment(name, value)
        try:
            return _as(self.table.c[name].type, value)
        except (ValueError, ArithmeticError):
            kind = str(self.table.c[name].type)
            place = self.app.place("videos.insert")
            raise UsageError(
                place, f"the column {name} needs {kind}", "correct that value", value=f"{template} = {value}"
            ) from None

    def _moment(self, name: str, now: datetime) -> Any:
        kind = _python_type(self.table.c[name].type)
        if (written := writable_moment(self.table.c[name], now)) is not None:
            return written
        if kind is datetime:
            return _as_time_of(self.table.c[name].type, now, self._zone)
        if kind in {int, float, decimal.Decimal}:
            seconds = now.timestamp() * (1000 if self.section.times == "epoch_ms" else 1)
            return int(seconds) if kind is int else kind(seconds)
        return now.astimezone(self._zone).replace(tzinfo=None).isoformat(sep=" ")

    def _raw(self, name: str) -> Any:
        return readable(self.engine, self.table.c[name])

    def _epoch(self, value: Any) -> float | None:
        if value is None:
            return None
        if isinstance(value, str):
            value = datetime.fromisoformat(value) if self.section.times == "timestamp" else float(value)
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=self._zone)).timestamp()
        return float(value) / (1000 if self.section.times == "epoch_ms" else 1)

    @property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.section.timezone)

    def _key(self, key: Any) -> Any:
        return _as(self.table.c[self.section.id].type, key)

    def _require_columns(self) -> None:
        section = self.section
        read = {"id": section.id, "uploaded_at": section.uploaded_at, "updated_at": section.updated_at}
        named = [*read.items(), ("status", section.status.column), *(("insert", name) for name in section.insert)]
        used = [(f"videos.{key}", column, column) for key, column in named]
        for key, part in self.app.message.items():
            names = (name for name in placeholders(part) if name.startswith(ROW))
            used += [(f"app.{key}", name.removeprefix(ROW), f"{{{name}}}") for name in names]
        for key, column, shown in used:
            if column not in self.table.c:
                columns, what = ", ".join(self.table.c.keys()), self.app.place(key)
                raise UsageError(what, f"{section.table} has no such column", f"it has {columns}", value=shown)


def table_fault(app: AppFile, error: SQLAlchemyError, key: str) -> AforoError:
    """Return the one-line error for an SQL statement that failed on the app's table.

    The text shows the database's own message. `key` is the key of aforo.toml to correct, such as `videos.url`.
    """
    cause = error.orig if isinstance(error, (DBAPIError, StatementError)) and error.orig is not None else error
    return EnvironmentFault(app.place(key), f"their database says: {first_line(cause)}", "correct that line")


def plain(value: Any) -> Any:
    """Convert a database value to a plain Python value.

    A Decimal becomes an int or a float. Numbers, texts, booleans, NULL, times and JSON values stay as they are. Every
    other value becomes text.
    """
    if isinstance(value, (bool, int, float, str)) or value is None or isinstance(value, (dict, list)):
        return value
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value if isinstance(value, datetime) else str(value)


def _require_sqlite_file(app: AppFile, url: str) -> None:
    """Raise UsageError for a missing SQLite file, which SQLite would create."""
    file = make_url(url).database if url.startswith("sqlite") else None
    if file and file != ":memory:" and not Path(file).is_file():
        remedy = "create the app's tables first, or correct that line"
        raise UsageError(app.place("videos.url"), "there is no such file", remedy, value=file)


def _engine(app: AppFile, url: str) -> Engine:
    try:
        return open_engine(url)
    except ModuleNotFoundError as error:
        why = f"the driver {error.name} of their database is not installed"
        raise EnvironmentFault(app.place("videos.url"), why, INSTALL_MYSQL) from None


def _python_type(kind: TypeEngine[Any]) -> type | None:
    try:
        return None if isinstance(kind, NullType) else kind.python_type
    except NotImplementedError:
        return None


def _as(kind: TypeEngine[Any], value: Any) -> Any:
    """Return a text as the type of a column. Other values are unchanged.

    Raise ValueError if the text does not fit.
    """
    target = _python_type(kind)
    if target is str and value is not None and not isinstance(value, str):
        return str(value)
    if not isinstance(value, str) or target in {str, None}:
        return value
    if target is uuid.UUID:
        return uuid.UUID(value)
    return target(value) if target in {int, float, decimal.Decimal} else value


def _as_time_of(kind: TypeEngine[Any], value: Any, zone: ZoneInfo) -> Any:
    """Return a moment with or without its zone, as the column stores it."""
    if not isinstance(value, datetime) or getattr(kind, "timezone", False):
        return value
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(zone).replace(tzinfo=None)
