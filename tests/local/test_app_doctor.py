"""The doctor of an app's aforo.toml: what it says of a queue that it cannot read."""

from __future__ import annotations

import socket

import pytest

from core.errors import EnvironmentFault
from core.settings import Settings
from local.app_doctor import CONTAINER_LINES, _no_queue
from testing.emulator import ROOT
from testing.ports import free_port

FAULT = EnvironmentFault("queue", "it did not answer", "check AWS_ENDPOINT_URL")


@pytest.mark.parametrize(("listens", "stack", "level"), [(False, "native", "warn"), (True, "native", "error")])
def test_an_emulator_that_is_not_started_yet_is_no_error(listens, stack, level):
    port = free_port()
    with socket.socket() as other:
        if listens:
            other.bind(("127.0.0.1", port))
            other.listen()
        settings = Settings.from_env({"AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}", "STACK": stack})
        finding = _no_queue(settings, FAULT)
    assert finding.level == level
    assert ("`make up APP=…` starts an emulator" in finding.line) is not listens


def test_a_queue_of_aws_that_does_not_answer_is_an_error():
    assert _no_queue(Settings.from_env({"STACK": "aws"}), FAULT).level == "error"


def test_the_ports_that_a_container_needs_are_those_of_the_page():
    page = (ROOT / "docs/your-own-worker.md").read_text(encoding="utf-8")
    assert CONTAINER_LINES[-1] == "ports 9101-9110:9101"
    assert 'ports: ["9101-9110:9101"]' in page
