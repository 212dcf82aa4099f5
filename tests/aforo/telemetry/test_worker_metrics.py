"""The metrics of a worker: which series exist before their first event, and what each event changes."""

import os

import pytest

from aforo.sqs.hardening import SCHEME
from aforo.telemetry import event_channel, stages
from aforo.telemetry.instrument import HARDENED
from aforo.telemetry.label_values import Operation
from aforo.telemetry.stages import stage
from aforo.telemetry.worker_metrics import MAX_INITIAL_TASKS, MAX_PENDING_OUTCOMES, MAX_STAGES


def exported(registry):
    """Return the value of every counter by name and label values."""
    families = (family for family in registry.collect() if family.type == "counter")
    return {(s.name, *s.labels.values()): s.value for f in families for s in f.samples if s.name.endswith("_total")}


def test_a_visibility_heartbeat_in_a_child_is_counted_while_its_task_runs(registry, metrics, channel):
    child = os.fork()
    if child == 0:
        metrics.visibility_extended("failed")
        os._exit(0)
    os.waitpid(child, 0)
    channel.drain()
    assert registry.get_sample_value("aforo_worker_visibility_extensions_total", {"result": "failed"}) == 1


def test_handled_errors_are_counted_by_operation(registry, metrics, channel):
    for operation in Operation:
        event_channel.handled_error(operation)
        metrics.handled_error(operation)
    for operation in Operation:
        assert registry.get_sample_value("aforo_worker_handled_errors_total", {"operation": operation}) == 2


def test_the_observer_methods_change_their_metrics(registry, metrics):
    metrics.pending_deletes(3)
    metrics.polled("empty")
    metrics.invalid_message("bad_json")
    assert registry.get_sample_value("aforo_worker_pending_deletes") == 3
    assert registry.get_sample_value("aforo_worker_polls_total", {"result": "empty"}) == 1
    assert registry.get_sample_value("aforo_worker_last_poll_timestamp_seconds") > 0
    assert registry.get_sample_value("aforo_worker_invalid_messages_total", {"reason": "bad_json"}) == 1


def test_a_stage_whose_block_raises_is_measured_too(registry, channel):
    with pytest.raises(ValueError, match="x"), stage("download"):
        raise ValueError("x")
    assert registry.get_sample_value("aforo_worker_stage_seconds_count", {"task": "", "stage": "download"}) == 1


def test_a_stage_inside_another_has_its_time_to_itself(registry, channel, monkeypatch):
    seconds = iter([0.0, 1.0, 3.5, 4.0, 4.25, 10.0, 20.0, 21.0])
    monkeypatch.setattr(stages.time, "perf_counter", lambda: next(seconds))
    with stage("outer"):
        with stage("inner"):
            pass
        with stage("inner"):
            pass
    with stage("next"):
        pass
    spent = lambda name: registry.get_sample_value("aforo_worker_stage_seconds_sum", {"task": "", "stage": name})  # noqa: E731
    assert (spent("inner"), spent("outer"), spent("next")) == (2.75, 7.25, 1.0)


def test_stage_names_that_are_no_words_or_too_many_become_other(registry, metrics):
    for name in ("../x", "A", "x" * 40, *(f"s{k}" for k in range(MAX_STAGES + 5))):
        metrics.handle({"kind": "stage", "task": "t", "stage": name, "seconds": 1.0})
    labels = {s.labels["stage"] for m in registry.collect() for s in m.samples if "stage" in s.labels}
    assert labels == {"other", *(f"s{k}" for k in range(MAX_STAGES))}


def test_outcomes_of_killed_children_do_not_accumulate(metrics):
    for number in range(MAX_PENDING_OUTCOMES + 5):
        metrics.handle({"kind": "result", "delivery": str(number), "outcome": "duplicate"})
    assert len(metrics._outcomes) == MAX_PENDING_OUTCOMES
    assert "0" not in metrics._outcomes


def test_every_counter_of_a_known_task_exists_before_its_first_event(registry, metrics):
    metrics.initialise_tasks(["t", "celery.chord"])
    before = exported(registry)
    metrics.started("t")
    metrics.failed("t", "oom")
    metrics.ended("t", "failed", 1.0)
    metrics.started("t")
    metrics.ended("t", "lost", 1.0)
    metrics.handle({"kind": "delivery", "task": "t", "slot": 0, "receive_count": 2})
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


def test_in_an_app_with_many_tasks_the_counters_of_a_task_exist_from_its_start(registry, metrics):
    metrics.initialise_tasks(f"t{number}" for number in range(MAX_INITIAL_TASKS + 1))
    assert ("aforo_worker_children_lost_total", "t1") not in exported(registry)
    metrics.started("t1")
    assert exported(registry)["aforo_worker_children_lost_total", "t1"] == 0
    assert ("aforo_worker_children_lost_total", "t2") not in exported(registry)


def test_polls_and_invalid_messages_are_initialised_for_our_transport_alone(registry, metrics):
    assert f"{SCHEME}:" == HARDENED
    metrics.initialise_tasks(["t"])
    assert not [name for name in exported(registry) if name[0] == "aforo_worker_polls_total"]
    metrics.initialise_transport()
    assert exported(registry)["aforo_worker_polls_total", "denied"] == 0
    assert exported(registry)["aforo_worker_invalid_messages_total", "bad_json"] == 0
    assert exported(registry)["aforo_worker_handled_errors_total", "delete"] == 0
