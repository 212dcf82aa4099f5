"""Hold the write lock of a SQLite file, so that other writers have to wait."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager


@contextmanager
def locked(database):
    """Context manager: hold the write lock of the SQLite file `database`."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.rollback()
        connection.close()
