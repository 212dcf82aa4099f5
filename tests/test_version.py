"""The version comes from one place, `aforo.__version__`: the wheel and the programs read it there."""

from __future__ import annotations

import tomllib
from pathlib import Path

import aforo
from core import VERSION


def test_the_wheel_and_the_programs_have_the_version_of_the_library() -> None:
    project = tomllib.loads(Path(__file__).parents[1].joinpath("pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == str(Path(aforo.__file__).relative_to(Path.cwd()))
    assert aforo.__version__ == VERSION
