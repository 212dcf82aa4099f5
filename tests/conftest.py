"""An SQS of the tests' own, and queues in it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

ROOT = Path(__file__).parents[1]
EMULATOR = ROOT / ".tools/emulator/bin/ministack"
KEY = "test"
REGION = "us-east-1"


def free_port() -> int:
    """Return a TCP port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def sqs_client(endpoint_url: str) -> Any:
    """Return an SQS client of the tests, impatient."""
    config = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1})
    return boto3.client(
        "sqs",
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=KEY,
        aws_secret_access_key=KEY,
        config=config,
    )


def poll_until(condition, what, seconds=30.0, every=0.05):
    """Return the first true value of `condition()`; fail with `what` and the last value after the deadline."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {seconds:g} s: {what}; last seen: {value!r}")
        time.sleep(every)
    return value


@pytest.fixture(scope="session")
def emulator(tmp_path_factory):
    """The endpoint URL of an SQS emulator that lives as long as the tests."""
    program = str(EMULATOR) if EMULATOR.exists() else shutil.which("ministack")
    if program is None:
        pytest.skip("ministack is not installed; `make setup` installs it")
    port, folder = free_port(), tmp_path_factory.mktemp("emulator")
    environment = os.environ | {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "SERVICES": "sqs,s3",
        "DOCKER_HOST": "unix:///nonexistent",
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "TMPDIR": str(folder),
    }
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([program], env=environment, cwd=folder, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        poll_until(lambda: _answers(url), f"{program} answers", seconds=30)
        yield url
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()


def _answers(url: str) -> bool:
    try:
        sqs_client(url).list_queues()
    except (BotoCoreError, ClientError):
        return False
    return True


@dataclass(frozen=True)
class TestQueue:
    """A queue with its dead-letter queue."""

    __test__ = False

    client: Any
    name: str
    url: str
    dead_letter_url: str | None
    endpoint_url: str

    def counts(self) -> dict[str, int]:
        """Return how many messages are visible, in flight and dead-lettered."""
        counts = self._read(self.url)
        counts["dead"] = self._read(self.dead_letter_url)["visible"] if self.dead_letter_url else 0
        return counts

    def dead_letters(self) -> list[dict[str, str]]:
        """Take all dead letters; each as its body and its reason."""
        letters: list[dict[str, str]] = []
        while found := self._receive(self.dead_letter_url):
            letters += [{"body": m["Body"], "reason": _reason(m)} for m in found]
        return letters

    def _receive(self, url: str | None) -> list[Any]:
        options = {"MaxNumberOfMessages": 10, "MessageAttributeNames": ["All"], "VisibilityTimeout": 60}
        return list(self.client.receive_message(QueueUrl=url, **options).get("Messages", []))

    def _read(self, url: str) -> dict[str, int]:
        found = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return {
            "visible": int(found["ApproximateNumberOfMessages"]),
            "in_flight": int(found["ApproximateNumberOfMessagesNotVisible"]),
        }


def _reason(message: dict[str, Any]) -> str:
    return str(message.get("MessageAttributes", {}).get("aforo_reason", {}).get("StringValue", ""))


@dataclass
class QueueMaker:
    """Makes queues with names of their own."""

    endpoint_url: str
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __call__(self, visibility_timeout_seconds: int = 30, max_receive_count: int | None = 8) -> TestQueue:
        client = sqs_client(self.endpoint_url)
        name = f"t{os.getpid()}-{time.monotonic_ns()}-{next(self.numbers)}"
        attributes = {"VisibilityTimeout": str(visibility_timeout_seconds), "ReceiveMessageWaitTimeSeconds": "1"}
        dead_letter_url = None
        if max_receive_count is not None:
            dead_letter_url = client.create_queue(QueueName=f"{name}-dlq")["QueueUrl"]
            arn = client.get_queue_attributes(QueueUrl=dead_letter_url, AttributeNames=["QueueArn"])["Attributes"]
            policy = {"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": str(max_receive_count)}
            attributes["RedrivePolicy"] = json.dumps(policy)
        url = client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return TestQueue(client, name, url, dead_letter_url, self.endpoint_url)


@pytest.fixture
def sqs_queue(emulator):
    """Return what makes queues: `sqs_queue(visibility_timeout_seconds=4, max_receive_count=None)`."""
    return QueueMaker(emulator)
