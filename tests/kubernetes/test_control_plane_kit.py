"""The parts of the control plane's test kit that need no control plane."""

from __future__ import annotations

import re

import pytest

from testing.emulator import ROOT
from testing.kubernetes import programs
from testing.kubernetes.documented_commands import install_commands

GO_MOD = """module k8s.io/kubernetes

go 1.24.0

replace example.org/old v0.1.0 => example.org/new v0.2.0

replace (
	k8s.io/api => ./staging/src/k8s.io/api
	k8s.io/client-go => ./staging/src/k8s.io/client-go
)
"""


def test_the_documented_order_is_namespace_secret_apply():
    commands = list(install_commands("postgresql://owner", "postgresql://reader", "/overlay"))
    assert [words[:2] for words in commands] == [["create", "namespace"], ["-n", "aforo"], ["apply", "-k"]]
    secret = commands[1]
    assert secret[2:5] == ["create", "secret", "generic"]
    assert secret[-2:] == [
        "--from-literal=AFORO_DATABASE_URL=postgresql://owner",
        "--from-literal=AFORO_DATABASE_READONLY_URL=postgresql://reader",
    ]
    assert commands[2][-1] == "/overlay"


@pytest.mark.parametrize(("name", "reason"), [("go", "it builds the control plane"), ("openssl", "certificates")])
def test_a_machine_without_a_program_gets_one_line(monkeypatch, name, reason):
    monkeypatch.setattr(programs.shutil, "which", lambda each: None if each == name else f"/usr/bin/{each}")
    missing = programs.missing_requirement()
    assert missing is not None
    assert missing.startswith(f"there is no {name}: ")
    assert reason in missing
    assert "\n" not in missing


def test_everything_that_a_start_reads_is_downloaded_before_the_tests(monkeypatch):
    """A download can take longer than the timeout of the first test."""
    downloaded = []
    monkeypatch.setattr(programs, "MODULES", ())
    monkeypatch.setattr(programs, "source", downloaded.append)
    programs.build_missing()
    text = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "testing/kubernetes").glob("*.py"))
    read = {getattr(programs, name).path for name in re.findall(r"source\(([A-Z_]+)\)", text)}
    assert programs.PROMETHEUS_OPERATOR.path in read
    assert {module.path for module in downloaded} == read


def test_a_program_is_built_with_the_replacements_of_its_own_module(monkeypatch, tmp_path):
    (tmp_path / "go.mod").write_text(GO_MOD)
    monkeypatch.setattr(programs, "source", lambda _module: tmp_path)
    assert programs._module_file(programs.KUBERNETES).splitlines() == [
        "module build",
        "go 1.24.0",
        f"require k8s.io/kubernetes {programs.KUBERNETES.version}",
        "replace k8s.io/api => k8s.io/api v0.34.4",
        "replace k8s.io/client-go => k8s.io/client-go v0.34.4",
        "replace example.org/old v0.1.0 => example.org/new v0.2.0",
    ]
