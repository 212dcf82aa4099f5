"""Locked packages: each has a hash, each lock has a bill of materials, and known advisories are found."""

import re
from datetime import date
from pathlib import Path

import pytest
import yaml

from testing.advisories import EXCEPTIONS, advisories, locked_versions, main

LOCKS = sorted(Path("requirements").glob("*.txt"))


@pytest.mark.parametrize("lock", LOCKS, ids=str)
def test_every_locked_package_has_a_hash(lock):
    requirements = re.split(r"(?m)^(?=[a-z0-9])", lock.read_text(encoding="utf-8"))[1:]
    assert requirements
    assert [text.split()[0] for text in requirements if "--hash=sha256:" not in text] == []


def test_every_lock_of_the_programs_and_checks_has_a_bill_of_materials():
    (recipe,) = re.findall(r"(?m)^sbom: .*\n(?:\t.*\n)+", Path("Makefile").read_text(encoding="utf-8"))
    named = re.search(r"for name in ([^;]+);", recipe)[1].split()
    assert {*named, "sbom"} == {lock.stem for lock in LOCKS}


def test_every_locked_version_is_read():
    locked = locked_versions()
    assert locked["cyclonedx-bom", "7.5.0"] == ["sbom.txt"]
    assert {"app.txt", "dev.txt"} <= set(next(files for (name, _), files in locked.items() if name == "celery"))


@pytest.fixture
def database(tmp_path):
    """Return a function that writes an advisory on `shop`."""

    def write(affected, **more):
        folder = tmp_path / "vulns/shop"
        folder.mkdir(parents=True, exist_ok=True)
        content = {
            "id": "PYSEC-1",
            "aliases": ["CVE-1"],
            "affected": [{"package": {"name": "shop"}, **affected}],
            **more,
        }
        (folder / "PYSEC-1.yaml").write_text(yaml.safe_dump(content))
        return tmp_path

    return write


RANGE = {
    "type": "ECOSYSTEM",
    "events": [{"introduced": "2.1"}, {"fixed": "2.3"}, {"introduced": "3"}, {"fixed": "3.1"}],
}


@pytest.mark.parametrize(
    ("version", "is_affected"),
    [("2.0", False), ("2.1", True), ("2.2.9", True), ("2.3", False), ("3.0.5", True), ("3.1", False), ("9", False)],
)
def test_a_version_in_a_range_is_affected(database, version, is_affected):
    expected = ["PYSEC-1 (CVE-1), fixed in 2.3, 3.1"] if is_affected else []
    assert [*map(str, advisories(database({"ranges": [RANGE]}), "shop", version))] == expected


def test_a_listed_version_and_one_without_a_fix_are_affected(database):
    (listed,) = advisories(database({"versions": ["1.0"]}), "shop", "1.0")
    assert str(listed) == "PYSEC-1 (CVE-1), fixed in no version"
    open_range = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}
    assert list(advisories(database({"ranges": [open_range]}), "shop", "99"))
    last = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"last_affected": "2"}]}
    assert list(advisories(database({"ranges": [last]}), "shop", "2"))
    assert not list(advisories(database({"ranges": [last]}), "shop", "2.1"))
    assert not list(advisories(database({"versions": ["1.0"]}, withdrawn="2026-01-01"), "shop", "1.0"))


def test_the_exit_code_says_whether_a_locked_version_is_affected(database, tmp_path, capsys):
    assert main([str(database({"versions": ["1.0"]}))]) == 0
    assert "0 known advisories, 0 of them excepted; the database is of an unknown date" in capsys.readouterr().out
    (tmp_path / "vulns/shop").rename(tmp_path / "vulns/celery")
    celery = next(version for name, version in locked_versions() if name == "celery")
    content = {"id": "PYSEC-2", "affected": [{"package": {"name": "celery"}, "versions": [celery]}]}
    (tmp_path / "vulns/celery/PYSEC-2.yaml").write_text(yaml.safe_dump(content))
    assert main([str(tmp_path)]) == 1
    assert f"celery {celery} in app.txt" in capsys.readouterr().out
    assert main([]) == 2
    assert capsys.readouterr().err.startswith("error: advisories; no such folder")


@pytest.mark.parametrize(
    ("today", "exit_code", "line"),
    [
        (date(2027, 5, 27), 0, "(CVE-2025-50817), fixed in no version; it is excepted until 2027-05-27"),
        (date(2027, 5, 28), 1, "(CVE-2025-50817), fixed in no version; it was excepted until 2027-05-27"),
    ],
)
def test_the_advisory_on_future_is_excepted_until_its_date(tmp_path, capsys, today, exit_code, line):
    (tmp_path / "vulns/future").mkdir(parents=True)
    affected = [{"package": {"name": "future"}, "versions": ["1.0.0"]}]
    content = {"id": "PYSEC-3", "aliases": ["CVE-2025-50817"], "affected": affected}
    (tmp_path / "vulns/future/PYSEC-3.yaml").write_text(yaml.safe_dump(content))
    assert main([str(tmp_path)], today) == exit_code
    printed = capsys.readouterr().out
    assert line in printed
    assert f"1 known advisories, {1 - exit_code} of them excepted" in printed
    # a second problem of the same package is no exception
    (tmp_path / "vulns/future/PYSEC-4.yaml").write_text(yaml.safe_dump({"id": "PYSEC-4", "affected": affected}))
    assert main([str(tmp_path)], today) == 1


def test_every_exception_is_of_a_locked_package_and_has_the_date_of_its_decision():
    texts = [file.read_text(encoding="utf-8") for file in Path("docs/adr").glob("*.md")]
    for (package, advisory), until in EXCEPTIONS.items():
        assert package in {name for name, _ in locked_versions()}
        assert any(f"{advisory} until {until}" in " ".join(text.split()) for text in texts)
