"""Queue wait, idle time and receive count at the start of a task."""

from aforo.telemetry.task_start import SENT_AT, Deliveries


class TaskRequest:
    """Fake of Celery's `task.request` for a message from SQS."""

    def __init__(self, sent_at=None, receive_count=1, eta=None, stamp=None):
        self.eta = eta
        attributes = {"ApproximateReceiveCount": str(receive_count)}
        if sent_at is not None:
            attributes["SentTimestamp"] = str(int(sent_at * 1000))
        message = {"ReceiptHandle": "h", "Attributes": attributes}
        self.properties = {"delivery_info": {"sqs_message": message, "sqs_queue": "url"}}
        if stamp is not None:
            setattr(self, SENT_AT, stamp)


def delivered(*steps):
    """Return the delivery events of several tasks.

    A step is the start time, the request and the end time of a task.
    """
    events, now = [], [0.0]
    deliveries = Deliveries(lambda kind, **facts: events.append(facts), clock=lambda: now[0])
    for start, request, end in steps:
        now[0] = start
        deliveries.begin("t", request)
        now[0] = end
        deliveries.end()
    return events


def test_the_whole_gap_is_idle_if_the_message_was_waiting_all_the_time():
    events = delivered((10, TaskRequest(sent_at=1), 20), (21.5, TaskRequest(sent_at=2), 30))
    assert [event.get("idle") for event in events] == [None, 1.5]
    assert [event["queue_wait"] for event in events] == [9, 19.5]


def test_the_time_in_which_the_queue_was_empty_is_not_idle():
    events = delivered((10, TaskRequest(sent_at=1), 20), (500.25, TaskRequest(sent_at=500), 501))
    assert events[1]["idle"] == 0.25


def test_a_redelivered_message_has_no_queue_wait_and_no_idle_time():
    events = delivered((10, TaskRequest(sent_at=1), 20), (60, TaskRequest(sent_at=2, receive_count=2), 61))
    assert events[1] == {"task": "t", "receive_count": 2}


def test_a_task_with_an_eta_waits_from_its_eta():
    events = delivered((100, TaskRequest(sent_at=1, eta="1970-01-01T00:01:30+00:00"), 101))
    assert events[0]["queue_wait"] == 10


def test_without_a_send_time_from_the_broker_the_header_of_the_sender_counts():
    assert delivered((10, TaskRequest(stamp=4.0), 11))[0]["queue_wait"] == 6
    assert "queue_wait" not in delivered((10, TaskRequest(), 11))[0]


def test_a_request_of_another_broker_has_the_header_too():
    request = TaskRequest(stamp=4.0)
    request.properties = None
    assert delivered((10, request, 11))[0] == {"task": "t", "receive_count": 1, "queue_wait": 6}
