"""Run an emulator of SQS and S3 on this machine for tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from testing.polling import until
from testing.ports import free_port

ROOT = Path(__file__).parents[1]
KEY = "test"
REGION = "us-east-1"
KEYS = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": KEY, "AWS_DEFAULT_REGION": REGION}


def program() -> str | None:
    """Return the path of the emulator program for SQS and S3, or None if it is not installed.

    A program that `make setup` installed takes precedence over a program in PATH.
    """
    installed = ROOT / ".tools/emulator/bin/ministack"
    return str(installed) if installed.exists() else shutil.which("ministack")


@dataclass
class Emulator:
    """SQS and S3 emulator that can be restarted, with its files in `folder`. `command` is the path of its program.

    The emulator holds its messages in memory. When SIGTERM ends it, it writes them to `folder`, and the next start
    reads them. After SIGKILL they are lost.
    """

    command: str
    folder: Path
    host: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Return the endpoint URL of SQS and S3."""
        return f"http://{self.host}:{self.port}"

    def start(self) -> None:
        """Start the emulator, and wait until it answers."""
        environment = os.environ | {
            "GATEWAY_PORT": str(self.port),
            "BIND_HOST": self.host,
            "SERVICES": "sqs,s3",
            "DOCKER_HOST": "unix:///nonexistent",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "LOG_LEVEL": "WARNING",
            "TMPDIR": str(self.folder),
            "PERSIST_STATE": "1",
            "STATE_DIR": str(self.folder / "state"),
        }
        with (self.folder / "log").open("a") as log:
            self._process = subprocess.Popen([self.command], env=environment, cwd=self.folder, stdout=log, stderr=log)
        client = sqs_client(self.url)  # takes as much CPU as many of its calls
        until(lambda: _answers(client), f"{self.command} answers", seconds=120)

    def stop(self, signal_number: int = signal.SIGTERM) -> None:
        """Send a signal to the emulator, and wait until it ends. SIGTERM keeps its messages."""
        if self._process is not None:
            self._process.send_signal(signal_number)
            self._process.wait(timeout=60)


@contextmanager
def running_emulator(command: str, host: str = "127.0.0.1") -> Iterator[str]:
    """Context manager: run the SQS and S3 emulator in a temporary folder. Yield its endpoint URL.

    `command` is the path of the emulator program.
    """
    with tempfile.TemporaryDirectory(prefix="emulator-") as folder:
        emulator = Emulator(command, Path(folder), host)
        try:
            emulator.start()
            yield emulator.url
        finally:
            emulator.stop(signal.SIGKILL)


def sqs_client(endpoint_url: str) -> Any:
    """Return a boto3 SQS client for the emulator, with short timeouts and no retries."""
    config = Config(connect_timeout=2, read_timeout=10, retries={"total_max_attempts": 1})
    return boto3.client(
        "sqs",
        endpoint_url=endpoint_url,
        region_name=REGION,
        aws_access_key_id=KEY,
        aws_secret_access_key=KEY,
        config=config,
    )


def _answers(client: Any) -> bool:
    try:
        client.list_queues()
    except (BotoCoreError, ClientError):
        return False
    return True
