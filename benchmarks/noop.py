"""Run a worker of `noop_app` on a full queue, and read when its tasks ran."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from celery import Celery

from benchmarks.harness import Queue, python
from benchmarks.programs import running
from core.task_message import TaskMessage, encode_task
from testing.emulator import KEYS
from testing.polling import seconds_until


@dataclass(frozen=True)
class NoopWorker:
    """A running worker: its main process, and the times at which its tasks ran."""

    process: psutil.Process
    log: Path

    def moments(self) -> list[float]:
        """Return the times at which the tasks ran, in order."""
        return sorted(float(moment) for moment, _ in self._lines())

    def task_ids(self) -> list[str]:
        """Return the id of the task of each execution. An id that occurs twice is a duplicate."""
        return [task_id for _, task_id in self._lines()]

    def _lines(self) -> list[list[str]]:
        return [line.split() for line in self.log.read_text().splitlines()] if self.log.exists() else []


@contextmanager
def worker(queue: Queue, folder: Path, tasks: int, *flags: str, **environment: str) -> Iterator[NoopWorker]:
    """Context manager: start a worker on `tasks` messages. Yield the worker when its first task has run.

    `flags` are options of `celery worker`. `environment` are additional environment variables.
    """
    queue.send([message(queue) for _ in range(tasks)])
    log = folder / f"{queue.name}.log"
    variables = {
        "AWS_ENDPOINT_URL": queue.endpoint_url,
        "NOOP_QUEUE": queue.name,
        "NOOP_QUEUE_URL": queue.url,
        "NOOP_LOG": str(log),
        "PYTHONPATH": ".",
        **KEYS,
        **environment,
    }
    command = python("celery", "-A", "benchmarks.noop_app", "worker", "--without-gossip", "--without-mingle", *flags)
    with running(command, variables, folder / f"{queue.name}.out") as process:
        noop_worker = NoopWorker(process, log)
        seconds_until(noop_worker.moments, "the worker runs a task")
        yield noop_worker


def message(queue: Queue) -> str:
    """Return one message for the task, as kombu would send it."""
    task = TaskMessage("noop", os.urandom(8).hex(), queue.url)
    return encode_task(Celery("noop", set_as_current=False), task)
