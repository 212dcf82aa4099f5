"""F27, F28: S3 denies, fails, stalls, corrupts or disconnects (the emulator behind a proxy)."""

from __future__ import annotations

import signal
import time

import boto3
import pytest
from botocore.config import Config

from core.storage import AccessDenied, ObjectMissing, S3Storage, StorageUnavailable
from testing.clips import H264, make
from testing.emulator import KEY, REGION
from testing.fault_proxy import Fault
from testing.polling import until

pytestmark = pytest.mark.faults
BUCKET = "aforo-videos"
CONTENT = b"0123456789abcdef" * 65536  # 1 MiB
LARGE_BYTES = 40 << 20  # three parts
REFUSALS = {
    "404": (Fault("s3_error", 404, "NoSuchKey"), ObjectMissing, 2),
    "403": (Fault("s3_error", 403, "AccessDenied"), AccessDenied, 2),
    "500": (Fault("s3_error", 500, "InternalError"), StorageUnavailable, None),
    "503": (Fault("s3_error", 503, "SlowDown"), StorageUnavailable, None),
    "stalled": (Fault("hang"), StorageUnavailable, None),
    "reset": (Fault("reset"), StorageUnavailable, None),
    "shorter": (Fault("shorten"), StorageUnavailable, None),
    "cut": (Fault("cut"), StorageUnavailable, None),
}
REASONS = {ObjectMissing: "storage_missing", AccessDenied: "storage_denied", StorageUnavailable: "storage_unavailable"}


def s3_client(endpoint_url: str):
    config = Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 2})
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": KEY, "region_name": REGION}
    return boto3.client("s3", endpoint_url=endpoint_url, config=config, **keys)


@pytest.fixture
def storage(emulator, proxy):
    s3_client(emulator).create_bucket(Bucket=BUCKET)
    return S3Storage(s3_client(proxy.url), BUCKET)


@pytest.fixture
def source(tmp_path):
    file = tmp_path / "source.bin"
    file.write_bytes(CONTENT)
    return file


@pytest.mark.parametrize("name", REFUSALS)
def test_a_failed_fetch_has_a_typed_reason_and_leaves_no_file(name, storage, source, proxy, tmp_path):
    fault, kind, calls = REFUSALS[name]
    stored, target = storage.upload(source, f"uploads/{name}.mp4"), tmp_path / "target.bin"
    started = time.monotonic()
    proxy.inject(fault, "GET")
    if name in {"404", "403"}:
        proxy.inject(fault, "HEAD")
    with pytest.raises(kind):
        storage.fetch(stored.key, target)
    requests = proxy.count("GET", started) + proxy.count("HEAD", started)
    assert calls is None or requests < calls  # a permanent denial is not retried
    assert not target.exists()
    proxy.heal()
    assert storage.fetch(stored.key, target) == stored


def test_a_corrupted_answer_is_rejected_if_the_object_has_a_checksum(storage, source, proxy, tmp_path):
    stored = storage.upload(source, "uploads/corrupt.mp4")
    proxy.inject(Fault("corrupt"), "GET")
    with pytest.raises(StorageUnavailable, match="checksum"):
        storage.fetch(stored.key, tmp_path / "target.bin")
    assert not (tmp_path / "target.bin").exists()


def test_without_a_checksum_boto3_accepts_a_corrupted_answer_our_digest_detects(storage, emulator, proxy, tmp_path):
    old = Config(request_checksum_calculation="when_required")
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": KEY, "region_name": REGION}
    boto3.client("s3", endpoint_url=emulator, config=old, **keys).put_object(Bucket=BUCKET, Key="old", Body=CONTENT)
    whole = storage.fetch("old", tmp_path / "whole.bin")
    proxy.inject(Fault("corrupt"), "GET")
    taken = storage.fetch("old", tmp_path / "taken.bin")
    assert (taken.size_bytes, taken.sha256 == whole.sha256) == (whole.size_bytes, False)


def test_an_interrupted_upload_leaves_no_object_and_the_cleanup_aborts_it(storage, emulator, tmp_path):
    large = tmp_path / "large.bin"
    large.write_bytes(b"x" * LARGE_BYTES)
    direct = S3Storage(s3_client(emulator), BUCKET)
    upload = direct.client.create_multipart_upload(Bucket=BUCKET, Key="processed/run/v.1.mp4")
    part = {"Bucket": BUCKET, "Key": "processed/run/v.1.mp4", "UploadId": upload["UploadId"]}
    direct.client.upload_part(**part, PartNumber=1, Body=b"x" * (6 << 20))
    assert not direct.exists("processed/run/v.1.mp4")
    assert direct.abort_uploads("processed/", older_than_seconds=3600) == 0
    assert uploads(direct) == ["processed/run/v.1.mp4"]
    assert direct.abort_uploads("processed/", older_than_seconds=0) == 1
    assert uploads(direct) == []


def test_a_lost_executions_upload_is_aborted_with_its_object(storage, emulator):
    direct = S3Storage(s3_client(emulator), BUCKET)
    keys = ["processed/run/v.2.mp4", "processed/run/v.2.mp4.1.mp4", "processed/run/v.3.mp4"]
    for key in keys:
        direct.client.create_multipart_upload(Bucket=BUCKET, Key=key)
    direct.delete(keys[0])
    assert uploads(direct) == keys[1:]
    for key in keys[1:]:
        direct.delete(key)


def test_an_upload_whose_parts_fail_is_aborted_by_itself(storage, proxy, emulator, tmp_path):
    large = tmp_path / "large.bin"
    large.write_bytes(b"x" * LARGE_BYTES)
    proxy.inject(Fault("s3_error", 503, "SlowDown"), "PUT")
    with pytest.raises(StorageUnavailable):
        storage.upload(large, "processed/run/w.1.mp4")
    proxy.heal()
    direct = S3Storage(s3_client(emulator), BUCKET)
    assert not direct.exists("processed/run/w.1.mp4")
    until(lambda: uploads(direct) == [], "its upload is aborted")


def test_our_worker_on_s3_logs_the_error_of_the_storage(rig, clips, storage):
    with rig(STORAGE_BACKEND="s3", AFORO_WORKER_MAX_EXECUTIONS="1") as it:
        it.start().await_ready()
        stored = storage.upload(clips(1), "uploads/s3.mp4")
        it.send(stored, run_id="whole")
        it.await_states(done=1)
        storage.delete(stored.key)
        it.send(stored, run_id="missing")
        it.await_states(done=1, failed_storage_missing=1)
        assert storage.exists(str(it.videos()[-1].output_key))


@pytest.mark.timeout(240)
def test_our_worker_records_a_reason_for_each_storage_failure_and_keeps_running(rig, clips, storage, proxy):
    with rig(endpoint_url=proxy.url, STORAGE_BACKEND="s3", AFORO_WORKER_MAX_EXECUTIONS="1") as it:
        worker = it.start(altered="brief_s3_wait").await_ready()
        stored = storage.upload(clips(1), "uploads/s3.mp4")
        for name, (fault, _, _) in REFUSALS.items():
            for method in ("GET", "HEAD") if fault.kind not in {"shorten", "cut"} else ("GET",):
                proxy.inject(fault, method)
            it.send(stored, run_id=name)
            until(it.has_ended, f"the video of {name} has ended", seconds=60)
            proxy.heal()
        assert {v.run_id: v.reason for v in it.videos()} == {n: REASONS[kind] for n, (_, kind, _) in REFUSALS.items()}
        it.send(stored, run_id="healed")
        until(lambda: it.states()["done"] == 1, "the storage works again")
        assert worker.is_alive()
        it.await_empty()
        assert not [file for file in it.work_path.rglob("*") if file.is_file() and file.name != ".lock"]


@pytest.fixture(scope="session")
def noise(tmp_path_factory):
    """Return a video whose output is larger than one part of a multipart upload."""
    picture = "color=gray:size=1280x720:rate=10:duration=4,noise=alls=100:allf=t"
    return make(tmp_path_factory.mktemp("noise") / "noise.mp4", "-f", "lavfi", "-i", picture, *H264)


@pytest.fixture
def cut_upload(rig, noise, storage, emulator, proxy):
    """Return a rig whose worker was killed while it uploaded part 2 of its output."""
    with rig(endpoint_url=proxy.url, STORAGE_BACKEND="s3") as it:
        worker = it.start(altered="small_parts").await_ready()
        stored = storage.upload(noise, "uploads/noise.mp4")
        started = time.monotonic()
        proxy.inject(Fault("latency", seconds=1), "PUT")
        it.send(stored)
        until(lambda: proxy.count("PUT", started) >= 2, "part 2 is on its way", seconds=60)
        worker.send(signal.SIGKILL)
        worker.await_end()
        proxy.heal()
        assert [key.partition("/")[0] for key in uploads(S3Storage(s3_client(emulator), BUCKET))] == ["processed"]
        yield it


def test_a_worker_killed_in_an_upload_leaves_one_that_the_next_execution_aborts(cut_upload, emulator):
    direct = S3Storage(s3_client(emulator), BUCKET)
    cut_upload.start().await_ready()
    cut_upload.await_states(done=1, seconds=60)
    (video,) = cut_upload.videos()
    assert direct.exists(str(video.output_key))
    assert not direct.exists(f"processed/{video.run_id}/{video.id}.1.mp4")
    assert uploads(direct) == []


def test_an_upload_without_a_later_execution_is_aborted_at_a_start(cut_upload, emulator):
    direct = S3Storage(s3_client(emulator), BUCKET)
    cut_upload.queue.client.purge_queue(QueueUrl=cut_upload.queue.url)
    cut_upload.start().await_ready().send(signal.SIGTERM)
    cut_upload.workers[-1].await_end()
    assert len(uploads(direct)) == 1  # too young: another node may be uploading it
    cut_upload.start(altered="aborts_young_uploads").await_ready()
    assert uploads(direct) == []


def test_a_replaced_source_is_corrupt_even_if_it_is_a_complete_video(rig, clips):
    with rig() as it:
        stored = it.store(clips(1))
        it.store(clips(2))
        it.start().await_ready()
        it.send(stored)
        it.await_states(failed_corrupt=1)


def uploads(storage: S3Storage) -> list[str]:
    """Return the keys of multipart uploads that are neither complete nor aborted."""
    return [u["Key"] for u in storage.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])]
