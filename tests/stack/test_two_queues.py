"""Two runs of two queues at the same time, in one database and one Prometheus, with a worker each."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

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
    """Return the settings that both queues share, with the tables made."""
    for program in ("prometheus", "ffmpeg"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    url = f"sqlite:///{tmp_path}/aforo.db"
    upgrade_schema(open_engine(url))
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | KEYS | {
        "STACK": "aws",
        "AWS_ENDPOINT_URL": emulator,
        "AFORO_DATABASE_URL": url,
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


def of_queue(common, queue, tmp_path):
    """Return the settings of one queue and of its only worker."""
    return common | {
        "SQS_QUEUE_NAME": queue.name,
        "AFORO_WORKER_METRICS_PORT": str(free_port()),
        "AFORO_WORKER_WORK_PATH": str(tmp_path / f"work-{queue.name}"),
        "AFORO_WORKER_CONCURRENCY": "1",
    }


def prometheus(common, ports, tmp_path):
    targets = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s}\n"
        f"scrape_configs:\n  - job_name: worker\n    static_configs: [{{targets: [{targets}]}}]\n"
    )
    address = common["AFORO_PROMETHEUS_URL"].removeprefix("http://")
    options = (f"--config.file={tmp_path}/prometheus.yml", f"--storage.tsdb.path={tmp_path}/tsdb")
    log = tmp_path / "prometheus.log"
    return process("prometheus", *options, f"--web.listen-address={address}", environment=common, log=log)


def injector(environment, log, *options):
    command = (sys.executable, "-m", "injector", "--size", "1MB", "--monitor", *options)
    with log.open("w") as output:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)


def test_each_of_two_runs_at_once_has_the_worker_of_its_queue_only(common, sqs_queue, tmp_path):
    queues = [sqs_queue(visibility_timeout_seconds=60), sqs_queue(visibility_timeout_seconds=60)]
    first, second = (of_queue(common, queue, tmp_path) for queue in queues)
    sessions = open_sessions(open_engine(common["AFORO_DATABASE_URL"]))

    def status(run_id):
        with sessions() as session:
            run = session.get(RunRow, run_id)
            return None if run is None else run.status

    with ExitStack() as running:
        running.enter_context(
            prometheus(common, [each["AFORO_WORKER_METRICS_PORT"] for each in (first, second)], tmp_path)
        )
        for name, each in (("first", first), ("second", second)):
            log = tmp_path / f"worker-{name}.log"
            running.enter_context(process(sys.executable, "-m", "worker", environment=each, log=log))
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
    with sessions() as session:
        for run_id, environment in (("first", first), ("second", second)):
            run = session.get_one(RunRow, run_id)
            (worker,) = run.environment["workers"]["start"]
            assert worker["instance"] == f"127.0.0.1:{environment['AFORO_WORKER_METRICS_PORT']}"
            assert (run.nodes, run.slots, run.environment["queue"]) == (1, 1, environment["SQS_QUEUE_NAME"])
            workers = select(ExecutionRow.worker).where(ExecutionRow.run_id == run_id).distinct()
            assert session.scalars(workers).all() == [worker["worker"]]
