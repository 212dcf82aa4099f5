from prometheus_client import CollectorRegistry

from worker.instrumentation import WorkerMetrics


def run_task(metrics, end, **fields):
    metrics.observe("task-received", {"uuid": "1", "name": "t"})
    metrics.observe("task-started", {"uuid": "1"})
    metrics.observe(end, {"uuid": "1", **fields})


def test_a_success_is_counted_with_its_stages_and_its_queue_wait():
    registry = CollectorRegistry()
    report = {"aforo": {"stages": {"fetch": 0.5}, "queue_wait": 3.0, "receive_count": 2, "bytes": {"in": 7}}}
    run_task(WorkerMetrics(registry), "task-succeeded", result=repr(report), runtime=2.0)
    value = registry.get_sample_value
    assert value("aforo_worker_tasks_total", {"task": "t", "outcome": "succeeded"}) == 1
    assert value("aforo_worker_stage_seconds_sum", {"task": "t", "stage": "fetch"}) == 0.5
    assert value("aforo_worker_queue_wait_seconds_sum", {"task": "t"}) == 3.0
    assert value("aforo_worker_redeliveries_total", {"task": "t"}) == 1
    assert value("aforo_worker_video_bytes_total", {"direction": "in"}) == 7
    assert value("aforo_worker_slots_busy") == 0


def test_a_failed_video_is_counted_by_its_reason():
    registry = CollectorRegistry()
    run_task(WorkerMetrics(registry), "task-failed", exception="VideoFailed(<Reason.TRUNCATED: 'truncated'>, 'x')")
    assert registry.get_sample_value("aforo_worker_failures_total", {"task": "t", "reason": "truncated"}) == 1


def test_a_lost_child_is_told_from_a_task_that_gave_its_message_back():
    registry = CollectorRegistry()
    metrics = WorkerMetrics(registry)
    metrics.child_lost("1", "t")
    run_task(metrics, "task-rejected", requeue=True)
    run_task(metrics, "task-rejected", requeue=True)
    assert registry.get_sample_value("aforo_worker_tasks_total", {"task": "t", "outcome": "lost"}) == 1
    assert registry.get_sample_value("aforo_worker_tasks_total", {"task": "t", "outcome": "rejected"}) == 1
    assert registry.get_sample_value("aforo_worker_children_lost_total", {"task": "t"}) == 1


def test_the_result_of_somebody_elses_task_is_no_report():
    registry = CollectorRegistry()
    run_task(WorkerMetrics(registry), "task-succeeded", result="<Foo object>", runtime=1.0)
    assert registry.get_sample_value("aforo_worker_tasks_total", {"task": "t", "outcome": "succeeded"}) == 1
