"""What a worker says at its start of a queue and a machine that are not quite right."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from aforo.telemetry.worker_metrics import WorkerMetrics
from core.queue_contract import Finding, Level
from core.settings import Settings
from core.storage import StorageUnavailable
from worker import __main__ as program
from worker import app


def said(caplog):
    return [record.getMessage() for record in caplog.records]


def test_what_is_not_as_it_should_be_is_logged_with_what_to_do(caplog, monkeypatch):
    monkeypatch.setattr(program, "missing_protections", lambda: ("there is no setpriv",))
    findings = (
        Finding("visibility timeout", Level.OK, "it is 60 s"),
        Finding("leftover messages", Level.WARN, "it holds messages: 3 visible", "let the worker drain them"),
    )
    program.warn(findings, "videos")
    assert said(caplog) == [
        "queue videos, leftover messages: it holds messages: 3 visible; let the worker drain them",
        "protection missing on this machine: there is no setpriv",
    ]


def test_a_storage_that_cannot_be_swept_is_counted_and_keeps_no_worker_from_starting(monkeypatch, tmp_path, caplog):
    class Storage:
        def sweep(self, _prefix, _older_than_seconds):
            raise StorageUnavailable("it is away")

    monkeypatch.setattr(app, "open_storage", lambda _settings: Storage())
    registry = CollectorRegistry()
    made = app.WorkerApp(None, registry, WorkerMetrics(registry), None, "url")
    app.sweep(made, Settings.from_env({"AFORO_WORKER_WORK_PATH": str(tmp_path)}))
    assert registry.get_sample_value("aforo_worker_handled_errors_total", {"operation": "clean_up"}) == 1
    assert said(caplog) == [
        "could not look for abandoned publications: storage; it is away; " + StorageUnavailable.remedy
    ]
