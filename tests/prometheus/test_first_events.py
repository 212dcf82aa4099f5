"""Alerts on counters fire on the first event, with the metrics that a worker really exports."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from celery import Celery
from celery.signals import worker_init
from prometheus_client import CollectorRegistry

from aforo.telemetry import event_channel, instrument
from aforo.telemetry.worker_metrics import WorkerMetrics
from core.settings import Settings
from core.video import TASK_NAME
from grafana.promtool import promtools

ALERTS = Path(__file__).parents[2] / "prometheus/alerts/workers.yml"
Samples = dict[str, float]


class Worker:
    """The metrics that a worker has after its start, without a worker process."""

    def __init__(self) -> None:
        self.app, self.registry = Celery(broker="sqs://", set_as_current=False), CollectorRegistry()
        self.app.task(name=TASK_NAME, shared=False)(_task)
        self.app.finalize()
        self.metrics = WorkerMetrics(self.registry)
        instrument.connect(self.app, self.metrics)
        worker_init.send(sender=self)

    def lose_a_child(self) -> None:
        self.metrics.started(TASK_NAME)
        self.metrics.ended(TASK_NAME, "lost", 1.0)

    def exported(self) -> Samples:
        """Return the series that the alert reads, as Prometheus would store them."""
        return {
            f"{sample.name}{{{_selected(sample.labels)}}}": sample.value
            for family in self.registry.collect()
            for sample in family.samples
            if sample.name == "aforo_worker_children_lost_total"
        }


@pytest.fixture
def worker() -> Iterator[Worker]:
    yield Worker()
    event_channel.use(None)


def test_the_first_death_of_a_task_process_fires(worker: Worker, tmp_path: Path) -> None:
    before = worker.exported()
    worker.lose_a_child()
    _promtool(tmp_path, before, worker.exported())


def _task() -> None:
    """Do nothing."""


def _promtool(folder: Path, before: Samples, after: Samples) -> None:
    """Evaluate `before` for two minutes, then `after`. The alert must fire only for `after`."""
    if not promtools(Settings.from_process().promtools):
        pytest.skip("promtool is not installed (Debian: apt-get install prometheus)")
    series = [{"series": name, "values": f"{before.get(name, '_')}x7 {value}x20"} for name, value in after.items()]
    looks = [_look("1m30s", []), _look("3m", [{"severity": "warning", "product": "aforo", "instance": "w"}])]
    test = {"interval": "15s", "input_series": series, "alert_rule_test": looks}
    file = folder / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(_bare_alert(folder))], "tests": [test]}))
    for promtool in promtools(Settings.from_process().promtools):
        done = subprocess.run([promtool, "test", "rules", str(file)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def _look(moment: str, labels: list[dict[str, str]]) -> dict[str, Any]:
    alerts = [{"exp_labels": each} for each in labels]
    return {"eval_time": moment, "alertname": "TaskProcessesDying", "exp_alerts": alerts}


def _bare_alert(folder: Path) -> Path:
    """Write the alert without its texts. Other tests compare the texts."""
    (group,) = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    rules = [rule | {"annotations": {}} for rule in group["rules"] if rule["alert"] == "TaskProcessesDying"]
    file = folder / "alerts.yml"
    file.write_text(yaml.safe_dump({"groups": [group | {"rules": rules}]}))
    return file


def _selected(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{value}"' for name, value in {**labels, "instance": "w"}.items())
