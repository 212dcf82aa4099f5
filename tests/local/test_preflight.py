"""What is refused before anything is started, and in which words."""

import os
import socket

import pytest

from core.errors import EnvironmentFault, UsageError
from core.ffmpeg import requirement
from core.settings import Settings
from local import preflight
from local.programs import Program


@pytest.fixture
def taken_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def program(tmp_path, monkeypatch, name, script):
    """Put a program of that name alone on PATH."""
    file = tmp_path / name
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")


def test_a_taken_port_names_its_holder_and_the_variable_that_moves_it(taken_port):
    with pytest.raises(EnvironmentFault) as refusal:
        preflight.check_ports([Program("prometheus", taken_port, "AFORO_PROMETHEUS_URL")])
    assert str(refusal.value).startswith(
        f"port ({taken_port}); prometheus needs it and it is taken by pid {os.getpid()} ("
    )
    assert str(refusal.value).endswith("; change AFORO_PROMETHEUS_URL")
    assert refusal.value.exit_code == 3


def test_two_programs_may_not_share_a_port():
    with pytest.raises(EnvironmentFault, match=r"A_PORT and B_PORT both use it"):
        preflight.check_ports([Program("a", 1234, "A_PORT"), Program("b", 1234, "B_PORT")])


def test_a_missing_tool_names_its_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFault, match=r"^ffmpeg; it is not installed; .*apt-get install ffmpeg$"):
        preflight.check_tools()


def test_an_ffmpeg_without_h264_is_refused(tmp_path, monkeypatch):
    program(tmp_path, monkeypatch, "ffmpeg", "echo ' A..... aac  AAC'")
    with pytest.raises(EnvironmentFault, match="no libx264 encoder"):
        preflight.check_encoders()


def test_an_ffmpeg_that_hangs_is_not_waited_for(tmp_path, monkeypatch):
    program(tmp_path, monkeypatch, "ffmpeg", "exec sleep 30")
    monkeypatch.setattr(requirement, "ANSWER_SECONDS", 0.2)
    with pytest.raises(EnvironmentFault, match="does not run"):
        preflight.check_encoders()


@pytest.mark.parametrize("name", ["AFORO_EXPORTER_TLS_CERTIFICATE", "AFORO_EXPORTER_AUTH_FILE"])
def test_exporters_that_our_own_prometheus_could_not_read_are_refused(name):
    with pytest.raises(UsageError) as refusal:
        preflight.check_scrapes(Settings.from_env({name: "/some/file"}))
    assert str(refusal.value).startswith(f"{name} (/some/file); this stack's Prometheus scrapes exporters without it")
    elsewhere = {"AFORO_PROMETHEUS_URL": "https://prometheus.example"}
    preflight.check_scrapes(Settings.from_env({name: "/some/file"} | elsewhere))
    preflight.check_scrapes(Settings.from_env({}))


def test_a_full_disk_is_refused(monkeypatch):
    monkeypatch.setattr(preflight, "LEAST_FREE_BYTES", 1 << 62)
    with pytest.raises(EnvironmentFault, match=r"^disk; only \d+ MB are free"):
        preflight.check_disk()
