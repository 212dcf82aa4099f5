"""F16: deletes that fail.

SQS fails before the delete, after the delete, or does not answer.
"""

from __future__ import annotations

import time

import pytest

from testing.fault_proxy import Fault
from testing.messages import send_task
from testing.polling import until

pytestmark = pytest.mark.faults
DELETE = "DeleteMessage"


def is_empty(queue):
    return not any(queue.counts().values())


@pytest.mark.parametrize("kind", ["reset", "status", "hang"])
def test_a_lost_delete_is_retried_and_the_task_runs_once(kind, sqs_queue, proxy, tiny_worker):
    queue = sqs_queue(visibility_timeout_seconds=30)
    with tiny_worker(queue, proxy.url) as worker:
        proxy.inject(Fault(kind, 503), DELETE)
        send_task(queue, "a")
        until(lambda: "a" in worker.names("end"), "the task ran")
        until(lambda: "could not delete a finished message" in worker.log_text(), "the delete failed")
        proxy.heal()
        until(lambda: is_empty(queue), "the message was deleted after all", seconds=20)
        assert worker.names("start").count("a") == 1
        assert worker.is_alive()


def test_a_delete_whose_answer_is_lost_is_no_error_the_second_time(sqs_queue, proxy, tiny_worker):
    queue = sqs_queue()
    with tiny_worker(queue, proxy.url) as worker:
        proxy.inject(Fault("drop"), DELETE)
        send_task(queue, "a")
        until(lambda: "could not delete" in worker.log_text(), "the answer was lost")
        proxy.heal()
        send_task(queue, "b")
        until(lambda: "b" in worker.names("end"), "the next task ran")
        until(lambda: is_empty(queue), "nothing is left", seconds=20)
        assert sorted(worker.names("start")) == ["a", "b", "warm-up"]


def test_a_delete_without_answer_delays_other_slots_for_seconds_only(sqs_queue, proxy, tiny_worker):
    queue = sqs_queue()
    with tiny_worker(queue, proxy.url) as worker:
        proxy.inject(Fault("hang"), DELETE)
        for number in range(5):
            send_task(queue, f"n{number}")
        until(lambda: len(worker.names("end")) == 6, "five tasks ran while no delete was answered", seconds=15)


def test_a_replayed_answer_runs_its_task_once(sqs_queue, proxy, tiny_worker):
    queue = sqs_queue()
    with tiny_worker(queue, proxy.url, concurrency=2) as worker:
        send_task(queue, "a", seconds=3)
        until(lambda: "a" in worker.names("start"), "the task started")
        proxy.inject(Fault("replay"), "ReceiveMessage")
        until(lambda: worker.names("end").count("a") >= 1, "the task ended")
        settled = time.monotonic()
        until(lambda: proxy.count("ReceiveMessage", settled) >= 2, "the answer came again after that")
        proxy.heal()
        send_task(queue, "b")
        until(lambda: "b" in worker.names("end"), "the next task ran")
        assert sorted(worker.names("start")) == ["a", "b", "warm-up"]
        assert worker.is_alive()


def test_control_the_stock_transport_runs_a_replayed_answer_again_and_again(sqs_queue, proxy, tiny_worker):
    queue = sqs_queue()
    with tiny_worker(queue, proxy.url, concurrency=2, TINY_STOCK="1") as worker:
        send_task(queue, "a", seconds=1)
        until(lambda: "a" in worker.names("start"), "the task started")
        proxy.inject(Fault("replay"), "ReceiveMessage")
        until(lambda: worker.names("start").count("a") >= 3, "it ran three times")


def test_control_the_stock_transport_runs_a_task_again_whose_delete_was_lost(sqs_queue, proxy, tiny_worker):
    queue = sqs_queue(visibility_timeout_seconds=4)
    with tiny_worker(queue, proxy.url, TINY_STOCK="1") as worker:
        proxy.inject(Fault("status", 400, "RequestThrottled"), DELETE)
        send_task(queue, "a")
        ran_again = lambda: worker.names("start").count("a") == 2 or not worker.is_alive()  # noqa: E731
        until(ran_again, "it ran again, or the worker ended", seconds=60)
