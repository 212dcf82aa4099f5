"""Errors of deploy/compose/stack before it starts anything: one line, exit code 2 or 3."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy/compose/stack"
ANSWERS = "exit 0"
#: the console's check of the settings runs on this machine
CHECK = f"""
for word; do case $word in WORKERS=*) export "${{word?}}" ;; esac; done
case "$*" in *"core.compose_stack check") PYTHONPATH={ROOT} exec {sys.executable} -m core.compose_stack check ;; esac"""


@pytest.fixture
def stack(tmp_path):
    copy = tmp_path / "deploy/compose/stack"
    copy.parent.mkdir(parents=True)
    shutil.copy2(SCRIPT, copy)

    def run(*words, docker=ANSWERS, **options):
        fake = tmp_path / "bin/docker"
        fake.parent.mkdir(exist_ok=True)
        fake.write_text(f"#!/bin/sh\n{CHECK}\n{docker}\n")
        fake.chmod(0o755)
        inherited = {k: v for k, v in os.environ.items() if k not in {"WORKERS", "CONCURRENCY", "COMPOSE_PROFILES"}}
        environment = inherited | options | {"PATH": f"{fake.parent}:{os.environ['PATH']}"}
        return subprocess.run([copy, *words], env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize(
    ("docker", "line"),
    [
        ("exit 1", "error: docker compose; it is not there; "),
        ('[ "$1" != info ]', "error: Docker engine; it does not answer; "),
        (
            'case "$*" in "image inspect"*|pull*) echo no such host; exit 1;; *--images) echo quay/x:1;; esac',
            "image (quay/x:1)",
        ),
    ],
)
def test_a_problem_of_the_machine_is_one_line(stack, docker, line):
    refused = stack("up", docker=docker)
    assert refused.returncode == 3
    assert line in refused.stderr
    assert refused.stderr.count("error: ") == 1


@pytest.mark.parametrize("options", [{"WORKERS": "0"}, {"WORKERS": "x"}, {"WORKERS": ""}, {"CONCURRENCY": "999"}])
def test_an_invalid_number_is_an_error_with_name_and_value(stack, options):
    refused = stack("up", **options)
    ((name, value),) = options.items()
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: {name} ({value}); it must be a whole number; give 1 to ")


@pytest.mark.parametrize("profile", ["nothing", "nothing.toml"])
def test_a_profile_that_is_none_is_an_error_before_anything_starts(stack, profile):
    refused = stack("up", PROFILE=profile)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith(f"error: PROFILE ({profile}); ")


@pytest.mark.parametrize("name", ["AFORO_EXPORTER_TLS_CERTIFICATE", "AFORO_EXPORTER_AUTH_FILE"])
def test_exporters_with_tls_or_a_password_are_an_error(stack, tmp_path, name):
    refused = stack("up", **{name: "/some/file"})
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert refused.stderr.startswith(f"error: {name} (/some/file); ")
    (tmp_path / ".env").write_text(f"{name}=/some/file\n")
    assert stack("up").returncode == 2
    assert stack("status").returncode == 0


@pytest.mark.parametrize(
    ("profiles", "variables"),
    [
        ("emulator,grafana", []),
        ("aws", ["AWS_ACCESS_KEY_ID=", "AWS_ENDPOINT_URL=", "AWS_SECRET_ACCESS_KEY="]),
    ],
)
def test_without_the_emulator_its_endpoint_and_keys_are_not_set(stack, tmp_path, monkeypatch, profiles, variables):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    script = f'[ "$2" != --progress ] || env | grep ^AWS_ | sort >{tmp_path}/variables'
    stack("status", docker=script, COMPOSE_PROFILES=profiles)
    assert (tmp_path / "variables").read_text().split() == variables


def test_an_invalid_setting_of_the_dotenv_file_is_an_error_before_anything_starts(stack, tmp_path):
    (tmp_path / ".env").write_text("AFORO_QUEUE_LONG_POLL_SECONDS=99\n")
    refused = stack("up")
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: AFORO_QUEUE_LONG_POLL_SECONDS (99); it must be ")


def test_an_unknown_verb_is_an_error(stack):
    assert stack("fly").returncode == 2


@pytest.mark.parametrize("name", ["grafana-admin-password", "postgres-reader-password"])
def test_a_password_is_generated_once_and_readable_by_this_user_only(stack, tmp_path, name):
    secret = tmp_path / ".local/compose" / name
    stack("status")
    password = secret.read_text()
    stack("status")
    assert len(password) == 36
    assert secret.read_text() == password
    assert secret.parent.stat().st_mode & 0o077 == 0
