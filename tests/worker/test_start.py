"""Start of a worker: warnings about queue and machine, and errors that do not stop it."""

from __future__ import annotations

from types import SimpleNamespace

from prometheus_client import CollectorRegistry
from sqlalchemy.exc import OperationalError

from aforo.telemetry.worker_metrics import WorkerMetrics
from core.queue_contract import Finding, Level
from core.settings import Settings
from core.storage import StorageUnavailable
from worker import __main__ as program
from worker import app
from worker.outage_log import OutageLog


def logged(caplog):
    return [record.getMessage() for record in caplog.records]


def test_non_fatal_problems_are_logged_with_a_remedy(caplog, monkeypatch):
    monkeypatch.setattr(program, "missing_protections", lambda: ("there is no setpriv",))
    findings = (
        Finding("visibility timeout", Level.OK, "it is 60 s"),
        Finding("leftover messages", Level.WARN, "it holds messages: 3 visible", "let the worker drain them"),
    )
    program.warn(findings, "videos")
    assert logged(caplog) == [
        "queue videos, leftover messages: it holds messages: 3 visible; let the worker drain them",
        "this machine lacks a protection: there is no setpriv",
    ]


def test_a_failed_storage_cleanup_is_counted_and_the_worker_starts(monkeypatch, tmp_path, caplog):
    class Storage:
        def abort_uploads(self, _prefix, _older_than_seconds):
            raise StorageUnavailable("it is away")

    monkeypatch.setattr(app, "open_storage", lambda _settings: Storage())
    registry = CollectorRegistry()
    parts = app.WorkerApp(None, registry, WorkerMetrics(registry), None, "url", OutageLog())
    app.clean_up(parts, Settings.from_env({"AFORO_WORKER_WORK_PATH": str(tmp_path)}))
    assert registry.get_sample_value("aforo_worker_handled_errors_total", {"operation": "clean_up"}) == 1
    assert logged(caplog) == ["could not abort abandoned uploads: storage; it is away; " + StorageUnavailable.remedy]


def test_a_heartbeat_that_the_database_refuses_is_counted_and_the_worker_goes_on(monkeypatch, caplog):
    class Claims:
        def write_heartbeat(self, _owner):
            raise OperationalError("INSERT", {}, Exception("database is locked"))

    starts, timers = [], []
    monkeypatch.setattr(app, "_claims", lambda _settings, forks: Claims())
    monkeypatch.setattr(app, "worker_ready", SimpleNamespace(connect=lambda start, weak: starts.append(start)))
    registry = CollectorRegistry()
    parts = app.WorkerApp(None, registry, WorkerMetrics(registry), None, "url", OutageLog())
    app.write_heartbeats(parts, Settings.from_env({}))
    starts[0](SimpleNamespace(hub=SimpleNamespace(call_repeatedly=lambda *timer: timers.append(timer))))
    assert registry.get_sample_value("aforo_worker_handled_errors_total", {"operation": "write_heartbeat"}) == 1
    assert len(timers) == 1
    assert "without heartbeats" in caplog.text
