"""Findings of `make doctor` about the queue."""

from __future__ import annotations

import pytest

from core import aws
from core.database import open_engine, open_sessions, upgrade_schema
from core.queue_contract import Finding, Level
from core.settings import Settings
from local import doctor
from testing.emulator import KEY, REGION
from testing.rows import run_row


def findings_by_subject(queue, monkeypatch, tmp_path, about="queue", **variables):
    """Return the findings about the queue, or another subject, by subject."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", KEY)
    environment = {"AWS_ENDPOINT_URL": queue.endpoint_url, "AWS_REGION": REGION, "SQS_QUEUE_NAME": queue.name}
    results = doctor.findings(Settings.from_env(environment | variables))
    return {finding.subject: finding for finding in results if finding.subject.startswith(about)}


def test_every_check_of_a_correct_queue_is_ok(sqs_queue, monkeypatch, tmp_path):
    findings = findings_by_subject(sqs_queue(60), monkeypatch, tmp_path)
    assert {subject: finding.level for subject, finding in findings.items()} == {
        "queue, visibility timeout": Level.OK,
        "queue, redrive policy": Level.OK,
        "queue, dead-letter queue": Level.OK,
        "queue, retention period": Level.OK,
        "queue, long poll": Level.OK,
        "queue, leftover messages": Level.OK,
    }


def test_a_problem_is_shown_with_its_remedy(sqs_queue, monkeypatch, tmp_path):
    queue = sqs_queue(20, max_receive_count=None)
    queue.client.send_message(QueueUrl=queue.url, MessageBody="left over")
    findings = findings_by_subject(queue, monkeypatch, tmp_path)
    timeout = findings["queue, visibility timeout"]
    assert timeout.level is Level.ERROR
    assert timeout.line.endswith("; set AFORO_QUEUE_VISIBILITY_TIMEOUT_SECONDS to 20, or change the queue's")
    assert findings["queue, redrive policy"].line.startswith("it has no redrive policy; give it a dead-letter queue")
    assert findings["queue, leftover messages"].level is Level.WARN


def test_a_retention_period_shorter_than_a_run_is_a_warning(sqs_queue, monkeypatch, tmp_path):
    queue = sqs_queue(60)
    queue.client.set_queue_attributes(QueueUrl=queue.url, Attributes={"MessageRetentionPeriod": "60"})
    finding = findings_by_subject(queue, monkeypatch, tmp_path)["queue, retention period"]
    assert (finding.level, finding.line) == (
        Level.WARN,
        "its retention period is 60 s; raise it to 4 days, the default: "
        "SQS deletes older messages, so a longer run loses videos",
    )


def test_videos_of_the_newest_run_that_the_queue_lost_are_shown(tmp_path):
    settings = Settings.from_env({"AFORO_DATABASE_URL": f"sqlite:///{tmp_path}/a.db"})
    engine = open_engine(settings.database.url)
    upgrade_schema(engine)
    with open_sessions(engine).begin() as session:
        session.add(run_row(id="old", count=30, environment={"lost_videos": 26}, created_at=1.0))
    assert doctor._lost_videos(settings).line.startswith("26 of 30 videos of run old were lost by the queue; see")
    with open_sessions(engine).begin() as session:
        session.add(run_row(id="new", created_at=2.0))
    assert doctor._lost_videos(settings) == Finding("lost videos", Level.OK, "none are known")


def test_too_few_receives_are_an_error(sqs_queue, monkeypatch, tmp_path):
    findings = findings_by_subject(sqs_queue(60, max_receive_count=3), monkeypatch, tmp_path)
    assert findings["queue, redrive policy"].level is Level.ERROR


def test_a_missing_queue_is_one_line(sqs_queue, monkeypatch, tmp_path):
    findings = findings_by_subject(sqs_queue(60), monkeypatch, tmp_path, SQS_QUEUE_NAME="nowhere")
    assert list(findings) == ["queue"]
    assert findings["queue"].detail == (
        "SQS queue (nowhere); it does not exist; "
        "correct SQS_QUEUE_NAME, or create it: `make up` does so on an emulator, for AWS see docs/operating.md"
    )


def test_doctor_says_whether_grafana_is_installed_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = Settings.from_env({})
    missing = doctor.grafana_finding(settings)
    assert (missing.level, missing.subject) == (Level.OK, "grafana")
    assert "not installed" in missing.line
    installed = tmp_path / "grafana"
    installed.write_text("#!/bin/sh\n")
    installed.chmod(0o755)
    assert "make up" in doctor.grafana_finding(settings).line


def test_doctor_reads_the_version_of_a_running_grafana(monkeypatch):
    monkeypatch.setattr(doctor, "grafana_version", lambda url: "12.3.0")
    assert "12.3.0" in doctor.grafana_finding(Settings.from_env({})).line
    monkeypatch.setattr(doctor, "grafana_version", lambda url: "9.4.0")
    old = doctor.grafana_finding(Settings.from_env({}))
    assert old.level is Level.WARN
    assert "10" in old.line


@pytest.mark.parametrize(
    ("variables", "subject", "problem"),
    [
        ({"STORAGE_BACKEND": "s3", "AWS_S3_BUCKET": "nope"}, "storage", "NoSuchBucket"),
        ({"UPLOAD_PATH": "/proc/nope"}, "storage", "storage folder (/proc/nope); it cannot be written"),
        ({"AFORO_RESULTS_PATH": "/dev/null"}, "results folder", "results folder (/dev/null); it cannot be written"),
        ({"AFORO_WORKER_WORK_PATH": "/proc/nope"}, "work folder", "choose another AFORO_WORKER_WORK_PATH"),
    ],
)
def test_storage_or_a_folder_that_is_not_usable_is_an_error(
    sqs_queue, monkeypatch, tmp_path, variables, subject, problem
):
    (finding,) = findings_by_subject(sqs_queue(60), monkeypatch, tmp_path, about=subject, **variables).values()
    assert finding.level is Level.ERROR
    assert problem in finding.detail


def test_usable_storage_is_ok_and_left_as_it_was(sqs_queue, monkeypatch, tmp_path):
    queue = sqs_queue(60)
    (finding,) = findings_by_subject(queue, monkeypatch, tmp_path, about="storage").values()
    assert finding.level is Level.OK
    assert [file for file in (tmp_path / "videos").rglob("*") if file.is_file()] == []
    s3 = aws.client(Settings.from_env({"AWS_ENDPOINT_URL": queue.endpoint_url, "AWS_REGION": REGION}), "s3")
    s3.create_bucket(Bucket="usable")
    usable = {"STORAGE_BACKEND": "s3", "AWS_S3_BUCKET": "usable"}
    (finding,) = findings_by_subject(queue, monkeypatch, tmp_path, about="storage", **usable).values()
    assert (finding.level, finding.detail[:14]) == (Level.OK, "bucket usable:")
    assert "Contents" not in s3.list_objects_v2(Bucket="usable")
