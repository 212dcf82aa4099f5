import os
import socket
from types import SimpleNamespace

import pytest
from billiard.einfo import ExceptionInfo
from billiard.exceptions import Terminated
from celery import Celery
from celery.exceptions import Ignore, Reject, Retry, TimeLimitExceeded, WorkerLostError
from kombu import Queue
from prometheus_client import CollectorRegistry

from aforo.sqs.hardening import SCHEME
from aforo.telemetry import event_channel
from aforo.telemetry.event_channel import Action, Post
from aforo.telemetry.instrument import HARDENED, _queues
from aforo.telemetry.request_counting import MOST_EXPECTED_TASKS, MOST_STAGES, WorkerMetrics, counted
from aforo.telemetry.stages import stage
from aforo.telemetry.task_start import SENT_AT, Deliveries
from core.video import Reason, VideoFailed
from tests.conftest import poll_until
from worker.task import ReturnedToQueue


@pytest.fixture
def registry():
    return CollectorRegistry()


@pytest.fixture
def metrics(registry):
    return WorkerMetrics(registry)


class StockRequest:
    """What Celery's class of a received message does that matters here."""

    id, name = "1", "t"
    task = SimpleNamespace(acks_late=True, acks_on_timeout=False)

    def on_accepted(self, pid, time_accepted):
        pass

    def on_failure(self, exc_info, **options):
        pass

    def on_timeout(self, soft, timeout):
        pass

    def _announce_revoked(self, *args):
        pass


def request_in(metrics):
    """Return a received message whose class Celery has subclassed for its task, as `create_request_cls` does."""

    class OfTask(counted(StockRequest, metrics)):
        def on_success(self, failed__retval__runtime, **options):
            failed, retval, _ = failed__retval__runtime
            if failed:
                self.on_failure(retval, return_ok=True)

    made = OfTask()
    made.on_accepted(os.getpid(), 0.0)
    return made


def raised(error):
    try:
        raise error
    except BaseException:
        return ExceptionInfo()


def test_a_success_is_counted_once_with_the_time_its_process_took(registry, metrics):
    request_in(metrics).on_success((False, "<Foo object>", 2.0))
    assert registry.get_sample_value("aforo_worker_tasks_started_total", {"task": "t"}) == 1
    assert registry.get_sample_value("aforo_worker_tasks_total", {"task": "t", "outcome": "succeeded"}) == 1
    labels = {"task": "t", "outcome": "succeeded"}
    assert registry.get_sample_value("aforo_worker_task_seconds_sum", labels) == 2.0
    assert registry.get_sample_value("aforo_worker_slots_busy") == 0


def test_what_our_task_returns_is_counted(registry, metrics):
    report = {"aforo": {"bytes": {"in": 7}, "speed": 2.0, "max_rss_bytes": 9}}
    request_in(metrics).on_success((False, repr(report), 2.0))
    assert registry.get_sample_value("aforo_worker_video_bytes_total", {"direction": "in"}) == 7
    assert registry.get_sample_value("aforo_worker_ffmpeg_speed_ratio_sum") == 2.0
    assert registry.get_sample_value("aforo_worker_ffmpeg_max_rss_bytes") == 9


def test_a_round_of_the_visibility_keeper_is_counted_while_its_task_runs(registry, metrics):
    metrics.take({"kind": "extension", "result": "failed"})
    assert registry.get_sample_value("aforo_worker_visibility_extensions_total", {"result": "failed"}) == 1


def test_a_duplicate_is_no_success(registry, metrics):
    request_in(metrics).on_success((False, repr({"aforo": {"outcome": "duplicate"}}), 0.1))
    assert registry.get_sample_value("aforo_worker_tasks_total", {"task": "t", "outcome": "duplicate"}) == 1
    assert registry.get_sample_value("aforo_worker_tasks_total", {"task": "t", "outcome": "succeeded"}) == 0


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ValueError("x"), "failed"),
        (Retry("later", ValueError("x")), "retried"),
        (Reject("no", requeue=False), "rejected"),
        (ReturnedToQueue("superseded"), "superseded"),
        (ReturnedToQueue("retried"), "retried"),
        (ReturnedToQueue("a task of any app may say anything"), "rejected"),
        (Ignore(), "ignored"),
        (Terminated(15), "revoked"),
        (WorkerLostError("dead"), "lost"),
        (SystemExit(1), "lost"),
    ],
)
def test_each_way_to_end_is_counted_by_its_name_and_frees_the_slot(registry, metrics, error, outcome):
    request_in(metrics).on_success((True, raised(error), 1.0))
    assert registry.get_sample_value("aforo_worker_tasks_total", {"task": "t", "outcome": outcome}) == 1
    assert registry.get_sample_value("aforo_worker_slots_busy") == 0
    assert registry.get_sample_value("aforo_worker_children_lost_total", {"task": "t"}) == (outcome == "lost")


def hit_the_hard_limit(request):
    """End a request as Celery's pool does: it gives the job its error, tells of the time, and kills the child."""
    request.on_failure(raised(TimeLimitExceeded(10)))
    request.on_timeout(False, 10)
    request.on_failure(raised(WorkerLostError("killed for its time limit")))


def test_a_hard_time_limit_whose_message_comes_again_is_a_lost_child_and_no_failure(registry, metrics):
    for _ in range(4):
        hit_the_hard_limit(request_in(metrics))
    assert registry.get_sample_value("aforo_worker_tasks_total", {"task": "t", "outcome": "lost"}) == 4
    assert registry.get_sample_value("aforo_worker_tasks_total", {"task": "t", "outcome": "failed"}) == 0
    assert registry.get_sample_value("aforo_worker_failures_total", {"task": "t", "reason": "timeout"}) == 0


@pytest.mark.parametrize(("acks_late", "acks_on_timeout"), [(True, True), (False, False)])
def test_a_hard_time_limit_that_ends_the_task_for_good_is_one_failure(
    registry, metrics, monkeypatch, acks_late, acks_on_timeout
):
    task = SimpleNamespace(acks_late=acks_late, acks_on_timeout=acks_on_timeout)
    monkeypatch.setattr(StockRequest, "task", task)
    hit_the_hard_limit(request_in(metrics))
    assert registry.get_sample_value("aforo_worker_tasks_total", {"task": "t", "outcome": "failed"}) == 1
    assert registry.get_sample_value("aforo_worker_tasks_total", {"task": "t", "outcome": "lost"}) == 0
    assert registry.get_sample_value("aforo_worker_failures_total", {"task": "t", "reason": "timeout"}) == 1


def test_two_deliveries_of_one_task_are_two_slots_at_work_and_both_are_timed(registry, metrics):
    working, turned_away = request_in(metrics), request_in(metrics)
    turned_away.on_success((True, raised(ReturnedToQueue("duplicate")), 0.1))
    assert registry.get_sample_value("aforo_worker_slots_busy") == 1
    working.on_success((False, "<Foo object>", 2.0))
    assert registry.get_sample_value("aforo_worker_slots_busy") == 0
    labels = {"task": "t", "outcome": "succeeded"}
    assert registry.get_sample_value("aforo_worker_task_seconds_sum", labels) == 2.0


def test_a_task_that_is_revoked_as_it_begins_leaves_no_slot_busy(registry, metrics, monkeypatch):
    monkeypatch.setattr(StockRequest, "on_accepted", lambda request, *_: request._announce_revoked("terminated"))
    request_in(metrics)
    assert registry.get_sample_value("aforo_worker_slots_busy") == 0


def test_errors_that_are_lived_with_are_counted_by_what_was_being_done(registry, metrics):
    event_channel.use(Post(metrics.take))
    try:
        for action in Action:
            event_channel.count_survived(action)
    finally:
        event_channel.use(None)
    for action in Action:
        assert registry.get_sample_value("aforo_worker_handled_errors_total", {"action": action}) == 1


def test_a_report_nobody_can_read_is_counted_too(registry, metrics):
    post = Post(metrics.take)
    post.start()
    post._outbox.send(b"no JSON")
    count = lambda: registry.get_sample_value("aforo_worker_handled_errors_total", {"action": "report"})  # noqa: E731
    assert poll_until(count, "the report was counted") == 1


def test_what_sqs_would_not_delete_yet_is_shown(registry, metrics):
    metrics.pending_deletes(3)
    assert registry.get_sample_value("aforo_worker_pending_deletes") == 3


@pytest.mark.parametrize(
    ("error", "reason"), [(VideoFailed(Reason.TRUNCATED, "x"), "truncated"), (KeyError("x"), "internal")]
)
def test_a_failure_is_counted_by_the_reason_its_exception_names(registry, metrics, error, reason):
    request_in(metrics).on_success((True, raised(error), 1.0))
    assert registry.get_sample_value("aforo_worker_failures_total", {"task": "t", "reason": reason}) == 1


class Asked:
    """What Celery's `task.request` says of a message from SQS."""

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
    """Return what is reported of tasks that begin and end at the moments of `steps`: (begin, request, end)."""
    told, moment = [], [0.0]
    deliveries = Deliveries(lambda kind, **facts: told.append(facts), clock=lambda: moment[0])
    for begin, request, end in steps:
        moment[0] = begin
        deliveries.begin("t", request)
        moment[0] = end
        deliveries.end()
    return told


def test_a_message_that_was_there_all_the_time_makes_the_whole_gap_idle():
    told = delivered((10, Asked(sent_at=1), 20), (21.5, Asked(sent_at=2), 30))
    assert [facts.get("idle") for facts in told] == [None, 1.5]
    assert [facts["queue_wait"] for facts in told] == [9, 19.5]


def test_the_time_in_which_the_queue_was_empty_is_not_idle():
    told = delivered((10, Asked(sent_at=1), 20), (500.25, Asked(sent_at=500), 501))
    assert told[1]["idle"] == 0.25


def test_a_message_that_came_again_tells_no_wait_and_no_idle_time():
    told = delivered((10, Asked(sent_at=1), 20), (60, Asked(sent_at=2, receive_count=2), 61))
    assert told[1] == {"task": "t", "receive_count": 2}


def test_a_task_with_an_eta_waits_from_its_eta():
    told = delivered((100, Asked(sent_at=1, eta="1970-01-01T00:01:30+00:00"), 101))
    assert told[0]["queue_wait"] == 10


def test_a_broker_that_does_not_tell_is_helped_by_our_header():
    assert delivered((10, Asked(stamp=4.0), 11))[0]["queue_wait"] == 6
    assert "queue_wait" not in delivered((10, Asked(), 11))[0]


def test_a_child_reports_to_the_metrics_of_its_parent(registry, metrics):
    post = Post(metrics.take)
    post.start()
    child = os.fork()
    if child == 0:
        event_channel.use(post)
        with stage("download"):
            pass
        os._exit(0)
    os.waitpid(child, 0)
    count = lambda: registry.get_sample_value(  # noqa: E731
        "aforo_worker_stage_seconds_count", {"task": "", "stage": "download"}
    )
    assert poll_until(count, "the child's report") == 1


def test_a_parent_that_does_not_read_holds_no_task_up_and_the_loss_is_told(monkeypatch):
    monkeypatch.setattr(event_channel, "LONGEST_WAIT_SECONDS", 0.05)
    taken = []
    post = Post(taken.append)
    post._home = -1  # as in a child
    post._outbox.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    for _ in range(100):
        post.send({"kind": "stage"})
    lost = post._lost
    assert lost > 0
    post.start()
    poll_until(lambda: len(taken) == 100 - lost, "the reports that were sent")
    post.send({"kind": "stage"})
    poll_until(lambda: taken[-1]["lost"] == lost, "the number of those that were not")


def test_a_stage_whose_body_raises_is_timed_too(registry, metrics):
    event_channel.use(Post(metrics.take))
    try:
        with pytest.raises(ValueError, match="x"), stage("download"):
            raise ValueError("x")
    finally:
        event_channel.use(None)
    assert registry.get_sample_value("aforo_worker_stage_seconds_count", {"task": "", "stage": "download"}) == 1


def test_stage_names_that_are_no_words_or_too_many_become_other(registry, metrics):
    for name in ("../x", "A", "x" * 40, *(f"s{k}" for k in range(MOST_STAGES + 5))):
        metrics.take({"kind": "stage", "task": "t", "stage": name, "seconds": 1.0})
    counts = {s.labels["stage"] for m in registry.collect() for s in m.samples if "stage" in s.labels}
    assert counts == {"other", *(f"s{k}" for k in range(MOST_STAGES))}


def exported(registry):
    """Return every counter as (name, label values) → value."""
    families = (family for family in registry.collect() if family.type == "counter")
    return {(s.name, *s.labels.values()): s.value for f in families for s in f.samples if s.name.endswith("_total")}


def test_every_counter_of_a_known_task_is_there_before_its_first_event(registry, metrics):
    metrics.expect(["t", "celery.chord"])
    before = exported(registry)
    request_in(metrics).on_success((True, raised(VideoFailed(Reason.OOM, "x")), 1.0))
    request_in(metrics).on_success((True, raised(WorkerLostError("dead")), 1.0))
    metrics.take({"kind": "delivery", "task": "t", "receive_count": 2})
    after = exported(registry)
    assert before.keys() == after.keys()
    assert {name[1] for name in before if len(name) > 1} == {"t"}
    changed = {name for name in after if after[name] > before[name]} - {("aforo_worker_telemetry_cpu_seconds_total",)}
    assert changed == {
        ("aforo_worker_tasks_started_total", "t"),
        ("aforo_worker_tasks_total", "t", "failed"),
        ("aforo_worker_tasks_total", "t", "lost"),
        ("aforo_worker_failures_total", "t", "oom"),
        ("aforo_worker_children_lost_total", "t"),
        ("aforo_worker_redeliveries_total", "t"),
    }


def test_of_an_app_with_many_tasks_a_task_is_expected_when_it_starts(registry, metrics):
    metrics.expect(f"t{number}" for number in range(MOST_EXPECTED_TASKS + 1))
    assert ("aforo_worker_children_lost_total", "t1") not in exported(registry)
    metrics.started("t1")
    assert exported(registry)["aforo_worker_children_lost_total", "t1"] == 0
    assert ("aforo_worker_children_lost_total", "t2") not in exported(registry)


def test_polls_and_refusals_are_expected_of_our_transport_alone(registry, metrics):
    assert f"{SCHEME}:" == HARDENED
    metrics.expect(["t"])
    assert not [name for name in exported(registry) if name[0] == "aforo_worker_polls_total"]
    metrics.expect_polls()
    assert exported(registry)["aforo_worker_polls_total", "denied"] == 0
    assert exported(registry)["aforo_worker_invalid_messages_total", "bad_json"] == 0
    assert exported(registry)["aforo_worker_handled_errors_total", "delete"] == 0


def test_the_worker_tells_the_queues_it_reads():
    app = Celery(broker="sqs://")
    app.conf.task_queues = (Queue("a"), Queue("b"))
    assert _queues(app) == ["a", "b"]
    app.conf.broker_transport_options = {"queue_name_prefix": "team-"}
    assert _queues(app) == ["team-a", "team-b"]
