"""While the database fails, the worker logs one line per consequence and minute, without a traceback."""

from __future__ import annotations

import logging
import os
from types import SimpleNamespace

import pytest
from celery import Celery
from celery.app.trace import build_tracer
from celery.exceptions import Reject
from sqlalchemy.exc import OperationalError

from worker.outage_log import Consequence, OutageLog, RejectedTasks
from worker.task import _unexpected_errors_rejected

AWAY = OperationalError("SELECT 1", {}, Exception("FATAL:  sorry, too many clients already\nmore"))


@pytest.fixture
def clock():
    return SimpleNamespace(now=0.0)


@pytest.fixture
def outages(clock):
    return OutageLog(lambda: clock.now)


def reject(outages, error=AWAY):
    with pytest.raises(Reject), _unexpected_errors_rejected(outages):
        raise error


def test_the_errors_of_two_minutes_are_two_lines(outages, clock, caplog):
    for _ in range(120):
        reject(outages)
        clock.now += 1.0
    assert [(record.getMessage().partition(": (")[0], record.exc_info) for record in caplog.records] == [
        ("the database fails; each delivery returns to the queue", None),
        ("the database fails (59 more errors since the last line); each delivery returns to the queue", None),
    ]
    assert "\n" not in caplog.records[0].getMessage()


def test_all_slots_share_the_minute(outages, caplog):
    child = os.fork()
    if child == 0:
        outages.note(Consequence.DELIVERIES_RETURN, AWAY)
        os._exit(0)
    os.waitpid(child, 0)
    outages.note(Consequence.DELIVERIES_RETURN, AWAY)
    assert caplog.records == []


def test_a_lease_that_is_not_extended_does_not_hide_that_deliveries_return(outages, caplog):
    outages.note(Consequence.LEASES_END, AWAY)
    reject(outages)
    assert [record.getMessage().partition("; ")[2].partition(": ")[0] for record in caplog.records] == [
        "the lease of a running video is not extended",
        "each delivery returns to the queue",
    ]


def test_another_unexpected_error_has_its_traceback(outages, caplog):
    reject(outages, ValueError("a defect"))
    assert caplog.records[0].exc_info[1].args == ("a defect",)


@pytest.mark.parametrize(("cause", "lines"), [(AWAY, 0), (None, 1)])
def test_celery_adds_no_traceback_for_a_rejected_task(cause, lines, caplog):
    app = Celery("x", broker="memory://", set_as_current=False)

    @app.task(name="t", shared=False)
    def task():
        raise Reject("why", requeue=True) from cause

    trace_logger, silence = logging.getLogger("celery.app.trace"), RejectedTasks()
    trace_logger.addFilter(silence)
    try:
        build_tracer("t", task, app=app)("1", (), {}, {"id": "1"})
    finally:
        trace_logger.removeFilter(silence)
    assert [record.exc_info for record in caplog.records] == [None] * lines
