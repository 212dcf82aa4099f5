"""Events at the start and the end of a task, and the queue wait and idle time that follow from them."""

from functools import partial

import pytest

from aforo.telemetry.task_start import SENT_AT, Deliveries


class TaskRequest:
    """Fake of Celery's `task.request` for a message from SQS."""

    id = "1"

    def __init__(self, sent_at=None, receive_count=1, eta=None, stamp=None):
        self.eta = eta
        attributes = {"ApproximateReceiveCount": str(receive_count)}
        if sent_at is not None:
            attributes["SentTimestamp"] = str(int(sent_at * 1000))
        message = {"ReceiptHandle": "h", "Attributes": attributes}
        self.properties = {"delivery_info": {"sqs_message": message, "sqs_queue": "url"}}
        if stamp is not None:
            setattr(self, SENT_AT, stamp)


def delivered(metrics, *steps):
    """Count the tasks of `steps`. A step is (start, request, end, slot).

    Each task runs in its own child process. A task whose end is None is killed.
    """
    now, current = [0.0], [0]
    for start, request, end, slot in steps:
        now[0], current[0] = start, slot
        deliveries = Deliveries(partial(count, metrics), lambda: now[0], lambda: current[0])
        deliveries.begin("t", request)
        if end is not None:
            now[0] = end
            deliveries.end(request)


def count(metrics, kind, **facts):
    metrics.handle({"kind": kind, **facts})


@pytest.fixture
def value(registry):
    """Return a function that gives the sum and the count of a histogram."""

    def read(family, **labels):
        return tuple(registry.get_sample_value(f"{family}_{part}", labels) for part in ("sum", "count"))

    return read


IDLE, WAIT = "aforo_worker_slot_idle_seconds", "aforo_worker_queue_wait_seconds"


def test_the_whole_gap_is_idle_if_the_message_was_waiting_all_the_time(metrics, value):
    delivered(metrics, (10, TaskRequest(sent_at=1), 20, 0), (21.5, TaskRequest(sent_at=2), 30, 0))
    assert value(IDLE) == (1.5, 1)
    assert value(WAIT, task="t") == (9 + 19.5, 2)


def test_the_idle_time_of_a_slot_continues_in_the_replacement_of_its_child(metrics, value):
    """Celery's `--max-tasks-per-child 1` runs every task in another process."""
    steps = [(10 * k, TaskRequest(sent_at=1), 10 * k + 6, 3) for k in range(1, 4)]
    delivered(metrics, *steps)
    assert value(IDLE) == (8, 2)


def test_each_slot_has_its_own_idle_time(metrics, value):
    delivered(metrics, (10, TaskRequest(sent_at=1), 20, 0), (25, TaskRequest(sent_at=1), 26, 1))
    assert value(IDLE) == (0, 0)


def test_a_killed_task_leaves_its_slot_without_a_known_end(metrics, value):
    first, killed, third = (10, 20, 0), (21, None, 0), (90, 95, 0)
    delivered(metrics, *((start, TaskRequest(sent_at=1), end, slot) for start, end, slot in (first, killed, third)))
    assert value(IDLE) == (1, 1)


def test_the_time_in_which_the_queue_was_empty_is_not_idle(metrics, value):
    delivered(metrics, (10, TaskRequest(sent_at=1), 20, 0), (500.25, TaskRequest(sent_at=500), 501, 0))
    assert value(IDLE) == (0.25, 1)


def test_a_redelivered_message_has_no_queue_wait_and_no_idle_time(metrics, value):
    again = TaskRequest(sent_at=2, receive_count=2)
    delivered(metrics, (10, TaskRequest(sent_at=1), 20, 0), (60, again, 61, 0))
    assert value(IDLE) == (0, 0)
    assert value(WAIT, task="t") == (9, 1)


def test_a_task_with_an_eta_waits_from_its_eta(metrics, value):
    delivered(metrics, (100, TaskRequest(sent_at=1, eta="1970-01-01T00:01:30+00:00"), 101, 0))
    assert value(WAIT, task="t") == (10, 1)


def test_without_a_send_time_from_the_broker_the_header_of_the_sender_counts(metrics, value):
    delivered(metrics, (10, TaskRequest(stamp=4.0), 11, 0), (10, TaskRequest(), 11, 0))
    assert value(WAIT, task="t") == (6, 1)


def test_a_request_of_another_broker_has_the_header_too(metrics, value):
    request = TaskRequest(stamp=4.0)
    request.properties = None
    delivered(metrics, (10, request, 11, 0))
    assert value(WAIT, task="t") == (6, 1)
