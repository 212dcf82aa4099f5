"""Events of children reach the metrics of their parent, or are counted as lost."""

import os
import socket

import pytest

from aforo.telemetry import event_channel
from aforo.telemetry.event_channel import MAX_EVENT_BYTES, EventChannel
from aforo.telemetry.stages import stage
from testing.polling import until


def as_child(channel):
    """Make the channel send as it does in a child process."""
    channel._home = -1
    return channel


def test_an_event_of_a_child_reaches_the_metrics_of_its_parent(registry, channel):
    channel.start()
    child = os.fork()
    if child == 0:
        with stage("download"):
            pass
        os._exit(0)
    os.waitpid(child, 0)
    count = lambda: registry.get_sample_value(  # noqa: E731
        "aforo_worker_stage_seconds_count", {"task": "", "stage": "download"}
    )
    assert until(count, "the child's event") == 1


def test_a_parent_that_does_not_read_delays_no_task_and_the_loss_is_counted(monkeypatch):
    monkeypatch.setattr(event_channel, "SEND_TIMEOUT_SECONDS", 0.05)
    handled = []
    channel = as_child(EventChannel(handled.append))
    channel._sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    for _ in range(100):
        channel.send({"kind": "stage"})
    lost = channel._lost
    assert lost > 0
    channel.start()
    until(lambda: len(handled) == 100 - lost, "the events that were sent")
    channel.send({"kind": "stage"})
    until(lambda: handled[-1]["lost"] == lost, "the number of those that were not")


@pytest.mark.parametrize("facts", [{"stage": "x" * MAX_EVENT_BYTES}, {"stage": object()}])
def test_an_event_that_cannot_be_sent_is_counted_with_the_next(facts):
    handled = []
    channel = as_child(EventChannel(handled.append))
    channel.send({"kind": "stage", **facts})
    channel.send({"kind": "next"})
    channel.drain()
    assert handled == [{"kind": "next", "lost": 1}]


@pytest.mark.parametrize("datagram", [b"no JSON", b'{"kind": "unknown"}', b"[1]", b"\xff"])
def test_an_event_that_cannot_be_read_is_counted_as_lost_and_as_a_handled_error(registry, channel, datagram):
    channel._sender.send(datagram)
    channel.drain()
    labels = {"operation": "telemetry_event"}
    assert registry.get_sample_value("aforo_worker_handled_errors_total", labels) == 1
    assert registry.get_sample_value("aforo_worker_telemetry_events_lost_total") == 1


def test_an_event_that_cannot_be_counted_raises_nothing_into_the_task(registry, channel):
    event_channel.send("unknown")
    assert registry.get_sample_value("aforo_worker_telemetry_events_lost_total") == 1
