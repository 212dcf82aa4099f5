import json
import time
from dataclasses import replace
from urllib.parse import urlsplit

import boto3
import pytest

from core.settings import Settings
from tests.tcp_proxy import TcpProxy
from worker import bandwidth_limits as measuring
from worker.bandwidth_limits import ceilings, disk_ceilings, object_ceilings


def settings(folder, **changes):
    work = folder / "work"
    work.mkdir(exist_ok=True)
    made = Settings.from_env({"AFORO_WORKER_WORK_PATH": str(work), **changes})
    return replace(made, aws=replace(made.aws, endpoint_url=changes.get("AWS_ENDPOINT_URL") or None))


class Bucket:
    """An S3 that needs `seconds` an object plus one for every `bytes_per_second`, all objects sharing the line."""

    def __init__(self, clock, latency_seconds, bytes_per_second):
        self.clock, self.latency, self.rate, self.sizes = clock, latency_seconds, bytes_per_second, {}

    def put_object(self, **asked):
        self.sizes[asked["Key"]] = len(asked["Body"])
        self.clock.spend(self.latency / 4 + len(asked["Body"]) / self.rate)

    def get_object(self, **asked):
        size = min(self.sizes[asked["Key"]], int(asked["Range"].rpartition("-")[2]) + 1)
        self.clock.spend(self.latency / 4 + size / self.rate)
        return {"Body": Body(size)}

    def delete_object(self, **asked):
        del self.sizes[asked["Key"]]


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
    found = Clock()
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: found.now)

    class OneAfterTheOther:
        def __init__(self, _size): ...
        def __enter__(self):
            return self

        def __exit__(self, *_error): ...
        def map(self, transfer, *arguments):
            return [transfer(*each) for each in zip(*arguments, strict=False)]

    monkeypatch.setattr(measuring, "ThreadPoolExecutor", OneAfterTheOther)
    return found


def test_a_disk_is_measured_and_nothing_is_left_on_it(tmp_path):
    found = disk_ceilings(tmp_path)
    assert found["disk_write"] > 0 and found["disk_read"] > 0
    assert list(tmp_path.iterdir()) == []


def test_a_narrow_line_is_measured_to_its_rate(clock):
    bucket = Bucket(clock, latency_seconds=0.02, bytes_per_second=1e6)
    found = object_ceilings(bucket, "b", "processed/")
    assert found == {"network_out": pytest.approx(1e6, rel=0.05), "network_in": pytest.approx(1e6, rel=0.05)}
    assert bucket.sizes == {}


def test_a_distant_storage_is_not_taken_for_a_narrow_one(clock):
    """The first objects are so small that the latency of 1 s hides the rate; they grow until it does not."""
    found = object_ceilings(Bucket(clock, latency_seconds=1.0, bytes_per_second=50e6), "b", "processed/")
    assert found["network_in"] == pytest.approx(50e6, rel=0.6)


def test_ceilings_are_measured_once_a_day_for_a_place(tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(measuring, "disk_ceilings", lambda folder: calls.append(folder) or {"disk_write": 7.0})
    kept = tmp_path / "work-ceilings.json"
    assert [ceilings(settings(tmp_path)) for _ in range(2)] == [{"disk_write": 7.0}] * 2
    assert len(calls) == 1
    old = json.loads(kept.read_text()) | {"measured_at": time.time() - measuring.VALID_SECONDS - 1}
    kept.write_text(json.dumps(old))
    ceilings(settings(tmp_path))
    assert len(calls) == 2
    kept.write_text("{not json")
    ceilings(settings(tmp_path))
    assert len(calls) == 3


def test_what_cannot_be_measured_is_absent_and_stops_nothing(tmp_path, monkeypatch):
    def refuse(_folder):
        raise OSError("read-only")

    monkeypatch.setattr(measuring, "disk_ceilings", refuse)
    assert ceilings(settings(tmp_path)) == {}


@pytest.mark.parametrize(
    ("endpoint", "asked", "expected"),
    [("", "local", set()), ("", "all", {"bucket"}), ("http://127.0.0.1:1", "local", {"bucket"}), ("", "none", set())],
)
def test_a_real_bucket_is_written_to_only_when_asked(tmp_path, monkeypatch, endpoint, asked, expected):
    monkeypatch.setattr(measuring, "disk_ceilings", lambda _folder: {})
    monkeypatch.setattr(measuring, "object_ceilings", lambda *_place: {"bucket": 1.0})
    monkeypatch.setattr(measuring.aws, "client", lambda *_args, **_options: None)
    given = {"STORAGE_BACKEND": "s3", "AFORO_WORKER_CEILINGS": asked, "AWS_ENDPOINT_URL": endpoint}
    assert ceilings(settings(tmp_path, **given)).keys() == expected


def test_a_real_s3_behind_a_narrow_line(emulator):
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
        found = object_ceilings(client, "narrow", "processed/")
        assert client.list_objects_v2(Bucket="narrow")["KeyCount"] == 0
    assert found == {"network_out": pytest.approx(1e6, rel=0.3), "network_in": pytest.approx(1e6, rel=0.3)}
