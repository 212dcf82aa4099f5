"""An SQS emulator for all tests, and queues in it."""

from __future__ import annotations

import pytest

from testing.emulator import program, running_emulator
from testing.queues import QueueFactory


@pytest.fixture(scope="session")
def emulator():
    """Endpoint URL of an SQS emulator that runs during the test session."""
    command = program()
    if command is None:
        pytest.skip("ministack is not installed; `make setup` installs it")
    with running_emulator(command) as url:
        yield url


@pytest.fixture
def sqs_queue(emulator):
    """Return a factory of queues: `sqs_queue(visibility_timeout_seconds=4, max_receive_count=None)`."""
    return QueueFactory(emulator)
