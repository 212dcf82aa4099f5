"""Deletes that are slow or unanswered.

Only deletes that failed may cause duplicates, and no message of a finished task is dead-lettered.
"""

from __future__ import annotations

import pytest

from testing.fault_proxy import Fault
from testing.messages import send_task, send_tasks
from testing.polling import until

pytestmark = pytest.mark.faults
TASKS = 40
DELETES = ("DeleteMessage", "DeleteMessageBatch")


@pytest.mark.timeout(180)
def test_slow_deletes_after_one_without_an_answer_cause_at_most_one_duplicate(sqs_queue, proxy, tiny_worker):
    queue = sqs_queue(visibility_timeout_seconds=6, max_receive_count=3)
    with tiny_worker(queue, proxy.url, concurrency=4) as worker:
        until(lambda: not any(queue.counts().values()), "the warm-up task is deleted")
        for action in DELETES:
            proxy.inject(Fault("hang"), action)
        send_task(queue, "first")
        until(lambda: "could not delete" in worker.log_text(), "the first delete failed")
        for action in DELETES:
            proxy.inject(Fault("latency", seconds=1.0), action)
        for number in range(TASKS):
            send_task(queue, f"n{number}", seconds=0.05)
        names = {"warm-up", "first", *(f"n{number}" for number in range(TASKS))}
        until(lambda: names == set(worker.names("end")), "every task ended", seconds=60)
        until(lambda: not (counts := queue.counts())["visible"] + counts["in_flight"], "nothing is left", seconds=60)
        assert queue.counts()["dead"] == 0
        assert len(worker.names("start")) - len(names) <= 1


@pytest.mark.timeout(180)
def test_tasks_that_end_faster_than_their_messages_are_deleted_leave_none_to_be_dead_lettered(
    sqs_queue, proxy, tiny_worker
):
    # 20 deletes per second: without a limit the last of 500 messages would be deleted 25 s after its task
    queue = sqs_queue(visibility_timeout_seconds=10, max_receive_count=2)
    names = [f"n{number}" for number in range(500)]
    with tiny_worker(queue, proxy.url, concurrency=8) as worker:
        for action in DELETES:
            proxy.inject(Fault("latency", seconds=2.0), action)
        send_tasks(queue, names)
        until(lambda: not (counts := queue.counts())["visible"] + counts["in_flight"], "nothing is left", seconds=120)
        assert queue.counts()["dead"] == 0
        assert sorted(worker.names("start")) == sorted([*names, "warm-up"])
