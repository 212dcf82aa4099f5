"""A record is assembled from the events of its delivery, whatever is missing of them."""

import pytest

from aforo.executions.record import MAX_RUNNING, Identity, Recorder

IDENTITY = Identity(task="t", task_id="1", root_id="0", run="r", retries=2)
DELIVERY = {"kind": "delivery", "delivery": "9 a", "slot": 3, "receive_count": 1, "started_at": 10.0, "ready_at": 8.5}


@pytest.fixture
def kept():
    return []


@pytest.fixture
def recorder(kept):
    return Recorder(kept.append, clock=lambda: 99.0)


def test_a_record_holds_what_the_process_and_the_message_say(recorder, kept):
    recorder.observe(DELIVERY)
    for seconds in (1.0, 0.5):
        recorder.observe({"kind": "stage", "delivery": "9 a", "stage": "download", "seconds": seconds})
    recorder.observe({"kind": "message_sent", "delivery": "9 a", "task_id": "2"})
    recorder.observe({"kind": "slot_free", "delivery": "9 a", "at": 12.0, "cpu_seconds": 0.75})
    recorder.ended("9 a", IDENTITY, "succeeded", None, accepted_at=9.9)
    assert kept == [
        {
            "task": "t",
            "task_id": "1",
            "root_id": "0",
            "run": "r",
            "retries": 2,
            "receive_count": 1,
            "slot": 3,
            "started_at": 10.0,
            "ended_at": 12.0,
            "outcome": "succeeded",
            "reason": None,
            "queue_wait_seconds": 1.5,
            "cpu_seconds": 0.75,
            "stages": {"download": 1.5},
            "sent": ["2"],
        }
    ]


def test_a_killed_process_leaves_its_start_and_the_end_is_now(recorder, kept):
    recorder.observe(DELIVERY)
    recorder.ended("9 a", IDENTITY, "lost", None, accepted_at=9.9)
    assert (kept[0]["started_at"], kept[0]["ended_at"], kept[0]["cpu_seconds"]) == (10.0, 99.0, None)


def test_events_that_were_lost_leave_unknown_fields_not_zeros(recorder, kept):
    recorder.ended("9 a", IDENTITY, "succeeded", None, accepted_at=9.9)
    record = kept[0]
    assert (record["started_at"], record["slot"], record["queue_wait_seconds"]) == (9.9, None, None)


def test_events_of_other_kinds_and_outside_of_a_task_are_ignored(recorder, kept):
    recorder.observe({"kind": "polled", "result": "empty"})
    recorder.observe({"kind": "stage", "delivery": "", "stage": "download", "seconds": 1.0})
    recorder.ended("", IDENTITY, "succeeded", None, accepted_at=9.9)
    assert kept[0]["stages"] == {}


def test_a_stage_name_that_is_no_word_does_not_leave_the_worker(recorder, kept):
    recorder.observe({"kind": "stage", "delivery": "9 a", "stage": "my holiday.mp4", "seconds": 1.0})
    recorder.ended("9 a", IDENTITY, "succeeded", None, accepted_at=9.9)
    assert kept[0]["stages"] == {"other": 1.0}


def test_deliveries_without_an_end_take_a_limited_memory(recorder, kept):
    for number in range(MAX_RUNNING + 5):
        recorder.observe({**DELIVERY, "delivery": f"9 {number}"})
    assert len(recorder._running) == MAX_RUNNING
    recorder.ended(f"9 {MAX_RUNNING}", IDENTITY, "succeeded", None, accepted_at=9.9)
    assert kept[0]["slot"] == 3
