"""Reports name the limit that was imposed on the run. Opt-in: `pytest -m limits`, 20 minutes."""

from __future__ import annotations

import shutil

import pytest

from testing import hardware_limits
from testing.limit_cases import CASES, diagnose
from testing.native_stack import copied_stack

pytestmark = [pytest.mark.limits, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    if (reason := hardware_limits.missing_requirement()) is not None:
        pytest.skip(reason)
    for program in ("prometheus", "redis-server", "ffmpeg", "losetup", "mkfs.ext4"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    return copied_stack(tmp_path_factory.mktemp("limits"))


@pytest.mark.parametrize("name", CASES)
def test_the_limit_that_was_injected_is_named(base, name):
    diagnosis, label = diagnose(CASES[name], base), CASES[name].label
    assert diagnosis.with_comparable.cause is label, diagnosis
    assert diagnosis.with_comparable.confidence in {"high", "medium"}, diagnosis
    assert diagnosis.alone.cause in {label, "unclear"}, diagnosis
