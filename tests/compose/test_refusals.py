"""What deploy/compose/stack says before any engine is asked for much: one line, exit 2 or 3."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy/compose/stack"
ANSWERS = "exit 0"


@pytest.fixture
def stack(tmp_path):
    copy = tmp_path / "deploy/compose/stack"
    copy.parent.mkdir(parents=True)
    shutil.copy2(SCRIPT, copy)

    def run(*words, docker=ANSWERS, **options):
        fake = tmp_path / "bin/docker"
        fake.parent.mkdir(exist_ok=True)
        fake.write_text(f"#!/bin/sh\n{docker}\n")
        fake.chmod(0o755)
        kept = {k: v for k, v in os.environ.items() if k not in {"WORKERS", "CONCURRENCY", "COMPOSE_PROFILES"}}
        environment = kept | options | {"PATH": f"{fake.parent}:{os.environ['PATH']}"}
        return subprocess.run([copy, *words], env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize(
    ("docker", "said"),
    [
        ("exit 1", "error: docker compose; it is not there; "),
        ('[ "$1" != info ]', "error: Docker engine; it does not answer; "),
        (
            'case "$*" in "image inspect"*|pull*) echo no such host; exit 1;; *--images) echo quay/x:1;; esac',
            "image (quay/x:1)",
        ),
    ],
)
def test_what_the_machine_lacks_is_told_in_a_line(stack, docker, said):
    refused = stack("up", docker=docker)
    assert refused.returncode == 3
    assert said in refused.stderr
    assert refused.stderr.count("error: ") == 1


@pytest.mark.parametrize("options", [{"WORKERS": "0"}, {"WORKERS": "x"}, {"WORKERS": ""}, {"CONCURRENCY": "999"}])
def test_a_wrong_number_is_refused_with_its_name_and_value(stack, options):
    refused = stack("up", **options)
    ((name, value),) = options.items()
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: {name} ({value}); it must be a whole number; give 1 to ")


@pytest.mark.parametrize("name", ["AFORO_EXPORTER_TLS_CERTIFICATE", "AFORO_EXPORTER_AUTH_FILE"])
def test_exporters_that_this_prometheus_could_not_read_are_refused(stack, tmp_path, name):
    refused = stack("up", **{name: "/some/file"})
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert refused.stderr.startswith(f"error: {name} (/some/file); ")
    (tmp_path / ".env").write_text(f"{name}=/some/file\n")
    assert stack("up").returncode == 2
    assert stack("status").returncode == 0


@pytest.mark.parametrize(
    ("profiles", "told"),
    [
        ("emulator,grafana", []),
        ("aws", ["AWS_ACCESS_KEY_ID=", "AWS_ENDPOINT_URL=", "AWS_SECRET_ACCESS_KEY="]),
    ],
)
def test_without_the_emulator_its_address_and_keys_are_not_given(stack, tmp_path, monkeypatch, profiles, told):
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    tell = f'[ "$2" != --progress ] || env | grep ^AWS_ | sort >{tmp_path}/told'
    stack("status", docker=tell, COMPOSE_PROFILES=profiles)
    assert (tmp_path / "told").read_text().split() == told


def test_an_unknown_verb_is_refused(stack):
    assert stack("fly").returncode == 2


@pytest.mark.parametrize("name", ["grafana-admin-password", "postgres-reader-password"])
def test_a_password_is_made_once_and_for_this_user_alone(stack, tmp_path, name):
    secret = tmp_path / ".local/compose" / name
    stack("status")
    made = secret.read_text()
    stack("status")
    assert len(made) == 36
    assert secret.read_text() == made
    assert secret.parent.stat().st_mode & 0o077 == 0
