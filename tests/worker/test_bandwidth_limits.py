import json
import time
from dataclasses import replace

import pytest

from aforo.stored_limits import VALID_SECONDS
from core.settings import Settings
from worker import bandwidth_limits as module
from worker.bandwidth_limits import bandwidth_limits


def settings(folder, **changes):
    work = folder / "work"
    work.mkdir(exist_ok=True)
    settings = Settings.from_env({"AFORO_WORKER_WORK_PATH": str(work), **changes})
    return replace(settings, aws=replace(settings.aws, endpoint_url=changes.get("AWS_ENDPOINT_URL") or None))


def test_limits_are_measured_once_a_day_per_disk_and_bucket(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(module, "disk_limits", lambda folder: calls.append(folder) or {"disk_write": 7.0})
    cache = tmp_path / "work-bandwidth-limits.json"
    assert [bandwidth_limits(settings(tmp_path), print) for _ in range(2)] == [{"disk_write": 7.0}] * 2
    assert len(calls) == 1
    old = json.loads(cache.read_text()) | {"measured_at": time.time() - VALID_SECONDS - 1}
    cache.write_text(json.dumps(old))
    bandwidth_limits(settings(tmp_path), print)
    assert len(calls) == 2
    cache.write_text("{not json")
    bandwidth_limits(settings(tmp_path), print)
    assert len(calls) == 3


def test_a_failed_measurement_is_counted_and_leaves_its_limit_out(tmp_path, monkeypatch):
    errors = []

    def refuse(_folder):
        raise OSError("read-only")

    monkeypatch.setattr(module, "disk_limits", refuse)
    assert bandwidth_limits(settings(tmp_path), errors.append) == {}
    assert errors == ["measure_limits"]


@pytest.mark.parametrize(
    ("endpoint", "scope", "expected"),
    [("", "local", set()), ("", "all", {"bucket"}), ("http://127.0.0.1:1", "local", {"bucket"}), ("", "none", set())],
)
def test_a_real_bucket_is_written_to_only_with_the_setting_all(tmp_path, monkeypatch, endpoint, scope, expected):
    monkeypatch.setattr(module, "disk_limits", lambda _folder: {})
    monkeypatch.setattr(module, "object_limits", lambda *_place: {"bucket": 1.0})
    monkeypatch.setattr(module.aws, "client", lambda *_args, **_options: None)
    given = {"STORAGE_BACKEND": "s3", "AFORO_WORKER_BANDWIDTH_LIMITS": scope, "AWS_ENDPOINT_URL": endpoint}
    assert bandwidth_limits(settings(tmp_path, **given), print).keys() == expected
