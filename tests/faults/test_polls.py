"""F13, F14: receive calls that fail. Kombu's own transport is the control."""

from __future__ import annotations

import time

import pytest

from testing.fault_proxy import Fault, FaultProxy
from testing.messages import send_task
from testing.polling import until
from testing.worker_rig import READY

pytestmark = pytest.mark.faults
RECOVERY_SECONDS = 15
#: kombu's own `polling_interval`
STOCK_POLLING_SECONDS = 1.0
#: what the controls break: a delete of the warm-up task that gets no answer would block kombu's event loop for minutes
POLL = "ReceiveMessage"

FAULTS = {
    "500": (Fault("status", 500), "error"),
    "502": (Fault("status", 502), "error"),
    "503": (Fault("status", 503, "ServiceUnavailable"), "error"),
    "reset": (Fault("reset"), "error"),
    "throttled": (Fault("status", 400, "RequestThrottled"), "throttled"),
    "429": (Fault("status", 429, "TooManyRequests"), "throttled"),
    "403": (Fault("status", 403, "AccessDenied"), "denied"),
    "expired token": (Fault("status", 400, "ExpiredToken"), "denied"),
    "queue deleted": (Fault("status", 400, "QueueDoesNotExist"), "error"),
    "silent": (Fault("hang"), "timeout"),
}
ONE_OF_EACH_KIND = ("500", "reset", "throttled", "expired token", "silent")


@pytest.mark.parametrize("name", FAULTS)
def test_a_worker_keeps_running_while_polls_fail_and_resumes(name, sqs_queue, proxy, tiny_worker):
    fault, result = FAULTS[name]
    queue = sqs_queue()
    with tiny_worker(queue, proxy.url) as worker:
        proxy.inject(fault)
        until(lambda: len([w for w in worker.lines("polled") if w == [result]]) >= 2, f"two polls {result}")
        healed = proxy.heal()
        for number in range(3):
            send_task(queue, f"after-{number}")
        until(lambda: len(worker.names("end")) == 4, "all tasks ran after healing", seconds=RECOVERY_SECONDS)
        assert time.monotonic() - healed <= RECOVERY_SECONDS
        assert worker.is_alive()
        assert sorted(worker.names("start")) == ["after-0", "after-1", "after-2", "warm-up"]


#: name → an answer that SQS never gives, but a proxy, an emulator or a captive portal may
STRANGE = {
    "null": (200, b"null"),
    "a message without fields": (200, b'{"Messages": [{}]}'),
    "a message without a body": (200, b'{"Messages": [{"MessageId": "m", "ReceiptHandle": "h"}]}'),
    "messages that are no list": (200, b'{"Messages": {"a": 1}}'),
    "a count that is no number": (
        200,
        b'{"Messages": [{"Body": "x", "ReceiptHandle": "h", "Attributes": {"ApproximateReceiveCount": "x"}}]}',
    ),
    "a list": (200, b"[]"),
    "a string": (200, b'"ok"'),
    "deep nesting": (500, b"[" * 100_000),
    "a deep error code": (500, b'{"__type": ' + b"[" * 500 + b"]" * 500 + b"}"),
    "a number as the error code": (500, b'{"__type": 5}'),
}


@pytest.mark.timeout(120)
def test_a_strange_answer_is_a_failed_poll_like_any_other(sqs_queue, proxy, tiny_worker):
    queue = sqs_queue()
    with tiny_worker(queue, proxy.url) as worker:
        errors = lambda: worker.lines("polled").count(["error"])  # noqa: E731
        for name, (status, content) in STRANGE.items():
            before = errors()
            proxy.inject(Fault("content", status, content=content), POLL)
            until(lambda before=before: errors() >= before + 1, f"a poll fails: {name}")
        proxy.heal()
        send_task(queue, "after")
        until(lambda: "after" in worker.names("end"), "a task ran after healing", seconds=RECOVERY_SECONDS)
        assert worker.is_alive()


@pytest.mark.timeout(120)
def test_messages_whose_answers_are_late_are_taken(sqs_queue, proxy, tiny_worker):
    queue = sqs_queue(visibility_timeout_seconds=2, max_receive_count=3)
    with tiny_worker(queue, proxy.url) as worker:
        proxy.inject(Fault("latency", seconds=5), POLL)
        until(lambda: ["timeout"] in worker.lines("polled"), "a poll timed out", seconds=60)
        for number in range(3):
            send_task(queue, f"n{number}")
        until(lambda: len(worker.names("end")) == 4, "every task ran", seconds=60)
        until(lambda: queue.counts() == {"visible": 0, "in_flight": 0, "dead": 0}, "nothing is left", seconds=30)


@pytest.mark.timeout(120)
def test_while_sqs_does_not_answer_at_all_nothing_is_received(sqs_queue, proxy, tiny_worker):
    queue = sqs_queue(visibility_timeout_seconds=2)
    with tiny_worker(queue, proxy.url) as worker:
        proxy.inject(Fault("latency", seconds=40))  # each request reaches SQS, after its answer is no longer taken
        until(lambda: worker.lines("polled").count(["timeout"]) >= 2, "two polls timed out", seconds=60)
        since = time.monotonic()
        until(lambda: worker.lines("polled").count(["timeout"]) >= 4, "two more polls timed out", seconds=60)
        assert proxy.count(POLL, since) == 0
        proxy.heal()
        send_task(queue, "after")
        until(lambda: "after" in worker.names("end"), "a task ran after healing", seconds=RECOVERY_SECONDS)


@pytest.mark.timeout(240)
def test_our_worker_keeps_running_through_each_kind_of_poll_failure_and_resumes(rig, clips, proxy):
    with rig(endpoint_url=proxy.url) as it:
        worker, stored, late = it.start().await_ready(), it.store(clips(1)), {}
        for number, name in enumerate(ONE_OF_EACH_KIND, start=1):
            seconds = recovery_seconds(it, worker, proxy, FAULTS[name], stored, number)
            late |= {name: seconds} if seconds > RECOVERY_SECONDS else {}
        assert late == {}
        assert worker.is_alive()
        it.check()


def recovery_seconds(it, worker, proxy, broken, stored, number) -> float:
    """Break the polls until two have failed, then heal them.

    Return the seconds from healing to the end of the next video.
    """
    fault, result = broken
    failed = lambda: worker.count("aforo_worker_polls_total", result=result)  # noqa: E731
    before = failed()
    proxy.inject(fault)
    until(lambda: failed() >= before + 2, f"two polls {result}", seconds=60, every=0.2)
    healed = proxy.heal()
    it.send(stored, run_id=f"run-{number}")
    it.await_states(done=number)
    return time.monotonic() - healed


@pytest.mark.parametrize("name", ["500", "reset", "403", "throttled", "expired token"])
def test_control_the_stock_transport_ends_or_stops_polling(name, sqs_queue, proxy, tiny_worker):
    """kombu's worker ends if the event loop reads the answer. Within a timer, it runs without polling."""
    with tiny_worker(sqs_queue(), proxy.url, TINY_STOCK="1") as worker:
        proxy.inject(FAULTS[name][0], POLL)
        await_lost_poll(worker)
        if worker.is_alive():
            assert polls_of(proxy, seconds=4 * STOCK_POLLING_SECONDS) == 0
        else:
            assert "Unrecoverable error" in worker.log_text()


def test_control_the_stock_transport_does_not_recover_from_refused_connections(sqs_queue, emulator, tiny_worker):
    with FaultProxy(emulator) as proxy, tiny_worker(sqs_queue(), proxy.url, TINY_STOCK="1") as worker:
        proxy.close()
        await_lost_poll(worker)
        with FaultProxy(emulator, port=int(proxy.url.rpartition(":")[2])) as healed:
            assert not worker.is_alive() or polls_of(healed, seconds=4 * STOCK_POLLING_SECONDS) == 0


def test_control_the_stock_transport_waits_for_a_silent_answer_longer_than_recovery_may_take(
    sqs_queue, proxy, tiny_worker
):
    queue = sqs_queue()
    with tiny_worker(queue, proxy.url, TINY_STOCK="1") as worker:
        started = time.monotonic()
        proxy.inject(Fault("hang"), POLL)
        until(lambda: proxy.count(POLL, started), "a poll hangs")
        proxy.heal()
        send_task(queue, "after")
        assert polls_of(proxy, seconds=RECOVERY_SECONDS) == 0
        assert queue.counts()["visible"] == 1
        assert worker.is_alive()


def await_lost_poll(worker) -> None:
    """Wait until kombu's worker has ended, or has stopped polling after an error within a timer."""
    until(worker.has_stopped_working, "the stock worker lost its poll", seconds=30)


def polls_of(proxy, seconds: float) -> int:
    """Return the number of polls that reach a healthy SQS in this time."""
    healed = proxy.heal()
    time.sleep(seconds)  # the absence of polls needs an observation time
    return proxy.count(POLL, healed)


def test_failing_polls_are_spaced_out(sqs_queue, proxy, tiny_worker):
    with tiny_worker(sqs_queue(), proxy.url) as worker:
        proxy.inject(Fault("status", 500))
        started = time.monotonic()
        until(lambda: proxy.count(POLL, started) >= 6, "six polls")
        assert time.monotonic() - started > 4
        assert worker.log_text().count("receive calls for queue") == 1


def test_a_worker_keeps_running_while_connections_are_refused_and_resumes(sqs_queue, emulator, tiny_worker):
    queue = sqs_queue()
    with FaultProxy(emulator) as proxy, tiny_worker(queue, proxy.url) as worker:
        proxy.close()
        errors = lambda: worker.lines("polled").count(["error"])  # noqa: E731
        until(lambda: errors() >= 4, "polls that were refused")  # the first error came from the open connection
        with FaultProxy(emulator, port=int(proxy.url.rpartition(":")[2])):
            send_task(queue, "after")
            until(lambda: "after" in worker.names("end"), "a task ran after healing", seconds=RECOVERY_SECONDS)
        assert worker.is_alive()


def test_a_worker_that_no_longer_receives_restarts_itself_and_says_so(sqs_queue, emulator, tiny_worker):
    queue = sqs_queue()
    with tiny_worker(queue, emulator, TINY_LOSE_POLL="1") as worker:
        until(lambda: "although slots are free; the worker restarts" in worker.log_text(), "it restarts")
        send_task(queue, "after")
        until(lambda: "after" in worker.names("end"), "a task ran after the restart")
        assert worker.is_alive()
        assert worker.log_text().count(" ready.") == 2


def test_our_worker_that_restarts_itself_does_not_interrupt_the_run(rig, clips):
    with rig() as it:
        it.send(it.store(clips(1)), count=4)
        worker = it.start(altered="loses_one_poll")
        it.await_states(done=4, seconds=80)
        assert "although slots are free; the worker restarts" in worker.log_text()
        assert worker.log_text().count(READY) == 2
        assert worker.count("aforo_worker_stall_restarts_total") == 1
        assert it.run().status == "running"
        it.check()
