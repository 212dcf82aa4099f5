"""Execution records and pages for tests of the collector."""

from collector.page import Page


def record(number, **changes):
    """Return record `number`: a succeeded execution of the message `t<number>` from second 100 + number on."""
    return dict(
        number=number, task="app.process", task_id=f"t{number}", root_id=f"t{number}", run=None, retries=0,
        receive_count=1, slot=0, started_at=100.0 + number, ended_at=100.5 + number, outcome="succeeded", reason=None,
        queue_wait_seconds=0.25, cpu_seconds=0.4, stages={"ffmpeg": 0.3}, sent=[],
    ) | changes  # fmt: skip


def page(*records, spool="s", served_by=None, oldest=1, newest=None, dead_spools=()):
    """Return a page of the spool `s`."""
    last = records[-1]["number"] if records else 0
    return Page(
        spool,
        served_by or spool,
        "celery@w",
        oldest,
        last if newest is None else newest,
        150.0,
        tuple(dead_spools),
        records,
    )
