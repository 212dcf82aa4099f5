"""Read the rows of a database query as numeric arrays, one array per column.

A text, such as a state, is read as a number: its position in a list of texts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, Select, case
from sqlalchemy.orm import InstrumentedAttribute, Session

from core.database import driver_errors

CHUNK_ROWS = 20_000
UNKNOWN_WORD = -1

Array = npt.NDArray[np.float64]


def read_columns(session: Session, statement: Select[Any]) -> list[Array]:
    """Run a query, and return one array per column. Columns must be numeric. Null becomes NaN."""
    width = len(statement.selected_columns)
    with open_rows(session, statement) as cursor:
        chunks = [np.array(rows, dtype=np.float64) for rows in iter(lambda: cursor.fetchmany(CHUNK_ROWS), [])]
    chunks.append(np.empty((0, width)))
    return [np.concatenate([chunk[:, column] for chunk in chunks]) for column in range(width)]


@contextmanager
def open_rows(session: Session, statement: Select[Any]) -> Iterator[Any]:
    """Run a query, and open a cursor of the database driver on its rows, for a `with` block.

    On PostgreSQL it is a server-side cursor, whose rows arrive in chunks. Raise EnvironmentFault if the driver fails.
    """
    connection = session.connection()
    text = str(statement.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
    options = {"name": "aforo_rows"} if connection.dialect.name == "postgresql" else {}
    # ten times as fast as the rows of SQLAlchemy (benchmarks/report_million.py)
    driver: Any = connection.connection.driver_connection
    with driver_errors(connection), closing(driver.cursor(**options)) as cursor:
        cursor.execute(text)
        yield cursor


def position_of(
    column: InstrumentedAttribute[Any] | ColumnElement[Any], vocabulary: Sequence[str]
) -> ColumnElement[Any]:
    """Return an SQL expression for the position that the text in `column` has in `vocabulary`.

    The position is -1 for null and for a text that is not in `vocabulary`.
    """
    return case({str(word): position for position, word in enumerate(vocabulary)}, value=column, else_=UNKNOWN_WORD)
