import json
import time
from dataclasses import replace
from urllib.parse import urlsplit

import boto3
import pytest

from core.settings import Settings
from testing.tcp_proxy import TcpProxy
from worker import bandwidth_limits as module
from worker.bandwidth_limits import bandwidth_limits, disk_limits, object_limits


def settings(folder, **changes):
    work = folder / "work"
    work.mkdir(exist_ok=True)
    settings = Settings.from_env({"AFORO_WORKER_WORK_PATH": str(work), **changes})
    return replace(settings, aws=replace(settings.aws, endpoint_url=changes.get("AWS_ENDPOINT_URL") or None))


class Bucket:
    """Fake S3 with a latency per object, and one bandwidth that all objects share."""

    def __init__(self, clock, latency_seconds, bytes_per_second):
        self.clock, self.latency, self.rate, self.sizes = clock, latency_seconds, bytes_per_second, {}

    def put_object(self, **scope):
        self.sizes[scope["Key"]] = len(scope["Body"])
        self.clock.spend(self.latency / 4 + len(scope["Body"]) / self.rate)

    def get_object(self, **scope):
        size = min(self.sizes[scope["Key"]], int(scope["Range"].rpartition("-")[2]) + 1)
        self.clock.spend(self.latency / 4 + size / self.rate)
        return {"Body": Body(size)}

    def delete_object(self, **scope):
        del self.sizes[scope["Key"]]


class Body:
    def __init__(self, size):
        self.size = size

    def iter_chunks(self, _chunk):
        return iter([bytes(self.size)])


class Clock:
    def __init__(self):
        self.now = 0.0

    def spend(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock.now)

    class OneAfterTheOther:
        def __init__(self, _size): ...
        def __enter__(self):
            return self

        def __exit__(self, *_error): ...
        def map(self, transfer, *arguments):
            return [transfer(*each) for each in zip(*arguments, strict=False)]

    monkeypatch.setattr(module, "ThreadPoolExecutor", OneAfterTheOther)
    return clock


def test_a_disk_is_measured_and_no_file_is_left(tmp_path):
    limits = disk_limits(tmp_path)
    assert limits["disk_write"] > 0 and limits["disk_read"] > 0
    assert list(tmp_path.iterdir()) == []


def test_the_rate_of_a_slow_line_is_measured(clock):
    bucket = Bucket(clock, latency_seconds=0.02, bytes_per_second=1e6)
    limits = object_limits(bucket, "b", "processed/")
    assert limits == {"network_out": pytest.approx(1e6, rel=0.05), "network_in": pytest.approx(1e6, rel=0.05)}
    assert bucket.sizes == {}


def test_latency_does_not_count_as_low_bandwidth(clock):
    """The latency is 1 s. It dominates small objects, so the objects must grow."""
    limits = object_limits(Bucket(clock, latency_seconds=1.0, bytes_per_second=50e6), "b", "processed/")
    assert limits["network_in"] == pytest.approx(50e6, rel=0.6)


def test_limits_are_measured_once_a_day_per_disk_and_bucket(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(module, "disk_limits", lambda folder: calls.append(folder) or {"disk_write": 7.0})
    cache = tmp_path / "work-bandwidth-limits.json"
    assert [bandwidth_limits(settings(tmp_path)) for _ in range(2)] == [{"disk_write": 7.0}] * 2
    assert len(calls) == 1
    old = json.loads(cache.read_text()) | {"measured_at": time.time() - module.VALID_SECONDS - 1}
    cache.write_text(json.dumps(old))
    bandwidth_limits(settings(tmp_path))
    assert len(calls) == 2
    cache.write_text("{not json")
    bandwidth_limits(settings(tmp_path))
    assert len(calls) == 3


def test_a_failed_measurement_leaves_its_limit_out_and_the_worker_starts(tmp_path, monkeypatch):
    def refuse(_folder):
        raise OSError("read-only")

    monkeypatch.setattr(module, "disk_limits", refuse)
    assert bandwidth_limits(settings(tmp_path)) == {}


@pytest.mark.parametrize(
    ("endpoint", "scope", "expected"),
    [("", "local", set()), ("", "all", {"bucket"}), ("http://127.0.0.1:1", "local", {"bucket"}), ("", "none", set())],
)
def test_a_real_bucket_is_written_to_only_with_the_setting_all(tmp_path, monkeypatch, endpoint, scope, expected):
    monkeypatch.setattr(module, "disk_limits", lambda _folder: {})
    monkeypatch.setattr(module, "object_limits", lambda *_place: {"bucket": 1.0})
    monkeypatch.setattr(module.aws, "client", lambda *_args, **_options: None)
    given = {"STORAGE_BACKEND": "s3", "AFORO_WORKER_BANDWIDTH_LIMITS": scope, "AWS_ENDPOINT_URL": endpoint}
    assert bandwidth_limits(settings(tmp_path, **given)).keys() == expected


def test_a_real_s3_behind_a_slow_line(emulator):
    where = urlsplit(emulator)
    with TcpProxy(where.hostname, where.port, bytes_per_second=1_000_000) as proxy:
        client = boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{proxy.port}",
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )
        client.create_bucket(Bucket="narrow")
        limits = object_limits(client, "narrow", "processed/")
        assert client.list_objects_v2(Bucket="narrow")["KeyCount"] == 0
    assert limits == {"network_out": pytest.approx(1e6, rel=0.3), "network_in": pytest.approx(1e6, rel=0.3)}
