"""F22, F23: unreadable messages."""

from __future__ import annotations

import json

import psutil
import pytest

from testing.messages import MALFORMED, b64, envelope, send_body, send_task
from testing.polling import until

pytestmark = pytest.mark.faults
FATAL_TO_STOCK = ["body of the wrong shape", "bogus body encoding", "properties a list", "garbage timelimit"]


def test_every_malformed_message_is_dead_lettered_with_its_reason(sqs_queue, emulator, tiny_worker):
    queue = sqs_queue()
    with tiny_worker(queue, emulator) as worker:
        for body, _reason in MALFORMED.values():
            send_body(queue, body)
        until(lambda: queue.counts()["dead"] == len(MALFORMED), "all are dead-lettered", seconds=40)
        reasons = {message["body"]: message["reason"] for message in queue.receive_dead_lettered()}
        assert {name: reasons.get(body) for name, (body, _) in MALFORMED.items()} == {
            name: reason for name, (_, reason) in MALFORMED.items()
        }
        send_task(queue, "after")
        until(lambda: "after" in worker.names("end"), "the worker processes the next task")
        assert len(worker.lines("invalid")) == len(MALFORMED)
        assert psutil.Process(worker.process.pid).memory_info().rss < 200 * 1024 * 1024


def test_without_a_dead_letter_queue_the_worker_keeps_running_and_the_message_stays(sqs_queue, emulator, tiny_worker):
    queue = sqs_queue(max_receive_count=None)
    with tiny_worker(queue, emulator) as worker:
        send_body(queue, "not a message")
        until(lambda: ["bad_json"] in worker.lines("invalid"), "it was counted as invalid")
        send_task(queue, "after")
        until(lambda: "after" in worker.names("end"), "the worker processes the next task")
        until(lambda: queue.counts()["in_flight"] == 1, "only the invalid message is left")


def test_a_deleted_dead_letter_queue_does_not_stop_the_worker(sqs_queue, emulator, tiny_worker):
    queue = sqs_queue()
    with tiny_worker(queue, emulator) as worker:
        queue.client.delete_queue(QueueUrl=queue.dead_letter_url)
        send_body(queue, "not a message")
        until(
            lambda: "could not dead-letter a message (bad_json)" in worker.log_text(),
            "the worker tried to dead-letter it",
        )
        send_task(queue, "after")
        until(lambda: "after" in worker.names("end"), "the worker processes the next task")


@pytest.mark.parametrize(("pool", "slots"), [("prefork", 2), ("threads", 2), ("solo", 1)])
def test_a_slot_is_never_lost_whatever_celery_raises(pool, slots, sqs_queue, emulator, tiny_worker):
    queue = sqs_queue(visibility_timeout_seconds=2, max_receive_count=2)
    with tiny_worker(queue, emulator, concurrency=slots, pool=pool) as worker:
        for number in range(6):
            send_task(queue, f"raises-{number}")
        until(lambda: queue.counts()["dead"] == 6, "the redrive policy has moved them", seconds=40)
        for number in range(4):
            send_task(queue, f"after-{number}")
        until(lambda: len(worker.names("end")) == 5, "all slots work")
        assert worker.lines("invalid").count(["undeliverable"]) == 12


@pytest.mark.parametrize("name", FATAL_TO_STOCK)
def test_control_the_stock_transport_dies_of_one_message(name, sqs_queue, emulator, tiny_worker):
    queue = sqs_queue()
    with tiny_worker(queue, emulator, TINY_STOCK="1") as worker:
        send_body(queue, MALFORMED[name][0])
        until(worker.has_stopped_working, "the stock worker ended, or is deaf", seconds=30)


def test_control_the_stock_transport_loses_an_undecodable_message(sqs_queue, emulator, tiny_worker):
    queue = sqs_queue()
    with tiny_worker(queue, emulator, TINY_STOCK="1") as worker:
        message = envelope(body=b64(b"\xff\xfe[]"))
        message["properties"]["delivery_info"]["routing_key"] = queue.name
        send_body(queue, b64(json.dumps(message)))
        until(lambda: "decode" in worker.log_text().lower(), "it could not be decoded")
        until(lambda: not any(queue.counts().values()), "it is deleted and not in the dead-letter queue")
