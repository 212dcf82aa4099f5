"""The version is said once in the code and once in pyproject.toml, which cannot read it there: they must agree."""

from __future__ import annotations

import tomllib
from pathlib import Path

from core import VERSION


def test_the_programs_say_the_version_of_the_project() -> None:
    project = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == VERSION
