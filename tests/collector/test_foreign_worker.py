"""Each execution of a worker that is not ours is collected into our database once, with its video."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress

import pytest

from core.models import OtherExecutionRow, RunRow
from testing.emulator import ROOT
from testing.polling import until
from tests.collector.lab import value

KINDS = ("parent", "chain", "twice", "failing", "burning")


@pytest.mark.parametrize(("pool", "slots"), [("prefork", 2), ("threads", 2), ("solo", 1)])
def test_every_execution_of_every_video_is_collected(lab, pool, slots):
    _, port = lab.worker(pool=pool, slots=slots)
    lab.collector(port)
    lab.send(*KINDS)
    final = {"x0": "done", "x1": "done", "x2": "done", "x3": "failed", "x4": "done"}
    until(lambda: lab.states() == final, "the end of five videos", seconds=60)
    of_video = {f"x{n}": [e for e in lab.executions() if e.video_id == f"x{n}"] for n in range(len(KINDS))}
    assert {video: len(executions) for video, executions in of_video.items()} == {
        "x0": 3,
        "x1": 3,
        "x2": 2,
        "x3": 1,
        "x4": 1,
    }
    assert [e.outcome for e in of_video["x2"]] == ["retried", "done"]
    assert [e.retries for e in of_video["x2"]] == [0, 1]
    parent = of_video["x0"][0]
    assert 0.05 <= parent.stage_seconds["download"] <= parent.ended_at - parent.started_at
    assert len(parent.sent_task_ids) == 2
    assert {e.slot for e in lab.executions()} <= set(range(slots))
    assert all(
        e.ended_at >= e.started_at and e.queue_wait_seconds >= 0 for e in lab.executions() if e.receive_count == 1
    )
    burning = of_video["x4"][0]
    assert burning.cpu_seconds is None if pool == "threads" else burning.cpu_seconds >= 0.3


def test_a_killed_child_leaves_a_record_of_its_execution(lab):
    _, port = lab.worker(slots=1)
    lab.collector(port)
    lab.send("dying", "quick")
    until(lambda: len(lab.executions()) == 2, "both executions", seconds=60)
    killed, next_one = lab.executions()
    assert (killed.outcome, next_one.outcome) == ("lost", "done")
    assert (killed.slot, next_one.slot) == (0, 0)  # the replacement has the slot of the killed child


@pytest.mark.faults
def test_with_collector_and_database_gone_no_task_notices_and_each_execution_comes_later_once(lab):
    _, port = lab.worker(slots=2, HARDEN="1")
    lab.send(*["quick"] * 300)
    family = "aforo_worker_tasks"
    until(lambda: value(port, family, outcome="succeeded") == 300, "all tasks end without a collector", seconds=90)
    for _ in range(5):  # each collector is killed after a few pages or none
        collector, _ = lab.collector(port)
        with suppress(subprocess.TimeoutExpired):
            collector.wait(timeout=1.2)
        collector.kill()
        collector.wait()
    lab.collector(port)
    until(lambda: len(lab.executions()) == 300, "the executions", seconds=60)
    assert Counter(e.video_id for e in lab.executions()) == {f"x{n}": 1 for n in range(300)}
    assert set(lab.states().values()) == {"done"}


@pytest.mark.faults
def test_a_full_spool_gives_what_it_holds_and_the_rest_is_counted_as_lost(lab):
    _, port = lab.worker(slots=2, HARDEN="1", AFORO_SPOOL_RECORDS="100")
    lab.send(*["quick"] * 300)
    until(lambda: value(port, "aforo_worker_tasks", outcome="succeeded") == 300, "the end of all tasks", seconds=90)
    until(lambda: value(port, "aforo_worker_executions_lost") == 200, "the lost ones")
    _, metrics = lab.collector(port)
    until(lambda: len(lab.executions()) == 100, "the executions that the spool holds", seconds=60)
    assert value(metrics, "aforo_collector_executions_missed") == 200
    with lab.sessions() as session:
        assert session.get(RunRow, "r").executions_missed == 200


@pytest.mark.faults
def test_the_finished_executions_of_a_killed_main_process_come_from_the_other_worker(lab):
    first, first_port = lab.worker("-n", "first@%h", slots=1, HARDEN="1")
    lab.send(*["quick"] * 20)
    until(lambda: value(first_port, "aforo_worker_tasks", outcome="succeeded") == 20, "all tasks", seconds=60)
    _, second_port = lab.worker("-n", "second@%h", slots=1, HARDEN="1")
    os.kill(first.pid, signal.SIGKILL)
    first.wait()
    lab.collector(first_port, second_port)
    until(lambda: len(lab.executions()) == 20, "the executions of the dead process", seconds=60)
    assert {e.node.split("@")[0] for e in lab.executions()} == {"first"}


def test_a_worker_that_nothing_can_reach_writes_a_file_that_is_imported_once(lab):
    path = lab.folder / "executions.jsonl"
    worker, port = lab.worker(slots=2, HARDEN="1", AFORO_EXECUTIONS_FILE=str(path))
    lab.send(*["quick"] * 20, "failing")
    until(lambda: value(port, "aforo_worker_tasks") == 21, "all tasks", seconds=60)
    worker.terminate()
    worker.wait(timeout=30)
    assert "secret" not in path.read_text()
    for added in (21, 0):
        command = [sys.executable, "-m", "collector", "import", str(path)]
        shown = subprocess.run(command, env=lab.environment, cwd=ROOT, capture_output=True, text=True, check=True)
        assert shown.stdout == f"{added} executions stored; 0 missing in {path}\n"
    assert Counter(e.outcome for e in lab.executions()) == {"done": 20, "failed": 1}


def test_a_hardened_worker_runs_messages_of_another_serializer_that_its_app_accepts(lab):
    lab.environment |= {"SERIALIZER": "pickle", "C_FORCE_ROOT": "1"}
    _, port = lab.worker(slots=1, HARDEN="1")
    lab.send(*["quick"] * 3, "failing")
    until(lambda: value(port, "aforo_worker_tasks") == 4, "all tasks", seconds=60)
    assert value(port, "aforo_worker_tasks", outcome="succeeded") == 3
    until(lambda: sum(lab.queue.counts().values()) == 0, "the deletes")


def test_a_hardened_worker_runs_messages_of_protocol_1_and_a_delayed_one_once(lab, sqs_queue):
    queue = sqs_queue(visibility_timeout_seconds=3)
    lab.environment |= {"PROTOCOL": "1", "QUEUE_NAME": queue.name, "QUEUE_URL": queue.url}
    _, port = lab.worker(slots=1, HARDEN="1")
    lab.send(*["quick"] * 3, "failing", "delayed")
    until(lambda: value(port, "aforo_worker_tasks") == 5, "all tasks", seconds=60)
    until(lambda: not any(queue.counts().values()), "all messages are deleted, none is dead-lettered")
    assert value(port, "aforo_worker_tasks", outcome="succeeded") == 4
    assert value(port, "aforo_worker_tasks") == 5


@pytest.mark.parametrize(("pool", "slots"), [("prefork", 2), ("threads", 2)])
def test_the_time_in_ffmpeg_and_ffprobe_is_a_stage_without_a_change_of_the_app(lab, pool, slots):
    for name in ("ffmpeg", "ffprobe"):
        (lab.folder / name).write_text('#!/bin/sh\nsleep "$1"\n')
        (lab.folder / name).chmod(0o755)
    _, port = lab.worker(pool=pool, slots=slots)
    lab.collector(port)
    lab.send("transcoding")
    until(lab.executions, "the execution", seconds=60)
    (execution,) = lab.executions()
    assert execution.outcome == "done"
    assert execution.probe_seconds >= 0.1
    assert execution.transcode_seconds >= 0.3  # two at the same time count once
    assert execution.publish_seconds >= 0.1  # the stage around them has the rest
    assert sum(execution.stage_seconds.values()) <= execution.ended_at - execution.started_at


def done(lab, count):
    until(lambda: list(lab.states().values()) == ["done"] * count, f"the end of {count} videos", seconds=60)
    return Counter(execution.video_id for execution in lab.executions())


def test_a_worker_of_three_queues_is_measured_on_all_of_them(lab, sqs_queue):
    others = {queue.name: queue.url for queue in (sqs_queue(), sqs_queue())}
    lab.environment["MORE_QUEUES"] = json.dumps(others)
    names = [lab.queue.name, *others]
    _, port = lab.worker("-Q", ",".join(names))
    lab.collector(port)
    lab.send(*[f"quick@{name}" for name in names])
    assert done(lab, 3) == {"x0": 1, "x1": 1, "x2": 1}
    assert {name: value(port, "aforo_worker_queue_info", queue=name) for name in names} == dict.fromkeys(names, 1)
    assert all(execution.queue_wait_seconds > 0 for execution in lab.executions())


def test_the_tasks_of_an_embedded_beat_are_counted_and_are_no_videos(lab):
    _, port = lab.worker("-B", "-s", str(lab.folder / "schedule"))
    lab.collector(port)
    lab.send("quick", "slow")
    assert done(lab, 2) == {"x0": 1, "x1": 1}
    ticks = lambda: lab.count(OtherExecutionRow)  # noqa: E731
    until(lambda: ticks() >= 5, "the executions that beat caused")
    started, ended = "aforo_worker_tasks_started", "aforo_worker_tasks"
    until(lambda: value(port, started) == value(port, ended), "each start has ended")
    assert value(port, "aforo_worker_slots") == 2
    assert value(port, "aforo_worker_telemetry_events_lost") == 0


def test_under_autoscale_the_slots_are_those_of_the_moment_and_each_execution_is_there_once(lab):
    _, port = lab.worker("--autoscale", "3,1", slots=1)
    lab.collector(port)
    lab.send(*["slow"] * 9)
    until(lambda: value(port, "aforo_worker_slots") == 3, "the pool has grown", seconds=60)
    assert value(port, "aforo_worker_info", autoscale="3,1") == 1
    assert done(lab, 9) == {f"x{number}": 1 for number in range(9)}
    assert {execution.slot for execution in lab.executions()} == {0, 1, 2}
