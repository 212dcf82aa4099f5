"""Celery events for celery-exporter: they name registered tasks only."""

from types import SimpleNamespace

import pytest
from celery import Celery
from celery.signals import task_received

from aforo.telemetry.celery_events import forward_events


class Recorder:
    """A forwarder that records the events."""

    def __init__(self):
        self.events = []

    def put(self, kind, hostname, fields):
        self.events.append((kind, fields))


@pytest.fixture
def app():
    return Celery("x", broker="memory://", set_as_current=False)


def test_a_received_task_is_named_as_it_is_registered_whatever_its_shadow(app):
    forwarder = Recorder()
    forward_events(app, forwarder)
    dispatcher = app.events.Dispatcher(None, hostname="h")
    request = SimpleNamespace(app=app, id="1", name="shadow", task=SimpleNamespace(name="videos.process"))
    task_received.send(sender=None, request=request)
    dispatcher.send("task-received", uuid="1", name="shadow")
    dispatcher.send("task-received", uuid="2", name="other")
    assert [fields["name"] for _, fields in forwarder.events] == ["videos.process", "other"]
