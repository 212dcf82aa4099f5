"""Conditions that a worker publishes about itself."""

import platform

import celery
import kombu
import pytest
from celery import Celery
from celery.concurrency import get_implementation

import aforo
from aforo.cgroup import CpuQuota
from aforo.process_identity import WorkerProcess
from aforo.telemetry import catalogue
from aforo.telemetry import worker_conditions as module
from aforo.telemetry.worker_conditions import worker_conditions

GIB = 1 << 30


class FakeCgroup:
    """The limits of a container."""

    def __init__(self, cores=None, memory_bytes=None):
        self.cores, self.memory_bytes = cores, memory_bytes

    def cpu_quota(self):
        return self.cores and CpuQuota(self.cores, 0, 0, 0.0)

    def memory_limit_bytes(self):
        return self.memory_bytes


def conditions(broker="sqs://", pool="prefork", **facts):
    implementation = get_implementation(pool)
    return worker_conditions(Celery(broker=broker, set_as_current=False), object.__new__(implementation), facts)


def test_every_condition_is_a_label_of_the_metric(registry):
    info = catalogue.gauge("aforo_worker_info", registry)
    info.labels(**conditions()).set(1)
    assert len(list(info.collect()[0].samples)) == 1


def test_versions_settings_and_identity_are_those_of_this_process(monkeypatch):
    monkeypatch.setenv("AFORO_IMAGE", "registry/worker@sha256:ab")
    found = conditions("aforo-sqs://key:secret@", threads="4", profile="full")
    assert (found["version"], found["python"]) == (aforo.__version__, platform.python_version())
    assert (found["celery"], found["kombu"]) == (celery.__version__, kombu.__version__)
    assert (found["transport"], found["threads"], found["profile"]) == ("aforo-sqs", "4", "full")
    assert found["image"] == "registry/worker@sha256:ab"
    assert found["worker"] == WorkerProcess.this().owner
    assert "secret" not in "".join(found.values())


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_the_pool_is_named_as_on_the_command_line(pool):
    assert conditions(pool=pool)["pool"] == pool


@pytest.mark.parametrize(
    ("cgroup", "expected"),
    [(FakeCgroup(1.5, 2 * GIB), ("1.5", str(2 * GIB))), (FakeCgroup(), ("none", "none"))],
)
def test_limits_are_those_of_the_container_or_none(monkeypatch, cgroup, expected):
    monkeypatch.setattr(module, "Cgroup", lambda: cgroup)
    found = conditions()
    assert (found["cpu_quota_cores"], found["memory_limit_bytes"]) == expected


def test_what_the_app_does_not_say_is_unknown():
    assert (conditions()["threads"], conditions()["image"]) == ("unknown", "unknown")
