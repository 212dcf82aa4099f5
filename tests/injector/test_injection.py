"""End-to-end tests of the injector: a real process, a real queue, and a worker's /metrics with two slots."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys

import boto3
import pytest
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from core.errors import EnvironmentFault
from core.ffmpeg.profiles import PROFILES, Profile, find_profile
from core.run import Mode
from core.settings import Settings
from core.size_mix import parse_sizes
from injector import injection
from injector.injection import Request, print_unjudged_stability, require_space
from testing.emulator import KEY, REGION, ROOT
from testing.polling import until
from testing.ports import free_port

#: the injector, with a run that is stuck after a second
SOON_STUCK = """
from core import cli
from injector import injection
injection.Injection.stuck_seconds = lambda self: 1.0
from injector.__main__ import main
cli.run(main, "python -m injector")
"""


class Injector:
    """Run `python -m injector` in its own folder."""

    def __init__(self, folder, queue, metrics_port):
        self.folder, self.queue = folder, queue
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "AFORO_"))}
        self.environment = inherited | {
            "PYTHONPATH": str(ROOT),
            "AWS_ENDPOINT_URL": queue.endpoint_url,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": KEY,
            "SQS_QUEUE_NAME": queue.name,
            "AFORO_DATABASE_URL": f"sqlite:///{folder}/aforo.db",
            "AFORO_WORKER_METRICS_PORT": str(metrics_port),
        }

    def start(self, *options, program=("-m", "injector")):
        command = [sys.executable, *program, *options]
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return subprocess.Popen(command, cwd=self.folder, env=self.environment, **pipes)

    def statuses(self):
        if not (self.folder / "aforo.db").exists():
            return []
        with sqlite3.connect(self.folder / "aforo.db") as database:
            try:
                return [row[0] for row in database.execute("SELECT status FROM runs")]
            except sqlite3.OperationalError:
                return []


@pytest.fixture
def injector(tmp_path, sqs_queue):
    port, registry = free_port(), CollectorRegistry()
    Gauge("aforo_worker_slots", "Slots.", registry=registry).set(2)
    Gauge("aforo_worker_info", "Facts.", ("version",), registry=registry).labels("x").set(1)
    server, _ = start_http_server(port, "127.0.0.1", registry)
    yield Injector(tmp_path, sqs_queue(), port)
    server.shutdown()


@pytest.mark.parametrize(
    "options",
    [
        ("--count", "100", "--mode", "sustained", "--rate", "60"),  # while it sends
        ("--count", "2", "--monitor"),  # while it watches
    ],
)
def test_ctrl_c_prints_one_line_and_the_run_is_interrupted(injector, options):
    process = injector.start("--size", "300KB", "--run-id", "r", *options)
    until(lambda: injector.statuses() == ["running"] and injector.queue.counts()["visible"], "a sent task")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr.splitlines()[-1].startswith("error: interrupted; Ctrl-C was pressed")
    assert "Traceback" not in stderr
    assert injector.statuses() == ["interrupted"]
    assert json.loads((injector.folder / "results/runs/r/run.json").read_text())["status"] == "interrupted"


def test_a_run_whose_videos_no_longer_change_ends_as_interrupted_after_its_timeout(injector):
    process = injector.start("--size", "300KB", "--count", "2", "--monitor", program=("-c", SOON_STUCK))
    _, stderr = process.communicate(timeout=60)
    assert "note: nothing changed for 1 s; 2 videos never ended, and whether the queue lost" in " ".join(stderr.split())
    assert (process.returncode, injector.statuses()) == (0, ["interrupted"])


@pytest.mark.parametrize(("deadline", "seconds"), [("5", 1800.0), ("1800", 2100.0), ("36000", 36300.0)])
def test_the_timeout_of_a_run_is_longer_than_a_video_may_take(deadline, seconds):
    settings = Settings.from_env({"AFORO_WORKER_DEADLINE_SECONDS": deadline})
    assert injection.Injection(settings, *[None] * 6).stuck_seconds() == seconds


def test_ctrl_c_during_the_encoding_leaves_no_run_and_no_partial_video(injector):
    process = injector.start("--count", "1", "--size", "200MB")
    making = injector.folder / "videos/media"
    until(lambda: list(making.glob(".making-*/*")), "ffmpeg at work")
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert (process.returncode, len(stderr.strip().splitlines())) == (130, 1)
    assert injector.statuses() == []
    assert [path.name for path in making.iterdir()] == [".lock"]


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("vacío.mp4", b"", "it is empty"),
        ("视频 😀.mp4", b"no video " * 999, "it is no video that the worker accepts: not_media: "),
    ],
)
def test_a_file_that_is_no_video_is_a_one_line_error_and_nothing_is_sent(injector, name, content, why):
    (injector.folder / name).write_bytes(content)
    process = injector.start("--count", "1", "--file", name)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr.count("\n")) == (2, 1)
    assert stderr.startswith(f"error: FILE ({name}); {why}")
    assert (injector.statuses(), injector.queue.counts()["visible"]) == ([], 0)


def test_a_database_error_during_the_run_is_one_line_and_ends_the_run(injector):
    process = injector.start("--size", "300KB", "--count", "100", "--mode", "sustained", "--rate", "60")
    until(lambda: injector.queue.counts()["visible"], "a sent task")
    with sqlite3.connect(injector.folder / "aforo.db") as database:
        database.execute("DROP TABLE executions")
        database.execute("DROP TABLE videos")
    _, stderr = process.communicate(timeout=30)
    assert stderr.startswith("error: database (sqlite:///")
    assert stderr.endswith("; no such table: videos; check AFORO_DATABASE_URL and the server\n")
    assert process.returncode == 3
    assert injector.statuses() == ["failed"]


def test_a_missing_aws_profile_is_a_one_line_error(injector):
    injector.environment |= {"AWS_PROFILE": "nobody", "AWS_CONFIG_FILE": "none"}
    process = injector.start("--count", "1")
    _, stderr = process.communicate(timeout=30)
    assert stderr.startswith("error: AWS settings; The config profile (nobody) could not be found; ")
    assert (process.returncode, stderr.count("\n")) == (3, 1)


def test_a_missing_object_is_a_one_line_error(injector):
    bucket = f"b-{injector.queue.name}"
    injector.environment |= {"STORAGE_BACKEND": "s3", "AWS_S3_BUCKET": bucket}
    keys = {"aws_access_key_id": KEY, "aws_secret_access_key": KEY, "region_name": REGION}
    boto3.client("s3", endpoint_url=injector.queue.endpoint_url, **keys).create_bucket(Bucket=bucket)
    process = injector.start("--count", "1", "--file", f"s3://{bucket}/typo.mp4")
    _, stderr = process.communicate(timeout=60)
    assert stderr == f"error: FILE (s3://{bucket}/typo.mp4); there is no such object; give s3://bucket/key of a video\n"
    assert process.returncode == 2


def test_a_disk_without_room_for_the_outputs_is_an_error_before_the_first_send(tmp_path, monkeypatch):
    request = Request(100, parse_sizes("1GB"), Mode.BURST, None, None, None, PROFILES["full"], None, "")
    monkeypatch.setattr(injection.shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**12, 0, 19 * 10**9))
    settings = Settings.from_env({"UPLOAD_PATH": str(tmp_path)})
    with pytest.raises(EnvironmentFault, match=r"^disk \(19GB free\); the outputs of 100 videos need 20GB or more"):
        require_space(settings, request, 100 * 10**9)
    require_space(settings, request, 100 * 10**8)


def test_the_disk_of_a_storage_folder_that_does_not_exist_yet_is_checked(tmp_path):
    request = Request(10**6, None, Mode.BURST, None, "x.mp4", None, PROFILES["full"], None, "")
    settings = Settings.from_env({"UPLOAD_PATH": str(tmp_path / "not/yet")})
    require_space(settings, request, 10**6)
    with pytest.raises(EnvironmentFault, match=r"^disk \("):
        require_space(settings, request, 10**21)


@pytest.mark.parametrize(
    ("mode", "count", "slots", "needed"),
    [
        (Mode.SUSTAINED, 12, 4, 60),
        (Mode.SUSTAINED, 100, 32, 321),
        (Mode.SUSTAINED, 60, 4, None),
        (Mode.BURST, 8, 4, None),
    ],
)
def test_a_sustained_run_with_too_few_videos_says_how_many_a_verdict_needs(mode, count, slots, needed):
    said = []
    print_unjudged_stability(
        Request(count, None, mode, 10.0, None, None, PROFILES["full"], None, ""), slots, said.append
    )
    assert [line.split(" needs ")[1].split(" videos")[0] for line in said] == ([] if needed is None else [str(needed)])


@pytest.mark.parametrize(("seconds", "is_short"), [(60, True), (4 * 86_400, False)])
def test_a_retention_period_shorter_than_a_run_is_a_warning_before_the_first_video(injector, seconds, is_short):
    client, url, name = injector.queue.client, injector.queue.url, injector.queue.name
    client.set_queue_attributes(QueueUrl=url, Attributes={"MessageRetentionPeriod": str(seconds)})
    process = injector.start("--size", "300KB", "--count", "1")
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    warning = (
        f"warning: queue {name}, its retention period is 60 s; raise it to 4 days, the default: "
        "SQS deletes older messages, so a longer run loses videos"
    )
    assert (warning in (output + errors).splitlines()) == is_short


def test_a_warm_up_ends_before_the_measured_run_is_sent(injector):
    process = injector.start("--size", "300KB", "--count", "3", "--run-id", "r", "--warmup")
    until(lambda: injector.queue.counts()["visible"] == 4, "two warm-up videos for each of two slots")
    with sqlite3.connect(injector.folder / "aforo.db") as database:
        ((run_id, note),) = database.execute("SELECT id, note FROM runs").fetchall()
        assert (run_id.startswith("warm-up-2"), note) == (True, "warm-up")
        client, url = injector.queue.client, injector.queue.url
        for message in client.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]:
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        database.execute("UPDATE videos SET state = 'done'")
    assert process.wait(60) == 0
    with sqlite3.connect(injector.folder / "aforo.db") as database:
        runs = dict(database.execute("SELECT id, status FROM runs"))
        (text,) = database.execute("SELECT environment FROM runs WHERE id = 'r'").fetchone()
    assert runs == {run_id: "finished", "r": "running"}
    environment = json.loads(text)
    assert (environment["is_warm"], environment["messages_before"], injector.queue.counts()["visible"]) == (True, 0, 3)


def test_a_profile_of_your_own_is_recorded_with_its_content_which_workers_read(injector):
    path = injector.folder / "own.toml"
    path.write_text('codec = "h264"\npreset = "ultrafast"\ncrf = 30\nlongest_seconds = 2\n')
    process = injector.start("--size", "300KB", "--count", "1", "--run-id", "r", "--profile", "own.toml")
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
    with sqlite3.connect(injector.folder / "aforo.db") as database:
        ((text,),) = database.execute("SELECT environment FROM runs").fetchall()
        names = database.execute("SELECT r.profile, v.profile FROM runs r JOIN videos v ON v.run_id = r.id").fetchall()
    profile = find_profile(str(path))
    assert Profile.from_dict(json.loads(text)["profile"]) == profile
    assert names == [(profile.name, profile.name)]


def test_a_trace_is_replayed_at_its_times_and_recorded_as_the_shape_of_the_run(injector):
    (injector.folder / "t.csv").write_text("time\n7.0\n7.2\n8.0\n")
    process = injector.start("--size", "300KB", "--run-id", "r", "--mode", "sustained", "--trace", "t.csv")
    stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
    assert "the rate of trace:" in stdout
    with sqlite3.connect(injector.folder / "aforo.db") as database:
        times = "SELECT v.intended_at - r.started_at, v.uploaded_at >= v.intended_at FROM videos v JOIN runs r"
        sent = database.execute(f"{times} ON v.run_id = r.id ORDER BY v.sequence").fetchall()
        window, environment = database.execute("SELECT window_seconds, environment FROM runs").fetchone()
    assert [at for at, _ in sent] == pytest.approx([0.0, 0.2, 1.0], abs=1e-5)
    assert all(not_early for _, not_early in sent)
    assert (window, json.loads(environment)["shape"][:6]) == (1.5, "trace:")
    assert "profile" not in json.loads(environment)  # workers have ours
