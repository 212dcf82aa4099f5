"""Store made-up execution records in the database, as if the collector had read them from a worker."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from collector.page import Page
from collector.store import Source, store
from core.database import Sessions

#: Fields of a record that the tests of an analysis do not vary.
FIELDS: Mapping[str, Any] = dict(
    task="app.process", run=None, retries=0, receive_count=1, outcome="succeeded", reason=None,
    queue_wait_seconds=0.1, cpu_seconds=1.0, stages={},
)  # fmt: skip


def collect(sessions: Sessions, records: Iterable[Mapping[str, Any]], seconds: float) -> None:
    """Store execution records in the database with the collector's own code.

    Each execution lasts `seconds`. The caller gives these fields of each record:

    - `number`: the record's number in the spool
    - `task_id`: the id of the executed task
    - `root_id`: the id of the first task of the same video
    - `sent`: the ids of the tasks that the executed task sent
    - `slot`: the number of the slot
    - `start`: the start of the execution in epoch seconds
    """
    complete = []
    for record in records:
        start = record["start"]
        complete.append({**FIELDS, **record, "started_at": start, "ended_at": start + seconds})
    page = Page("spool", "spool", "celery@w", 1, complete[-1]["number"], 2000.0, (), tuple(complete))
    with sessions.begin() as session:
        store(session, page, Source("w:9101", 2000.0))
