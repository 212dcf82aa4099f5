"""Shared parts of the benchmarks: AWS emulator, worker process, CPU accounting, formatting of results."""

from __future__ import annotations

import platform
import statistics
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version

import boto3
import psutil

from benchmarks.programs import ROOT, running
from core.run import Host
from testing.polling import seconds_until
from testing.ports import free_port, is_open

KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def emulator() -> Iterator[str]:
    """Run an AWS emulator; yield its URL."""
    port = free_port()
    environment = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "SERVICES": "sqs"}
    with running([str(ROOT / ".tools/emulator/bin/ministack")], environment):
        seconds_until(lambda: is_open(port), "the emulator listens")
        yield f"http://127.0.0.1:{port}"


def python(*words: str) -> list[str]:
    """Return the command `python -m WORDS`."""
    return [sys.executable, "-m", *words]


def read_metrics(port: int) -> bytes | None:
    """Return the /metrics of a program; None if it does not answer."""
    asked = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept-Encoding": "gzip"})
    try:
        with urllib.request.urlopen(asked, timeout=5) as answer:  # noqa: S310
            return bytes(answer.read())
    except OSError:
        return None


def cpu_seconds(main: psutil.Process) -> float:
    """Return the CPU seconds of a process and its live descendants, including their reaped children."""
    used = 0.0
    for process in (main, *main.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            used += sum(process.cpu_times()[:4])
    return used


@dataclass(frozen=True)
class Queue:
    """A queue with messages in it."""

    url: str
    name: str
    endpoint_url: str

    @classmethod
    def make(cls, endpoint_url: str, name: str) -> Queue:
        """Create it."""
        return cls(_sqs(endpoint_url).create_queue(QueueName=name)["QueueUrl"], name, endpoint_url)

    def send(self, bodies: Sequence[str]) -> None:
        """Send messages, ten per call."""
        client = _sqs(self.endpoint_url)
        for k in range(0, len(bodies), 10):
            entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies[k : k + 10])]
            client.send_message_batch(QueueUrl=self.url, Entries=entries)


def machine() -> str:
    """Return a description of the machine, to print with every result."""
    host = Host.this()
    packages = " ".join(f"{name} {version(name)}" for name in ("celery", "kombu", "boto3", "prometheus_client"))
    return f"{host.cpu_model}, {host.cpu_count} cores, {host.system}, Python {platform.python_version()}, {packages}"


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Return the median and all repetitions in their order, as text."""
    return f"{statistics.median(values):{form}} (" + " ".join(f"{value:{form}}" for value in values) + ")"


def paired_ratio(above: Sequence[float], below: Sequence[float]) -> str:
    """Return the median and range of the ratios of neighbouring repetitions, as text."""
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return f"{statistics.median(ratios):.3f} (of {len(ratios)} pairs, {min(ratios):.3f} to {max(ratios):.3f})"


def _sqs(endpoint_url: str):
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}
    return boto3.client("sqs", endpoint_url=endpoint_url, **keys)
