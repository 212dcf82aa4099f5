"""Reports name the limit that was imposed on the run. Opt-in: `pytest -m limits`, 30 minutes."""

from __future__ import annotations

import shutil

import pytest

from testing import hardware_limits
from testing.limit_cases import CASES, EXAMPLE_CASES, diagnose, example_stack
from testing.native_stack import copied_stack

pytestmark = [pytest.mark.limits, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    if (reason := hardware_limits.missing_requirement()) is not None:
        pytest.skip(reason)
    for program in ("prometheus", "redis-server", "ffmpeg", "losetup", "mkfs.ext4"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    return tmp_path_factory.mktemp("limits")


@pytest.fixture(scope="module")
def base(folder):
    return copied_stack(folder / "reference")


@pytest.fixture(scope="module")
def example(folder):
    return example_stack(folder)


@pytest.mark.parametrize("name", CASES)
def test_the_limit_that_was_injected_is_named(base, name):
    check(diagnose(CASES[name], base))


@pytest.mark.parametrize("name", EXAMPLE_CASES)
def test_the_limit_of_the_example_app_is_named(example, name):
    check(diagnose(EXAMPLE_CASES[name], *example))


def check(diagnosis):
    label = diagnosis.case.label
    print(diagnosis)
    assert diagnosis.with_comparable.cause is label, diagnosis
    assert diagnosis.with_comparable.confidence in {"high", "medium"}, diagnosis
    assert diagnosis.alone.cause in {label, "unclear"}, diagnosis
