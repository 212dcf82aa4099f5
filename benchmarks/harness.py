"""Run emulators, create queues, measure CPU, and format results and claims, for all benchmarks."""

from __future__ import annotations

import math
import platform
import statistics
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version

import psutil

from benchmarks.programs import exit_on_sigterm
from core.run import Host
from testing.emulator import program, running_emulator, sqs_client


@contextmanager
def emulator() -> Iterator[str]:
    """Run an AWS emulator. Yield its URL."""
    exit_on_sigterm()
    with running_emulator(program() or "ministack") as url:
        yield url


def python(*words: str) -> list[str]:
    """Return the command `python -m` followed by `words`."""
    return [sys.executable, "-m", *words]


def read_metrics(port: int) -> bytes | None:
    """Return the text of a program's /metrics, or None if the program does not answer."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept-Encoding": "gzip"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            return bytes(answer.read())
    except OSError:
        return None


def cpu_seconds(main: psutil.Process) -> float:
    """Return the CPU seconds of a process and its live descendants.

    Children that have ended count too, once their parent has reaped them.
    """
    used = 0.0
    for process in (main, *main.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            used += sum(process.cpu_times()[:4])
    return used


@dataclass(frozen=True)
class Queue:
    """An SQS queue of a benchmark, without a dead-letter queue."""

    url: str
    name: str
    endpoint_url: str

    @classmethod
    def make(cls, endpoint_url: str, name: str) -> Queue:
        """Create the queue `name` in the emulator at `endpoint_url`, and return it."""
        return cls(sqs_client(endpoint_url).create_queue(QueueName=name)["QueueUrl"], name, endpoint_url)

    def send(self, bodies: Sequence[str]) -> None:
        """Send messages, ten per call."""
        client = sqs_client(self.endpoint_url)
        for k in range(0, len(bodies), 10):
            entries = [{"Id": str(i), "MessageBody": body} for i, body in enumerate(bodies[k : k + 10])]
            client.send_message_batch(QueueUrl=self.url, Entries=entries)


@dataclass(frozen=True)
class Claim:
    """Claim that a share is from `least` to `most`, and the measured share: `hits` of `of`.

    From 0 to 1 claims nothing.
    """

    text: str
    least: float
    most: float
    hits: int
    of: int

    def holds(self, standard_errors: float = 0.0) -> bool:
        """Return True if the share is within the claim, or misses it by fewer standard errors of the simulation."""
        bound = self.least or self.most
        error = standard_errors * math.sqrt(bound * (1 - bound) / max(1, self.of))
        return self.least - error <= self.hits / max(1, self.of) <= self.most + error

    def line(self, standard_errors: float = 0.0) -> str:
        """Return the claim beside the measured share."""
        bound = f"at least {self.least:.0%}" if self.least else f"at most {self.most:.1%}"
        bound = "no claim" if (self.least, self.most) == (0, 1) else f"claimed {bound}"
        share = f"measured {self.hits / max(1, self.of):.1%} ({self.hits} of {self.of})"
        return f"  {self.text:<62} {bound:<22} {share}{'' if self.holds(standard_errors) else '  DOES NOT HOLD'}"


def machine() -> str:
    """Return a description of the machine and the versions, which is printed with every result."""
    host = Host.this()
    packages = " ".join(f"{name} {version(name)}" for name in ("celery", "kombu", "boto3", "prometheus_client"))
    return f"{host.cpu_model}, {host.cpu_count} cores, {host.system}, Python {platform.python_version()}, {packages}"


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Return a text with the median, then all repetitions in the order of measurement."""
    return f"{statistics.median(values):{form}} (" + " ".join(f"{value:{form}}" for value in values) + ")"


def paired_ratio(above: Sequence[float], below: Sequence[float]) -> str:
    """Return a text with the median and the range of `above` / `below`.

    Repetitions that ran one after the other form a pair.
    """
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return f"{statistics.median(ratios):.3f} (of {len(ratios)} pairs, {min(ratios):.3f} to {max(ratios):.3f})"
