"""Bandwidth of disk and S3: measured, stored for the workers of this machine, and nothing left behind."""

import json
import os
import subprocess
import sys
import time
from urllib.parse import urlsplit

import boto3
import pytest

from aforo import bandwidth as module
from aforo import stored_limits
from aforo.bandwidth import disk_limits, object_limits
from testing.emulator import KEYS, ROOT
from testing.tcp_proxy import TcpProxy


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


@pytest.fixture
def stored(tmp_path, monkeypatch):
    monkeypatch.setenv("AFORO_SPOOL_FOLDER", str(tmp_path / "spools"))
    return tmp_path / "spools" / stored_limits.FILE


def test_stored_limits_are_those_of_this_machine_and_of_the_last_day(stored):
    assert stored_limits.stored_limits() == {}
    stored_limits.store_limits({"disk_read": 5e6})
    assert stored_limits.stored_limits() == {"disk_read": 5e6}
    written = json.loads(stored.read_text())
    for changes in ({"measured_at": time.time() - stored_limits.VALID_SECONDS - 1}, {"boot": "other"}, {"limits": []}):
        stored.write_text(json.dumps(written | changes))
        assert stored_limits.stored_limits() == {}


def measure(folder, *options, **environment):
    command = [sys.executable, "-m", "aforo", "measure-limits", *options]
    environment = os.environ | KEYS | {"AFORO_SPOOL_FOLDER": str(folder / "spools")} | environment
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def test_the_command_measures_disk_and_bucket_and_leaves_nothing(tmp_path, emulator, stored):
    client = boto3.client("s3", endpoint_url=emulator, aws_access_key_id="test", aws_secret_access_key="test",
                          region_name="us-east-1")  # fmt: skip
    client.create_bucket(Bucket="theirs")
    (tmp_path / "disk").mkdir()
    shown = measure(tmp_path, "--folder", str(tmp_path / "disk"), "--s3", "s3://theirs/out", AWS_ENDPOINT_URL=emulator)
    assert (shown.returncode, shown.stderr) == (0, f"stored in {stored}; start the worker now\n")
    names = ["disk_write", "disk_read", "network_out", "network_in"]
    assert [line.partition(":")[0] for line in shown.stdout.splitlines()] == names
    limits = stored_limits.stored_limits()
    assert list(limits) == names and min(limits.values()) > 0
    assert client.list_objects_v2(Bucket="theirs")["KeyCount"] == 0
    assert list((tmp_path / "disk").iterdir()) == []


@pytest.mark.parametrize(("bucket", "code", "why"), [("theirs", 2, "s3://BUCKET"), ("s3://none/x", 3, "error: --s3 (")])
def test_a_bucket_that_cannot_be_measured_is_one_line(tmp_path, emulator, bucket, code, why):
    shown = measure(tmp_path, "--folder", str(tmp_path), "--s3", bucket, AWS_ENDPOINT_URL=emulator)
    assert shown.returncode == code
    assert why in shown.stderr
    assert "Traceback" not in shown.stderr
    assert not (tmp_path / "spools").exists()
