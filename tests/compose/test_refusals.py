"""Errors of deploy/compose/stack before it starts anything: one line, exit code 2 or 3."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from testing.ports import free_port

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "deploy/compose/stack"
ANSWERS = "exit 0"
#: the console's check of the settings runs on this machine
CHECK = f"""
for word; do case $word in WORKERS=*) export "${{word?}}" ;; esac; done
case "$*" in
*"core.compose_stack check"*) PYTHONPATH={ROOT} exec {sys.executable} -m core.compose_stack "$word" ;;
*core.remote_write) PYTHONPATH={ROOT} exec {sys.executable} -m core.remote_write ;;
esac"""


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


def test_a_central_store_that_does_not_answer_is_one_line_and_starts_nothing(stack, tmp_path):
    shutil.copytree(ROOT / "prometheus", tmp_path / "prometheus")
    given = {"AFORO_REMOTE_WRITE_URL": f"http://127.0.0.1:{free_port()}/w", "AFORO_PROMETHEUS_LABELS": "team=video"}
    refused = stack("up", docker=f'case "$*" in *" up "*) touch {tmp_path}/started;; esac', **given)
    assert refused.returncode == 3
    assert refused.stderr.count("error: AFORO_REMOTE_WRITE_URL (http://127.0.0.1:") == 1
    assert not (tmp_path / "started").exists()


def test_labels_and_the_password_reach_prometheus_by_a_folder_of_its_own(stack, tmp_path):
    """The name of the folder changes with its content, so that compose replaces Prometheus."""
    shutil.copytree(ROOT / "prometheus", tmp_path / "prometheus")
    (tmp_path / "secret").write_text("s3cret")
    note = f'case "$*" in *" up "*) echo "$AFORO_COMPOSE_PROMETHEUS_FOLDER" >>{tmp_path}/folders; exit 1;; esac'
    for team in ("video", "video", "audio"):
        stack("up", docker=note, AFORO_PROMETHEUS_LABELS=f"team={team}", AFORO_REMOTE_WRITE_CREDENTIALS_FILE="secret")
    first, second, third = (tmp_path / "folders").read_text().split()
    assert first == second != third
    text = (tmp_path / third / "prometheus.compose.yml").read_text()
    assert 'external_labels: {"team": "audio"}' in text
    assert (tmp_path / third / "remote-write-credentials").read_text() == "s3cret"
    assert (tmp_path / third / "rules").is_dir()
    assert (tmp_path / ".local/compose").stat().st_mode & 0o077 == 0
    assert not (tmp_path / first).exists()


@pytest.mark.parametrize("options", [{"WORKERS": "0"}, {"WORKERS": "x"}, {"WORKERS": ""}, {"CONCURRENCY": "999"}])
def test_an_invalid_number_is_an_error_with_name_and_value(stack, options):
    refused = stack("up", **options)
    ((name, value),) = options.items()
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: {name} ({value}); it must be a whole number; give 1 to ")


@pytest.mark.parametrize("verb", ["matrix", "search"])
@pytest.mark.parametrize(
    ("options", "things"),
    [
        ({"WORKERS": "1,0"}, "workers, 1 to 1000"),
        ({"WORKERS": "1,x"}, "workers, 1 to 1000"),
        ({"WORKERS": ""}, "workers, 1 to 1000"),
        ({"CONCURRENCY": "2,999"}, "slots, 1 to 512"),
    ],
)
def test_an_invalid_list_of_a_matrix_or_search_is_an_error_before_its_first_run(stack, verb, options, things):
    refused = stack("run", "capacity", verb, **options)
    ((name, value),) = options.items()
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr == f"error: {name} ({value}); it must be whole numbers of {things}; give 1,2,4\n"


def test_each_number_of_workers_is_a_call_of_its_own_and_the_first_number_comes_back(stack, tmp_path):
    script = f"""
case "$*" in *"ps --quiet worker") echo one; echo two ;; esac
case "$*" in *" up "*) echo "up $WORKERS" >>{tmp_path}/calls ;; esac
case "$*" in *capacity*) echo "$* $CONCURRENCY" | sed 's/.*env WORKERS/WORKERS/' >>{tmp_path}/calls ;; esac
exit 0"""
    ended = stack("run", "capacity", "matrix", docker=script, WORKERS="1,3", CONCURRENCY="1,2")
    assert ended.returncode == 0, ended.stderr
    calls = (tmp_path / "calls").read_text().splitlines()
    assert [call for call in calls if call.startswith("up")] == ["up 1", "up 1", "up 3", "up 3", "up 2"]
    runs = [(call.split()[0], call.split()[-1]) for call in calls if "capacity" in call]
    assert runs == [("WORKERS=1", "1"), ("WORKERS=1", "2"), ("WORKERS=3", "1"), ("WORKERS=3", "2")]


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
