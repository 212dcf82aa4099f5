"""The kills of `benchmarks/chaos.py` are repeated by their seed, and a job that is lost is found."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, update

from benchmarks.chaos import bound
from benchmarks.chaos_jobs import JOBS
from benchmarks.chaos_rig import DRIVER, decoded, running_subject
from benchmarks.chaos_run import VICTIMS, Attack, Strike, judge
from testing import postgresql
from testing.chaos import schedule
from testing.emulator import program

ROOT = Path(__file__).parents[2]

needs_servers = pytest.mark.skipif(
    postgresql.binaries() is None or program() is None, reason="needs PostgreSQL and ministack (`make setup-dev`)"
)


def test_a_seed_repeats_its_kills_and_another_seed_has_others():
    kills = schedule(random.Random(7), VICTIMS, 200)
    assert kills == schedule(random.Random(7), VICTIMS, 200)
    assert kills != schedule(random.Random(8), VICTIMS, 200)
    assert {kill.victim for kill in kills} == {"child", "program", "main", "network", "database", "emulator"}


@pytest.mark.parametrize(
    ("lost", "kills", "expected"), [(0, 3000, "0.10%"), (0, 100, "3.00%"), (1, 100, "4.66%"), (5, 5, "100%")]
)
def test_the_bound_is_three_in_n_or_that_of_clopper_and_pearson(lost, kills, expected):
    assert bound(lost, kills) == expected


@needs_servers
@pytest.mark.postgresql
@pytest.mark.stack
def test_a_job_whose_message_was_deleted_is_lost_and_one_that_was_completed_twice_is_a_duplicate(server_folder):
    with running_subject("hardened", server_folder) as (site, subject):
        subject.send(4)
        ids = [job.id for job in subject.jobs()]
        engine = create_engine(site.database_url.replace(*DRIVER))
        with engine.begin() as connection:
            twice = {"state": "done", "done_count": 2, "ended_at": 107.5}
            connection.execute(update(JOBS).where(JOBS.c.id == ids[0]).values(twice))
        engine.dispose()
        deleted = delete_message_of(site, ids[1])
        attack = Attack(site, subject)
        attack.strikes = [Strike("main", 100.0, tuple(ids[:2])), Strike("child", 120.0, (ids[0],))]
        found = judge("hardened", 1, attack, site.texts_left())
    assert deleted == 1
    assert (found.jobs, found.done, found.lost, found.left, found.duplicated) == (4, 1, 1, 2, 1)
    assert found.lost_after == [["main"]]
    assert (found.hit, found.recovered, found.longest_recovery_seconds) == (2, 1, 7.5)


@needs_servers
@pytest.mark.postgresql
@pytest.mark.stack
def test_a_restarted_emulator_has_its_messages_and_a_restarted_database_its_rows(server_folder):
    with running_subject("hardened", server_folder) as (site, subject):
        subject.send(7)
        before = sorted(job.id for job in subject.jobs())
        site.restart_emulator()
        site.restart_database()
        assert site.queue.counts() == {"visible": 7, "in_flight": 0, "dead": 0}
        assert site.lost_by_emulator == 0
        assert sorted(job.id for job in subject.jobs()) == before


@needs_servers
@pytest.mark.faults
@pytest.mark.timeout(300)
def test_a_few_kills_of_our_worker_and_of_a_hardened_app_lose_no_job(tmp_path):
    file = tmp_path / "results.jsonl"
    options = ["--kills", "6", "--parallel", "2", "--subjects", "worker,hardened", "--results", str(file)]
    environment = os.environ | {"SEEDS": "3"}
    command = [sys.executable, "-m", "benchmarks.chaos", *options]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    results = [json.loads(line) for line in file.read_text().splitlines()]
    assert done.returncode == 0, done.stderr
    assert {result["subject"]: sum(result["kills"].values()) for result in results} == {"worker": 6, "hardened": 6}
    assert [result["lost"] for result in results] == [0, 0]


def delete_message_of(site, job):
    """Delete the message of a job behind the worker's back. Return the number of deleted messages."""
    client, url, deleted = site.queue.client, site.queue.url, 0
    while messages := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            if job in decoded(message["Body"]):
                client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                deleted += 1
    return deleted
