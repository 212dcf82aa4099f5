"""Each delivery is counted once at its start and once at its end, whatever ends it."""

import json
import os
import uuid
from types import SimpleNamespace

import pytest
from billiard.einfo import ExceptionInfo
from billiard.exceptions import Terminated
from celery.exceptions import Ignore, Reject, Retry, TimeLimitExceeded, WorkerLostError
from celery.worker.request import Request

from aforo.executions.record import Recorder
from aforo.telemetry import event_channel
from aforo.telemetry.request_counting import counted
from aforo.telemetry.task_result import delivery_key
from aforo.telemetry.task_start import RUN_ID
from core.video import Reason, VideoFailed
from worker.task import ReturnedToQueue


class StockRequest(Request):
    """Fake of Celery's `Request`, with the methods that the counting overrides."""

    id, name = "1", "a name from the header `shadow`"
    task = SimpleNamespace(name="t", acks_late=True, acks_on_timeout=False)

    def __init__(self):
        self._request_dict = {"properties": {"delivery_tag": "receipt"}}

    def on_accepted(self, pid, time_accepted):
        pass

    def on_failure(self, exc_info, **options):
        pass

    def on_timeout(self, soft, timeout):
        pass

    def _announce_revoked(self, *args):
        pass


def request_in(metrics, pid=None):
    """Return a received message of the class that Celery creates for its task.

    Celery creates that subclass in `create_request_cls`.
    """

    class OfTask(counted(StockRequest, metrics)):
        def on_success(self, failed__retval__runtime, **options):
            failed, retval, _ = failed__retval__runtime
            if failed:
                self.on_failure(retval, return_ok=True)

    request = OfTask()
    request.on_accepted(pid or os.getpid(), 0.0)
    return request


def raised(error):
    try:
        raise error
    except BaseException:
        return ExceptionInfo()


def in_child(action):
    """Run `action` in a forked child and wait until the child has ended. Return the child's pid."""
    child = os.fork()
    if child == 0:
        action()
        os._exit(0)
    os.waitpid(child, 0)
    return child


def send_outcome(outcome, **measurements):
    key = delivery_key(os.getpid(), "1", {"delivery_tag": "receipt"})
    event_channel.send("result", delivery=key, outcome=outcome, **measurements)


def tasks(registry, outcome):
    return registry.get_sample_value("aforo_worker_tasks_total", {"task": "t", "outcome": outcome})


def test_a_success_is_counted_once_with_the_time_measured_in_its_process(registry, metrics):
    request_in(metrics).on_success((False, "<Foo object>", 2.0))
    assert registry.get_sample_value("aforo_worker_tasks_started_total", {"task": "t"}) == 1
    assert tasks(registry, "succeeded") == 1
    labels = {"task": "t", "outcome": "succeeded"}
    assert registry.get_sample_value("aforo_worker_task_seconds_sum", labels) == 2.0
    assert registry.get_sample_value("aforo_worker_slots_busy") == 0


def test_the_measurements_of_a_task_are_counted(registry, metrics, channel):
    child = in_child(lambda: send_outcome("", bytes={"in": 7}, speed=2.0, max_rss_bytes=9))
    request_in(metrics, child).on_success((False, None, 2.0))
    assert registry.get_sample_value("aforo_worker_video_bytes_total", {"direction": "in"}) == 7
    assert registry.get_sample_value("aforo_worker_ffmpeg_speed_ratio_sum") == 2.0
    assert registry.get_sample_value("aforo_worker_ffmpeg_max_rss_bytes") == 9
    assert tasks(registry, "succeeded") == 1


@pytest.mark.parametrize(
    ("headers", "root", "run"),
    [
        ({"root_id": "1", RUN_ID: "r"}, "1", "r"),
        ({"root_id": "é" * 500_000, RUN_ID: "r" * 300}, "é" * 255, "r" * 255),
        ({"root_id": uuid.uuid4(), RUN_ID: [uuid.uuid4()]}, None, None),
        ({}, None, None),
    ],
    ids=["usual", "long", "no text", "none"],
)
def test_a_record_has_the_registered_name_of_the_task_and_short_texts_whatever_the_message_says(
    headers, root, run, metrics
):
    records = []
    metrics.recorder = Recorder(records.append)
    request = request_in(metrics)
    request._request_dict |= headers
    request.on_success((False, None, 2.0))
    assert [(record["task"], record["root_id"], record["run"]) for record in records] == [("t", root, run)]
    json.dumps(records)


def test_a_duplicate_is_no_success(registry, metrics, channel):
    child = in_child(lambda: send_outcome("duplicate"))
    request_in(metrics, child).on_success((False, None, 0.1))
    assert tasks(registry, "duplicate") == 1
    assert tasks(registry, "succeeded") == 0


def test_many_outcomes_that_the_reader_thread_competes_for_are_each_counted_once(registry, metrics, channel):
    channel.start()
    for _ in range(50):
        child = in_child(lambda: send_outcome("duplicate"))
        request_in(metrics, child).on_success((False, None, 0.1))
    assert tasks(registry, "duplicate") == 50
    assert tasks(registry, "succeeded") == 0


def test_a_child_killed_after_it_sent_its_outcome_is_lost_and_the_outcome_is_dropped(registry, metrics, channel):
    child = in_child(lambda: send_outcome("duplicate"))
    request_in(metrics, child).on_failure(raised(WorkerLostError("dead")))
    request_in(metrics, child).on_success((False, None, 0.1))
    assert [tasks(registry, outcome) for outcome in ("lost", "duplicate", "succeeded")] == [1, 0, 1]


def test_the_outcome_of_a_delivery_does_not_reach_another_delivery_of_the_task(registry, metrics, channel):
    child = in_child(lambda: send_outcome("duplicate"))
    request_in(metrics, os.getpid()).on_success((False, None, 2.0))
    assert [tasks(registry, outcome) for outcome in ("duplicate", "succeeded")] == [0, 1]
    request_in(metrics, child).on_success((False, None, 0.1))
    assert [tasks(registry, outcome) for outcome in ("duplicate", "succeeded")] == [1, 1]


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ValueError("x"), "failed"),
        (Retry("later", ValueError("x")), "retried"),
        (Reject("no", requeue=False), "rejected"),
        (ReturnedToQueue("superseded"), "superseded"),
        (ReturnedToQueue("retried"), "retried"),
        (ReturnedToQueue("an app may write anything here"), "rejected"),
        (Ignore(), "ignored"),
        (Terminated(15), "revoked"),
        (WorkerLostError("dead"), "lost"),
        (SystemExit(1), "lost"),
    ],
)
def test_each_outcome_is_counted_by_its_name_and_frees_the_slot(registry, metrics, error, outcome):
    request_in(metrics).on_success((True, raised(error), 1.0))
    assert tasks(registry, outcome) == 1
    assert registry.get_sample_value("aforo_worker_slots_busy") == 0
    assert registry.get_sample_value("aforo_worker_children_lost_total", {"task": "t"}) == (outcome == "lost")


def hit_the_hard_limit(request):
    """End a request as Celery's pool does at the hard time limit.

    The steps are the error of the job, the signal of the time limit, and the death of the child.
    """
    request.on_failure(raised(TimeLimitExceeded(10)))
    request.on_timeout(False, 10)
    request.on_failure(raised(WorkerLostError("killed for its time limit")))


def test_a_hard_time_limit_whose_message_is_delivered_again_is_a_lost_child_and_no_failure(registry, metrics):
    for _ in range(4):
        hit_the_hard_limit(request_in(metrics))
    assert tasks(registry, "lost") == 4
    assert tasks(registry, "failed") == 0
    assert registry.get_sample_value("aforo_worker_failures_total", {"task": "t", "reason": "timeout"}) == 0


@pytest.mark.parametrize(
    "settings",
    [
        {"acks_late": True, "acks_on_timeout": True},
        {"acks_late": False, "acks_on_timeout": False},
        {"acks_late": True, "acks_on_failure_or_timeout": True},  # Celery before 5.7
    ],
)
def test_a_hard_time_limit_that_ends_the_task_for_good_is_one_failure(registry, metrics, monkeypatch, settings):
    monkeypatch.setattr(StockRequest, "task", SimpleNamespace(name="t", **settings))
    hit_the_hard_limit(request_in(metrics))
    assert tasks(registry, "failed") == 1
    assert tasks(registry, "lost") == 0
    assert registry.get_sample_value("aforo_worker_failures_total", {"task": "t", "reason": "timeout"}) == 1


def test_two_deliveries_of_one_task_occupy_two_slots_and_both_are_timed(registry, metrics):
    working, denied = request_in(metrics), request_in(metrics)
    denied.on_success((True, raised(ReturnedToQueue("duplicate")), 0.1))
    assert registry.get_sample_value("aforo_worker_slots_busy") == 1
    working.on_success((False, "<Foo object>", 2.0))
    assert registry.get_sample_value("aforo_worker_slots_busy") == 0
    labels = {"task": "t", "outcome": "succeeded"}
    assert registry.get_sample_value("aforo_worker_task_seconds_sum", labels) == 2.0


def test_a_task_that_is_revoked_as_it_starts_leaves_no_slot_busy(registry, metrics, monkeypatch):
    monkeypatch.setattr(StockRequest, "on_accepted", lambda request, *_: request._announce_revoked("terminated"))
    request_in(metrics)
    assert registry.get_sample_value("aforo_worker_slots_busy") == 0


@pytest.mark.parametrize(
    ("error", "reason"), [(VideoFailed(Reason.TRUNCATED, "x"), "truncated"), (KeyError("x"), "internal")]
)
def test_a_failure_is_counted_by_the_reason_of_its_exception(registry, metrics, error, reason):
    request_in(metrics).on_success((True, raised(error), 1.0))
    assert registry.get_sample_value("aforo_worker_failures_total", {"task": "t", "reason": reason}) == 1
