"""Where a worker cannot be measured, `instrument` and `stage` log one line and change nothing."""

import sys
import types

import celery
import pytest

import aforo
from aforo.telemetry import send_time


@pytest.fixture
def fresh(monkeypatch):
    """The module as if no function had been used yet."""
    for name in ("instrument", "stage"):
        monkeypatch.delitem(vars(aforo), name, raising=False)


@pytest.mark.usefixtures("fresh")
@pytest.mark.parametrize("version", [(5, 2, 7, "", ""), (6, 0, 0, "", "")])
def test_an_unknown_celery_is_one_line(monkeypatch, caplog, version):
    monkeypatch.setattr(celery, "VERSION", version)
    assert aforo.instrument(object()) is None
    assert aforo.instrument(object()) is None
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("aforo cannot measure this worker, which runs unmeasured: Celery ")


@pytest.mark.usefixtures("fresh")
def test_a_library_that_cannot_be_imported_leaves_the_stages_of_a_task_without_effect(monkeypatch, caplog):
    broken = types.ModuleType("aforo.telemetry.stages")  # as on a Python without a name that it imports
    monkeypatch.setitem(sys.modules, "aforo.telemetry.stages", broken)
    with aforo.stage("download"):
        done = True
    assert done
    assert len(caplog.records) == 1


@pytest.mark.usefixtures("fresh")
def test_with_strict_an_unknown_celery_ends_the_worker(monkeypatch):
    monkeypatch.setattr(celery, "VERSION", (5, 2, 7, "", ""))
    monkeypatch.setenv("AFORO_STRICT", "1")
    with pytest.raises(SystemExit, match="Celery"):
        aforo.instrument(object())


class OldConnection:
    """kombu's connection to SQS before 5.5."""

    def receive_message(self, queue, attributes=("ApproximateReceiveCount",), wait_time_seconds=None):
        return self._create_json_request("ReceiveMessage", {"AttributeName.1": attributes[0]}, queue), attributes

    def _create_json_request(self, operation, params, queue_url):
        return operation, params, queue_url


def test_an_old_kombu_requests_the_send_time_in_both_protocols():
    for _ in range(2):
        send_time._extend_requests(OldConnection)
    (operation, params, _), attributes = OldConnection().receive_message("q")
    assert attributes == ("ApproximateReceiveCount", "SentTimestamp")
    assert (operation, params["AttributeNames"]) == ("ReceiveMessage", ["ApproximateReceiveCount", "SentTimestamp"])
    assert OldConnection()._create_json_request("DeleteMessage", {}, "q") == ("DeleteMessage", {}, "q")
