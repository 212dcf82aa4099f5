"""The main job on a real stack: real ffmpeg, SQS protocol, Prometheus and celery-exporter."""

from __future__ import annotations

import json
import os
import signal
import subprocess

import psutil
import pytest

from core.promql import scrape
from testing.emulator import ROOT
from testing.polling import until
from tests.stack.runs import report, rows

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


def burst(stack, count, concurrency):
    assert stack.run("local", "up", CONCURRENCY=str(concurrency)).returncode == 0
    injected = stack.run("injector", "--count", str(count), "--size", "1MB")
    assert injected.returncode == 0, injected.stderr
    return injected.stdout.split("run ", 1)[1].split(":", 1)[0]


def total(stack, variable, family, **labels):
    families = scrape("127.0.0.1", int(stack.environment[variable])) or {}
    samples = [s for s in families.get(family, []) if labels.items() <= s.labels.items()]
    return sum(sample.value for sample in samples if sample.value < 1e9)  # `_created` samples are epoch seconds


@pytest.mark.parametrize("concurrency", [1, 2, 4])
def test_the_row_of_a_burst_agrees_with_prometheus_the_database_and_the_timestamps(stack, concurrency):
    before = total(stack, "AFORO_CELERY_EXPORTER_PORT", "celery_task_succeeded")
    run_id = burst(stack, 6, concurrency)
    row = report(stack, run_id)
    videos = rows(stack, "SELECT uploaded_at, updated_at FROM videos WHERE run_id = ? AND state = 'done'", run_id)
    by_hand_x = 60 * len(videos) / (max(end for _, end in videos) - min(start for start, _ in videos))
    by_hand_s = sum(end - start for start, end in videos) / len(videos)
    assert (row["done"], row["failed"], row["slots"]) == (6, 0, concurrency)
    assert row["x_per_minute"] == pytest.approx(by_hand_x, rel=1e-3)
    assert row["s_seconds"] == pytest.approx(by_hand_s, rel=1e-3)
    assert total(stack, "AFORO_WORKER_METRICS_PORT", "aforo_worker_tasks", outcome="succeeded") == 6
    celery = lambda: total(stack, "AFORO_CELERY_EXPORTER_PORT", "celery_task_succeeded") - before  # noqa: E731
    until(lambda: celery() == 6, "celery-exporter's sixth success")


def test_a_killed_task_process_loses_nothing_and_leaves_no_ffmpeg(stack):
    run_id = burst(stack, 4, 2)
    main = psutil.Process(stack.pid("worker"))
    working = "SELECT owner FROM videos WHERE run_id = ? AND state = 'processing'"
    until(lambda: rows(stack, working, run_id), "a running execution")
    victim = psutil.Process(int(rows(stack, working, run_id)[0][0].rsplit("|", 2)[1]))
    assert victim.ppid() == main.pid
    orphans = victim.children(recursive=True)
    os.kill(victim.pid, signal.SIGKILL)
    row = report(stack, run_id)
    assert (row["done"], row["failed"], row["duplicates"]) == (4, 0, 0)
    assert rows(stack, "SELECT count(*) FROM executions WHERE run_id = ? AND outcome = 'lost'", run_id) == [(1,)]
    assert rows(stack, "SELECT count(*) FROM executions WHERE run_id = ? AND outcome = 'done'", run_id) == [(4,)]
    assert not any(process.is_running() for process in orphans)
    assert total(stack, "AFORO_WORKER_METRICS_PORT", "aforo_worker_children_lost") == 1


def test_the_conditions_of_the_worker_at_the_start_and_the_end_are_in_the_archive(stack):
    run_id = burst(stack, 2, 2)
    assert stack.run("capacity", "wait", run_id).returncode == 0
    conditions = report(stack, run_id)["conditions"]
    archived = json.loads((stack.folder / "results" / "runs" / run_id / "run.json").read_text(encoding="utf-8"))
    start, end = (archived["environment"]["workers"][moment] for moment in ("start", "end"))
    assert start == end
    (worker,) = start
    assert (worker["slots"], worker["pool"], worker["transport"]) == (2, "prefork", "aforo-sqs")
    assert worker["worker"].split("|")[1] == str(stack.pid("worker"))
    assert rows(stack, "SELECT DISTINCT worker FROM executions WHERE run_id = ?", run_id) == [(worker["worker"],)]
    assert conditions["cpu_count"] == int(worker["cores"])
    assert (conditions["ffmpeg"], conditions["kombu"]) == (worker["ffmpeg"], worker["kombu"])


def test_a_second_run_is_refused_while_one_is_active(stack):
    run_id = burst(stack, 4, 1)
    refused = stack.run("injector", "--count", "1", "--size", "1MB")
    assert refused.returncode == 3
    assert refused.stderr.startswith(f"error: run ({run_id}); it is active;")
    report(stack, run_id)


def test_messages_of_an_interrupted_run_make_the_next_run_invalid(stack):
    assert stack.run("local", "up", CONCURRENCY="1").returncode == 0
    options = ["--count", "12", "--size", "1MB", "--monitor", "--run-id", "older"]
    command = [str(ROOT / ".venv/bin/python"), "-m", "injector", *options]
    older = subprocess.Popen(command, cwd=stack.folder, env=stack.environment)
    done = "SELECT count(*) FROM videos WHERE run_id = ? AND state = 'done'"
    until(lambda: rows(stack, done, "older")[0][0] >= 1, "a done video", 120)
    older.send_signal(signal.SIGINT)
    assert older.wait(60) == 130
    disturbed = report(stack, burst(stack, 2, 1))
    assert (disturbed["validity"], "other_messages" in disturbed["validity_reasons"]) == ("invalid", True)
    emptied = stack.run("capacity", "wait", "--queue")
    assert (emptied.returncode, emptied.stderr) == (0, "")


def test_an_old_log_of_task_ids_gives_the_same_row(stack):
    run_id = burst(stack, 2, 2)
    row = report(stack, run_id)
    log = rows(stack, "SELECT tasks_log FROM runs WHERE id = ?", run_id)[0][0]
    again = json.loads(stack.run("capacity", "report", "--tasks-log", log, "--json").stdout)
    assert (again["run_id"], again["x_database"]) == (run_id, row["x_database"])
    assert len((stack.folder / log).read_text(encoding="utf-8").split()) == 2
