"""A native stack with two slots for the tests of this folder."""

from __future__ import annotations

import shutil

import pytest

from testing.native_stack import copied_stack


@pytest.fixture(scope="session")
def stack(tmp_path_factory):
    for program in ("prometheus", "redis-server", "ffmpeg"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed; `make setup` installs it")
    running = copied_stack(tmp_path_factory.mktemp("stack"))
    up = running.run("local", "up", "--concurrency", "2")
    assert up.returncode == 0, up.stderr
    yield running
    assert running.run("local", "down").returncode == 0
