"""Options and environment for the injector, and the messages of a run."""

from __future__ import annotations

import json

from capacity.analysis.run_facts import conservation
from capacity.experiments.early_stop import QueuedVideos
from capacity.experiments.run_launcher import RunLauncher, RunRequest, _environment, _injector_options
from capacity.runs.recorded_run import load_run
from core.models import RunRow
from core.run import Mode, RunStatus
from tests.capacity.store import add_run, run_row, waiting


def test_the_injector_gets_rate_and_profile_of_the_requested_run():
    request = RunRequest("5MB", 2, Mode.SUSTAINED, 16, 10.0, note="n", profile="showcase")
    assert _injector_options(request) == [
        "--count", "16", "--size", "5MB", "--mode", "sustained", "--note", "n", "--concurrency", "2",
        "--yes", "--rate", "10.0000", "--profile", "showcase",
    ]  # fmt: skip


def test_a_burst_without_a_profile_leaves_rate_and_profile_to_the_injector():
    options = _injector_options(RunRequest("5MB", 2, Mode.BURST, 16))
    assert "--rate" not in options
    assert "--profile" not in options


def test_a_warm_up_is_asked_of_the_injector():
    assert _injector_options(RunRequest("5MB", 2, Mode.BURST, 16, warmup=True))[-1] == "--warmup"


def test_the_injector_gets_workers_shape_and_seed_and_no_rate_that_the_shape_gives():
    poisson = RunRequest("5MB", 2, Mode.SUSTAINED, 16, 10.0, workers=3, shape="poisson", seed=4)
    assert _injector_options(poisson)[-8:] == [
        "--workers", "3", "--shape", "poisson", "--seed", "4", "--rate", "10.0000",
    ]  # fmt: skip
    ramp = RunRequest("5MB", 2, Mode.SUSTAINED, 16, 12.0, shape="ramp:6-18")
    assert _injector_options(ramp)[-2:] == ["--shape", "ramp:6-18"]


def test_run_options_of_the_caller_do_not_reach_the_programs(monkeypatch):
    monkeypatch.setenv("PROFILE", "showcase")
    monkeypatch.setenv("SIZE", "50MB")
    monkeypatch.setenv("USER_ID", "u1")
    environment = _environment({"CONCURRENCY": "4"})
    assert ("PROFILE" in environment, "SIZE" in environment) == (False, False)
    assert (environment["USER_ID"], environment["CONCURRENCY"]) == ("u1", "4")


class Queue:
    """The attributes of a queue and of its dead-letter queue."""

    def __init__(self, visible, dead):
        self.depths = {"url": visible, "dead-url": dead}

    def get_queue_url(self, QueueName, **_owner):  # noqa: N803 (boto3's names)
        return {"QueueUrl": "dead-url" if QueueName == "dead" else "url"}

    def get_queue_attributes(self, QueueUrl, **_names):  # noqa: N803
        policy = json.dumps({"deadLetterTargetArn": "arn:aws:sqs:here:1:dead", "maxReceiveCount": 5})
        counts = {"ApproximateNumberOfMessages": self.depths[QueueUrl], "ApproximateNumberOfMessagesNotVisible": 0}
        more = {"RedrivePolicy": policy} if QueueUrl == "url" else {}
        return {"Attributes": counts | {"VisibilityTimeout": 60} | more}


def launcher_with(queue, sessions, settings):
    launcher = RunLauncher(settings, sessions)
    launcher.__dict__["queued_videos"] = QueuedVideos(queue, "url", sessions)
    return launcher


def test_messages_are_counted_while_videos_are_open(sessions, settings):
    with sessions.begin() as session:
        add_run(session, run_row(count=3, environment={"dead_letters_before": 2}), [2.0, 3.0], [9.0, 9.5])
        session.add(waiting(2))
    launcher_with(Queue(0, 2), sessions, settings).count_messages("r1")
    with sessions() as session:
        run = session.get_one(RunRow, "r1")
        assert {k: run.environment["messages"][k] for k in ("in_queue", "dead_lettered")} == {
            "in_queue": 0,
            "dead_lettered": 0,
        }
        recorded = load_run(session, run)
    assert conservation(recorded).lost_messages == 1


def test_messages_of_a_complete_run_are_not_counted(sessions, settings):
    with sessions.begin() as session:
        add_run(session, run_row(count=2), [2.0, 3.0], [9.0, 9.5])
    launcher_with(Queue(5, 0), sessions, settings).count_messages("r1")
    with sessions() as session:
        assert "messages" not in session.get_one(RunRow, "r1").environment


def test_a_run_whose_injector_died_while_sending_is_closed_before_the_queue_is_emptied(sessions, settings):
    with sessions.begin() as session:
        add_run(session, run_row(count=3, status=RunStatus.RUNNING), [2.0, 3.0], [9.0, 9.5])
        add_run(session, run_row("r2", count=2, status=RunStatus.RUNNING), [2.0, 3.0], [9.0, 9.5])
    launcher_with(Queue(0, 0), sessions, settings).wait_for_empty_queue()
    with sessions() as session:
        statuses = [session.get_one(RunRow, run_id).status for run_id in ("r1", "r2")]
    assert statuses == ["interrupted", "running"], "r2 is sent, so its videos are waited for"
