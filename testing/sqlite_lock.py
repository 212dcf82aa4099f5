"""A write lock on a SQLite file."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager


@contextmanager
def locked(database):
    """Hold the write lock of a SQLite file during the `with` block."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.rollback()
        connection.close()
