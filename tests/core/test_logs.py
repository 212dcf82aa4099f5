import logging
import time

import pytest

from core import logs


@pytest.fixture
def root():
    """Return the root logger, which is restored after the test."""
    logger = logging.getLogger()
    saved = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:], logger.level = saved


@pytest.fixture
def tokyo(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_lines_have_utc_time_and_no_secret(root, tokyo, capsys):
    logs.configure()
    record = logging.makeLogRecord({"name": "x", "levelno": 20, "levelname": "INFO", "msg": "at redis://u:hunter2@h"})
    record.created, record.msecs = 0.0, 0.0
    root.handle(record)
    assert capsys.readouterr().err == "1970-01-01 00:00:00,000 INFO x at redis://u:***@h\n"


def test_a_traceback_has_no_secret(root, capsys):
    logs.configure()
    try:
        raise ConnectionError("cannot reach redis://u:hunter2@h")
    except ConnectionError:
        root.exception("a delivery failed")
    text = capsys.readouterr().err
    assert text.rstrip().endswith("ConnectionError: cannot reach redis://u:***@h")
    assert "hunter2" not in text
