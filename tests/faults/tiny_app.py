"""A minimal Celery app on our transport or, with TINY_STOCK=1, on kombu's own transport.

Its task writes one line per start and end to TINY_LOG. Run it as `celery -A tests.faults.tiny_app worker`.
"""

from __future__ import annotations

import os
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

import boto3
from celery import Celery, Task
from celery.utils.log import get_task_logger
from celery.worker.request import Request

from aforo.sqs import MessagePolicy, ReceivedMessage, VisibilityHeartbeat, harden
from testing.lost_poll import lose_one_poll

logger = get_task_logger(__name__)
LOG = Path(os.environ["TINY_LOG"])
QUEUE, URL, ENDPOINT = os.environ["TINY_QUEUE"], os.environ["TINY_QUEUE_URL"], os.environ["TINY_ENDPOINT"]
VISIBILITY_SECONDS = int(os.environ.get("TINY_VISIBILITY_SECONDS", "30"))
IS_STOCK = os.environ.get("TINY_STOCK") == "1"
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-east-1"}

app = Celery("tiny", broker=ENDPOINT.replace("http://", "sqs://test:test@"))
app.conf.update(
    task_default_queue=QUEUE,
    task_acks_late=True,
    task_reject_on_worker_lost=os.environ.get("TINY_REJECT", "1") == "1",
    task_acks_on_timeout=os.environ.get("TINY_ACKS_ON_TIMEOUT", "0") == "1",
    task_time_limit=float(os.environ["TINY_TIME_LIMIT"]) if "TINY_TIME_LIMIT" in os.environ else None,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_enable_remote_control=False,
    worker_soft_shutdown_timeout=float(os.environ.get("TINY_SHUTDOWN_SECONDS", "0")),
    accept_content=["json"],
    broker_transport_options={
        "region": "us-east-1",
        "is_secure": False,
        "wait_time_seconds": int(os.environ.get("TINY_WAIT_SECONDS", "2")),
        "predefined_queues": {QUEUE: {"url": URL, "access_key_id": "test", "secret_access_key": "test"}},
    },
)


def write(*words: object) -> None:
    with LOG.open("a") as log:
        log.write(" ".join(map(str, words)) + "\n")


class Log:
    """An observer that writes its calls to the log."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def polled(self, result: str) -> None:
        write("polled", result)

    def invalid_message(self, reason: str) -> None:
        write("invalid", reason)

    def pending_deletes(self, count: int) -> None:
        write("pending", count)

    def handled_error(self, operation: str) -> None:
        write("handled", operation)

    def visibility_extended(self, result: str) -> None:
        write("extended", *self.names, result)


if not IS_STOCK:
    harden(app, Log(), MessagePolicy(app.tasks, largest_body_bytes=256 * 1024, allows_compression=False))


if os.environ.get("TINY_LOSE_POLL") == "1":
    lose_one_poll()  # the second of this process, which is the first one after the warm-up


@lru_cache(maxsize=1)
def sqs_of_process(_pid: int) -> Any:
    """Return the SQS client of a process, because a client does not survive a fork."""
    return boto3.client("sqs", endpoint_url=ENDPOINT, **KEYS)


class Raising(Request):
    """A request that raises while Celery holds a slot for it, if its task is named `raises…`."""

    def revoked(self) -> bool:
        if str(self.args[0]).startswith("raises"):
            raise RuntimeError("whatever Celery raises")
        return bool(super().revoked())


class RaisingTask(Task):
    Request = Raising


@app.task(name="tiny.work", bind=True, base=RaisingTask)
def work(self, name: str, seconds: float = 0.0) -> None:
    write("start", name, time.time())
    message = ReceivedMessage.from_request(self.request)
    if IS_STOCK or message is None:
        time.sleep(seconds)
    else:
        client = sqs_of_process(os.getpid())
        with VisibilityHeartbeat(client, message, VISIBILITY_SECONDS, observer=Log(name)):
            time.sleep(seconds)
    write("end", name, time.time())
