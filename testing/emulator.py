"""Run an emulator of SQS and S3 on this machine for tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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


@contextmanager
def running_emulator(command: str, host: str = "127.0.0.1") -> Iterator[str]:
    """Context manager: run the SQS and S3 emulator in a temporary folder. Yield its endpoint URL.

    `command` is the path of the emulator program.
    """
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="emulator-") as folder:
        environment = os.environ | {
            "GATEWAY_PORT": str(port),
            "BIND_HOST": host,
            "SERVICES": "sqs,s3",
            "DOCKER_HOST": "unix:///nonexistent",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "LOG_LEVEL": "WARNING",
            "TMPDIR": folder,
        }
        with (Path(folder) / "log").open("w") as log:
            process = subprocess.Popen([command], env=environment, cwd=folder, stdout=log, stderr=log)
        url = f"http://{host}:{port}"
        try:
            until(lambda: _answers(url), f"{command} answers")
            yield url
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()


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


def _answers(url: str) -> bool:
    try:
        sqs_client(url).list_queues()
    except (BotoCoreError, ClientError):
        return False
    return True
