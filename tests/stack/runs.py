"""Reports and database rows of the stack's runs."""

from __future__ import annotations

import json
import sqlite3


def report(stack, run_id):
    assert stack.run("capacity", "wait", run_id).returncode == 0
    shown = stack.run("capacity", "report", run_id, "--json")
    assert shown.returncode == 0, shown.stderr
    return json.loads(shown.stdout)


def rows(stack, query, run_id):
    with sqlite3.connect(stack.folder / ".local/aforo.db") as connection:
        return connection.execute(query, (run_id,)).fetchall()
