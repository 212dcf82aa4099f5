"""Addresses of workers while Prometheus answers, and while it does not."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from collector.metrics import CollectorMetrics
from collector.workers import REFRESH_SECONDS, Workers
from core import promql
from core.errors import EnvironmentFault


def test_the_last_addresses_stay_and_one_line_says_that_prometheus_does_not_answer(monkeypatch, caplog):
    answers = [["a:1", "b:1"], *[EnvironmentFault("Prometheus", "it does not answer", "start it")] * 3, ["c:1"]]

    def targets(_url, _jobs):
        answer = answers.pop(0)
        if isinstance(answer, EnvironmentFault):
            raise answer
        return answer

    monkeypatch.setattr(promql, "targets", targets)
    now = [0.0]
    registry, seen = CollectorRegistry(), []
    workers = Workers("http://127.0.0.1:9", ["fixed:2"], CollectorMetrics(registry), lambda: now[0])
    for _ in range(5):
        seen.append(workers.addresses())
        now[0] += REFRESH_SECONDS
    assert seen == [("a:1", "b:1", "fixed:2")] * 4 + [("c:1", "fixed:2")]
    assert registry.get_sample_value("aforo_collector_errors_total", {"reason": "prometheus"}) == 3
    assert len(caplog.records) == 1
    assert "the last known addresses of workers are read" in caplog.text
