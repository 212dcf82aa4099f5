"""Replicas follow the backlog as the plan in the ScaledObject's annotation says."""

from __future__ import annotations

import time

import pytest

from testing.fault_proxy import Fault

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(360)]
MESSAGES = 60
IN_FLIGHT = 30
#: longer than the overlay's stabilisation window with its polling and the autoscaler's interval
LONG_ENOUGH_TO_SCALE_DOWN = 20


def test_replicas_follow_messages_waiting_and_in_flight_and_stay_while_sqs_does_not_answer(installation):
    installation.install()
    installation.await_condition("Ready")
    planned = MESSAGES // installation.planned_queue_length()
    queue = installation.overlay.queue
    installation.send(MESSAGES)
    installation.await_replicas(planned)
    assert installation.differences() == ""  # the manifest leaves the number to the autoscaler

    receive(queue, IN_FLIGHT)
    assert queue.counts()["in_flight"] == IN_FLIGHT
    assert fewest_replicas(installation, LONG_ENOUGH_TO_SCALE_DOWN) == planned

    installation.proxy.inject(Fault("reset"))
    installation.await_condition("Fallback", seconds=90)
    assert fewest_replicas(installation, LONG_ENOUGH_TO_SCALE_DOWN) == planned

    installation.proxy.heal()
    queue.client.purge_queue(QueueUrl=queue.url)
    installation.await_replicas(1, seconds=120)


def receive(queue, count: int) -> None:
    """Receive messages and keep them in flight."""
    received = 0
    while received < count:
        options = {"MaxNumberOfMessages": min(10, count - received), "VisibilityTimeout": 600}
        received += len(queue.client.receive_message(QueueUrl=queue.url, **options)["Messages"])


def fewest_replicas(installation, seconds: float) -> int:
    """Return the smallest number of replicas that the autoscaler wanted during the next seconds."""
    end, fewest = time.monotonic() + seconds, installation.replicas()
    while time.monotonic() < end:
        fewest = min(fewest, installation.replicas())
        time.sleep(0.5)
    return fewest
