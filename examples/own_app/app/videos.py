"""The app's own table of videos, with its own column names. Aforo only reads it, by the database exporter."""

import os
import sqlite3
import time
from contextlib import closing

CREATE = """
CREATE TABLE IF NOT EXISTS clips (
    clip_id TEXT PRIMARY KEY, status TEXT NOT NULL, created REAL NOT NULL, started REAL, changed REAL NOT NULL
)"""


def begin(clip_id: str, created: float) -> None:
    """Record the start of a video."""
    now = time.time()
    _write("INSERT OR REPLACE INTO clips VALUES (?, 'running', ?, ?, ?)", clip_id, created, now, now)


def finish(clip_id: str, status: str) -> None:
    """Record the final status of a video."""
    _write("UPDATE clips SET status = ?, changed = ? WHERE clip_id = ?", status, time.time(), clip_id)


def _write(statement: str, *values: object) -> None:
    with closing(sqlite3.connect(os.environ["CLIPS_DATABASE"], timeout=30)) as connection, connection:
        connection.execute(CREATE)
        connection.execute(statement, values)
