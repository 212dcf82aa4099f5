"""A burst of real videos, sent by the Job and drained by real workers that come and go with the replicas."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from contextlib import contextmanager
from itertools import pairwise

import pytest
from sqlalchemy import select

from core.database import open_engine, open_sessions
from core.models import ExecutionRow, RunRow, VideoRow
from testing.clips import H264, make
from testing.kubernetes.stand_ins import stand_ins
from testing.polling import until
from testing.prometheus_server import running_prometheus
from testing.slow_ffmpeg import slow_ffmpeg

pytestmark = [pytest.mark.kubernetes, pytest.mark.timeout(420)]
#: so long that there are videos left when the new image is ready, also on a busy machine
CLIP_SECONDS = 24
VIDEOS = 30
#: workers that are ready before the new image is applied, of the six that the plan asks for
SEVERAL = 3
RUN = "kubernetes-burst"


@pytest.fixture
def running(installation, tmp_path):
    """Return a factory: `with running(count) as (workers, job)` installs, and starts a burst when a worker is ready."""
    for program in ("prometheus", "ffmpeg"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")

    @contextmanager
    def start(count):
        picture = f"testsrc2=size=160x90:rate=10:duration={CLIP_SECONDS}"
        clip = make(tmp_path / "clip.mp4", "-f", "lavfi", "-i", picture, *H264, "-movflags", "+faststart")
        base = {"PATH": f"{slow_ffmpeg(tmp_path)}:{os.environ['PATH']}", "HOME": str(tmp_path)}
        plane = installation.plane
        installation.change(has_processes=True)
        installation.install()
        with (
            stand_ins(plane, "worker", tmp_path / "workers", base) as workers,
            running_prometheus(tmp_path / "prometheus", workers.targets_file) as prometheus_url,
            stand_ins(plane, "run", tmp_path / "runs", base) as runs,
        ):
            until(lambda: workers.ready() or workers.failures, "a worker is ready", 60, 0.2)
            assert workers.failures == {}
            plane.apply(volume(tmp_path.name))
            options = {"FILE": str(clip), "SIZE": "", "COUNT": str(count), "RUN_ID": RUN}
            installation.change(run=options | {"AFORO_PROMETHEUS_URL": prometheus_url})
            installation.apply()
            yield workers, runs

    return start


def test_nothing_is_lost_while_workers_come_and_go_and_a_new_image_rolls_out(installation, running, tmp_path):
    with running(VIDEOS) as (workers, runs):
        until(lambda: len(workers.ready()) >= SEVERAL or runs.failures, "several workers", 90, 0.2)
        assert runs.failures == {}
        installation.change(tag="2")
        installation.apply()
        until(lambda: {each.image for each in workers.ready()} == {"aforo-worker:2"}, "new workers only", 120, 0.2)
        assert workers.failures == {}
        await_the_job(installation, runs)
        assert installation.differences() == ""
        installation.await_replicas(1)
        until(lambda: len(workers.ready()) == 1, "one worker is left", 60, 0.2)
        numbers = [number for _, number in workers.history]
        assert 0 not in numbers[numbers.index(1) :]
        assert workers.failures == runs.failures == {}
    executions = check_nothing_is_lost(installation)
    images = {each.process.pid: each.image for each in workers.all.values()}
    assert {images[pid_of(each.worker)] for each in executions} == {"aforo-worker:1", "aforo-worker:2"}
    assert any(each.started_at < at < each.ended_at for at in departures(workers.history) for each in executions)
    (results,) = tmp_path.glob("runs/*/results")
    row = json.loads((results / "runs" / RUN / "row.json").read_text(encoding="utf-8"))
    assert row["validity"] == "invalid"
    assert "changed_fleet" in row["validity_reasons"]


def volume(name):
    """Return a volume for the Job's claim, in place of the class that a cluster has."""
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "hostPath": {"path": "/nowhere"},
    }
    metadata = {"name": name.replace("_", "-")}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}


def await_the_job(installation, runs):
    """Wait until the Job is complete: every video is done and the report is written."""
    until(lambda: runs.failures or installation.condition("Complete", "job/run"), "the Job is complete", 240, 0.5)
    assert runs.failures == {}


def departures(history):
    """Return when the number of ready workers fell, in epoch seconds."""
    return [at for (_, before), (at, number) in pairwise(history) if number < before]


def pid_of(worker):
    return int(worker.split("|")[1])


def check_nothing_is_lost(installation):
    """Assert that every video is done by exactly one execution, and that no message is left. Return the executions."""
    sessions = open_sessions(open_engine(installation.database_url))
    with sessions() as session:
        assert session.get_one(RunRow, RUN).status == "finished"
        assert Counter(session.scalars(select(VideoRow.state))) == {"done": VIDEOS}
        executions = session.scalars(select(ExecutionRow)).all()
        assert Counter(each.outcome for each in executions) == {"done": VIDEOS}
    until(lambda: not any(installation.overlay.queue.counts().values()), "the queue is empty, nothing is dead-lettered")
    return executions
