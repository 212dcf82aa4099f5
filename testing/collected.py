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
    """Store execution records with the collector's own code. Each execution lasts `seconds`.

    The caller gives these fields of a record: its `number` in the spool, `task_id`, `root_id`, `slot`, `sent` and
    `start` in epoch seconds. All other fields get fixed values. A task can send further tasks, which all belong to one
    video. `sent` has the ids of the tasks that this task sent. `root_id` is the id of the video's first task.
    """
    complete = []
    for record in records:
        start = record["start"]
        complete.append({**FIELDS, **record, "started_at": start, "ended_at": start + seconds})
    page = Page("spool", "spool", "celery@w", 1, complete[-1]["number"], 2000.0, (), tuple(complete))
    with sessions.begin() as session:
        store(session, page, Source("w:9101", 2000.0))
