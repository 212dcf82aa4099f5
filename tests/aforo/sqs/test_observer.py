"""An observer of the app that raises is logged, and stops nothing in the transport."""

from __future__ import annotations

import inspect

import pytest

from aforo.sqs.hardening import Hardening
from aforo.sqs.observer import Observer

EVENTS = [name for name, member in vars(Observer).items() if inspect.isfunction(member) and name[0] != "_"]


class Raising:
    """Observer of an app that fails at every event."""

    def __getattr__(self, event):
        def handle(*values):
            raise RuntimeError(f"{event} {values}")

        return handle


@pytest.mark.parametrize("event", EVENTS)
def test_what_an_observer_raises_is_logged_with_its_traceback_and_goes_no_further(event, caplog):
    handle = getattr(Hardening(Raising()).observer, event)
    values = range(len(inspect.signature(handle).parameters))
    handle(*values)
    (record,) = caplog.records
    assert str(record.exc_info[1]) == f"{event} {tuple(values)}"
