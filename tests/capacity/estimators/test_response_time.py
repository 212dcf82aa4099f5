import numpy as np
import pytest

from capacity.estimators.response_time import decompose


def test_the_parts_of_a_response_time_add_up():
    parts = decompose(
        np.array([0.0, 0.0, np.nan]),
        np.array([10.0, 20.0, 5.0]),
        np.array([40.0, 50.0, 9.0]),
        {"ffmpeg": np.array([25.0, 26.0, 99.0]), "upload": np.array([4.0, 4.4, 99.0])},
    )
    assert (parts.response_seconds, parts.wait_seconds, parts.service_seconds) == (45.0, 15.0, 30.0)
    assert parts.other_seconds == pytest.approx(30 - 25.5 - 4.2)
    assert parts.fully_measured


def test_an_unmeasured_stage_shows():
    parts = decompose(np.zeros(1), np.zeros(1), np.full(1, 30.0), {"ffmpeg": np.full(1, 28.0)})
    assert parts.other_seconds == 2.0
    assert not parts.fully_measured


def test_a_stage_that_nobody_measured_is_unknown_and_not_zero():
    parts = decompose(
        np.zeros(2), np.zeros(2), np.full(2, 30.0), {"fetch": np.full(2, np.nan), "ffmpeg": np.full(2, 28)}
    )
    assert np.isnan(parts.stage_seconds["fetch"])
    assert (parts.stage_seconds["ffmpeg"], parts.other_seconds) == (28.0, 2.0)


def test_nothing_finished_has_no_parts():
    assert np.isnan(decompose(np.zeros(1), np.full(1, np.nan), np.full(1, np.nan), {}).response_seconds)
