"""Two runs of two queues at the same time, on one Prometheus, in one database or in two, with a worker each."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml
from sqlalchemy import select

from capacity.runs.resource_samples import read_resources
from core import promql
from core.database import open_engine, open_sessions, upgrade_schema
from core.models import ExecutionRow, RunRow
from testing.emulator import KEYS
from testing.polling import until
from testing.ports import free_port

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]


@pytest.fixture
def common(emulator, tmp_path):
    """Return the settings that both queues share."""
    for program in ("prometheus", "ffmpeg"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | KEYS | {
        "STACK": "aws",
        "AWS_ENDPOINT_URL": emulator,
        "AFORO_EVENTS_REDIS_URL": "",
        "AFORO_PROMETHEUS_URL": f"http://127.0.0.1:{free_port()}",
        "AFORO_RESULTS_PATH": str(tmp_path / "results"),
        "AFORO_WORKER_BANDWIDTH_LIMITS": "none",
        "UPLOAD_PATH": str(tmp_path / "videos"),
    }  # fmt: skip


@contextmanager
def process(*command, environment, log):
    """Run a program of this repository, and stop it at the end."""
    with log.open("w") as output:
        started = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield started
        finally:
            started.send_signal(signal.SIGTERM)
            started.wait()


def of_queue(common, queue, tmp_path, database):
    """Return the settings of one queue, of its only worker and of its exporter, with the tables made."""
    url = f"sqlite:///{tmp_path}/{database}.db"
    upgrade_schema(open_engine(url))
    return common | {
        "SQS_QUEUE_NAME": queue.name,
        "AFORO_DATABASE_URL": url,
        "AFORO_EXPORTER_SQS_PORT": str(free_port()),
        "AFORO_WORKER_METRICS_PORT": str(free_port()),
        "AFORO_WORKER_WORK_PATH": str(tmp_path / f"work-{queue.name}"),
        "AFORO_WORKER_CONCURRENCY": "1",
    }


def prometheus(common, queues, tmp_path):
    jobs = {"worker": "AFORO_WORKER_METRICS_PORT", "sqs-exporter": "AFORO_EXPORTER_SQS_PORT"}
    scraped = [
        {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{queue[port]}" for queue in queues]}]}
        for job, port in jobs.items()
    ]
    config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": scraped}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = common["AFORO_PROMETHEUS_URL"].removeprefix("http://")
    options = (f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb")
    log = tmp_path / "prometheus.log"
    return process("prometheus", *options, f"--web.listen-address={address}", environment=common, log=log)


def injector(environment, log, *options):
    command = (sys.executable, "-m", "injector", "--size", "1MB", "--monitor", *options)
    with log.open("w") as output:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)


@pytest.mark.parametrize("databases", [("aforo", "aforo"), ("one", "two")], ids=["one database", "two databases"])
def test_each_of_two_runs_at_once_has_the_worker_and_messages_of_its_queue_only(common, sqs_queue, tmp_path, databases):
    queues = [sqs_queue(visibility_timeout_seconds=60), sqs_queue(visibility_timeout_seconds=60)]
    first, second = (
        of_queue(common, queue, tmp_path, database) for queue, database in zip(queues, databases, strict=True)
    )
    sessions = {
        run_id: open_sessions(open_engine(each["AFORO_DATABASE_URL"]))
        for run_id, each in (("first", first), ("second", second))
    }

    def status(run_id):
        with sessions[run_id]() as session:
            run = session.get(RunRow, run_id)
            return None if run is None else run.status

    with ExitStack() as running:
        running.enter_context(prometheus(common, (first, second), tmp_path))
        for name, each in (("first", first), ("second", second)):
            log = tmp_path / f"worker-{name}.log"
            running.enter_context(process(sys.executable, "-m", "worker", environment=each, log=log))
            log = tmp_path / f"exporter-{name}.log"
            running.enter_context(process(sys.executable, "-m", "exporters", "sqs", environment=each, log=log))
        until(
            lambda: promql.single(common["AFORO_PROMETHEUS_URL"], "count(aforo_worker_queue_info)") == 2, "workers", 120
        )
        paced = ("--run-id", "first", "--mode", "sustained", "--rate", "10", "--count", "5")
        one = injector(first, tmp_path / "first.log", *paced)
        until(lambda: status("first") == "running", "the first run", 120)
        two = injector(second, tmp_path / "second.log", "--run-id", "second", "--mode", "burst", "--count", "2")
        until(lambda: status("second") is not None or two.poll() is not None, "the second run", 120)
        assert status("first") == "running"
        assert (two.wait(), one.wait()) == (0, 0), (tmp_path / "second.log").read_text()[-1500:]
        most = {}
        for run_id in ("first", "second"):
            with sessions[run_id]() as session:
                run = session.get_one(RunRow, run_id)
                samples = read_resources(
                    partial(promql.query_range, common["AFORO_PROMETHEUS_URL"]),
                    run.started_at,
                    time.time(),
                    run.environment["queue"],
                ).samples
            most[run_id] = np.nanmax(samples["messages"])
            assert np.nanmax(samples["cores"]) == os.cpu_count()
        assert (most["first"] <= 5, most["second"]) == (True, 2.0), "the burst of 2 has 2 messages"
    for run_id, environment in (("first", first), ("second", second)):
        with sessions[run_id]() as session:
            run = session.get_one(RunRow, run_id)
            (worker,) = run.environment["workers"]["start"]
            assert worker["instance"] == f"127.0.0.1:{environment['AFORO_WORKER_METRICS_PORT']}"
            assert (run.nodes, run.slots, run.environment["queue"]) == (1, 1, environment["SQS_QUEUE_NAME"])
            workers = select(ExecutionRow.worker).where(ExecutionRow.run_id == run_id).distinct()
            assert session.scalars(workers).all() == [worker["worker"]]
