"""For all tests: the environment is restored after each, an SQS emulator with its queues, and a PostgreSQL server."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pytest
from sqlalchemy import text

from core.database import open_engine
from testing import postgresql
from testing.emulator import program, running_emulator
from testing.queues import QueueFactory


@pytest.fixture(autouse=True)
def environment_of_one_test():
    """Undo what a test changes in the environment, such as by reading a `.env`, before the next test."""
    with mock.patch.dict(os.environ):
        yield


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


@pytest.fixture
def server_folder():
    """An empty folder for a server of another user, such as PostgreSQL, which `tmp_path` would not let in."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def postgresql_server():
    """URL of a PostgreSQL server that runs during the test session."""
    if postgresql.binaries() is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt install postgresql)")
    with TemporaryDirectory() as folder, postgresql.running_server(Path(folder)) as url:
        yield url


@pytest.fixture
def postgresql_url(postgresql_server):
    """URL of a PostgreSQL database without tables."""
    engine = open_engine(postgresql_server)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return postgresql_server
