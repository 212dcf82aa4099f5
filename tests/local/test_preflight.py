"""Checks before the stack starts, and their error texts."""

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
    """Create a program with this name and script. No other program is in PATH."""
    file = tmp_path / name
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")


def test_the_error_of_a_taken_port_names_its_process_and_setting(taken_port):
    with pytest.raises(EnvironmentFault) as refusal:
        preflight.check_ports([Program("prometheus", taken_port, "AFORO_PROMETHEUS_URL")])
    assert str(refusal.value).startswith(
        f"port ({taken_port}); prometheus needs it and it is taken by pid {os.getpid()} ("
    )
    assert str(refusal.value).endswith("; change AFORO_PROMETHEUS_URL")
    assert refusal.value.exit_code == 3


def test_two_programs_with_one_port_are_an_error():
    with pytest.raises(EnvironmentFault, match=r"A_PORT and B_PORT both use it"):
        preflight.check_ports([Program("a", 1234, "A_PORT"), Program("b", 1234, "B_PORT")])


def test_a_missing_tool_names_its_package(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentFault, match=r"^ffmpeg; it is not installed; .*apt-get install ffmpeg$"):
        preflight.check_tools()


def test_an_ffmpeg_without_h264_is_an_error(tmp_path, monkeypatch):
    program(tmp_path, monkeypatch, "ffmpeg", "echo ' A..... aac  AAC'")
    with pytest.raises(EnvironmentFault, match="no libx264 encoder"):
        preflight.check_encoders()


def test_an_ffmpeg_that_hangs_is_an_error(tmp_path, monkeypatch):
    program(tmp_path, monkeypatch, "ffmpeg", "exec sleep 30")
    monkeypatch.setattr(requirement, "ANSWER_SECONDS", 0.2)
    with pytest.raises(EnvironmentFault, match="does not run"):
        preflight.check_encoders()


@pytest.mark.parametrize("name", ["AFORO_EXPORTER_TLS_CERTIFICATE", "AFORO_EXPORTER_AUTH_FILE"])
def test_exporters_with_tls_or_a_password_are_an_error(name):
    with pytest.raises(UsageError) as refusal:
        preflight.check_scrapes(Settings.from_env({name: "/some/file"}))
    assert str(refusal.value).startswith(f"{name} (/some/file); this stack's Prometheus scrapes exporters without it")
    elsewhere = {"AFORO_PROMETHEUS_URL": "https://prometheus.example"}
    preflight.check_scrapes(Settings.from_env({name: "/some/file"} | elsewhere))
    preflight.check_scrapes(Settings.from_env({}))


def test_a_central_store_without_a_prometheus_of_our_own_is_an_error():
    given = {"AFORO_REMOTE_WRITE_URL": "https://m.example/w", "AFORO_PROMETHEUS_LABELS": "team=video"}
    preflight.check_central_store(Settings.from_env(given))
    with pytest.raises(UsageError) as refusal:
        preflight.check_central_store(Settings.from_env(given | {"AFORO_PROMETHEUS_URL": "https://p.example"}))
    assert str(refusal.value).startswith("AFORO_REMOTE_WRITE_URL (https://m.example/w); this stack starts no Prom")


def test_a_full_disk_is_an_error(monkeypatch):
    monkeypatch.setattr(preflight, "LEAST_FREE_BYTES", 1 << 62)
    with pytest.raises(EnvironmentFault, match=r"^disk; only \d+ MB are free"):
        preflight.check_disk()
