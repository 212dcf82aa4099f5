import numpy as np
import pytest

from capacity.decomposition import Resource, bounds, decompose, demand, service_beyond_knee, utilisation

RESOURCES = (
    Resource("cpu", 4, 54.0),
    Resource("disk", 1, 280 / 200),
    Resource("in", 1, 100 / 125),
    Resource("out", 1, 40 / 125),
)


@pytest.mark.parametrize(("slots", "limit"), [(1, 2.0), (2, 4.0), (3, 40 / 9), (4, 40 / 9), (8, 40 / 9)])
def test_the_worked_example_of_the_method(slots, limit):
    found = bounds(slots, 30.0, RESOURCES)
    assert found.limit_per_minute == pytest.approx(limit)
    assert found.knee_slots == pytest.approx(2.222, abs=1e-3)
    caps = [found.per_minute[name] for name in ("slots", "cpu", "disk", "in", "out")]
    assert caps == pytest.approx([2 * slots, 4.4444, 42.857, 75, 187.5], rel=1e-4)


def test_the_limiting_resource_is_named():
    assert bounds(2, 30.0, RESOURCES).limited_by == "slots"
    assert bounds(4, 30.0, RESOURCES).limited_by == "cpu"


def test_beyond_the_knee_more_slots_only_lengthen_the_service():
    assert service_beyond_knee(2, 30.0, RESOURCES) == 30.0
    assert service_beyond_knee(4, 30.0, RESOURCES) == pytest.approx(54.0)


def test_operational_laws():
    assert demand(540.0, 10) == 54.0
    assert np.isnan(demand(540.0, 0))
    assert utilisation(2.0, RESOURCES[0]) == pytest.approx(0.45)


def test_the_parts_of_a_cycle_add_up():
    found = decompose(
        np.array([0.0, 0.0, np.nan]),
        np.array([10.0, 20.0, 5.0]),
        np.array([40.0, 50.0, 9.0]),
        {"ffmpeg": np.array([25.0, 26.0, 99.0]), "upload": np.array([4.0, 4.4, 99.0])},
    )
    assert (found.cycle_seconds, found.wait_seconds, found.service_seconds) == (45.0, 15.0, 30.0)
    assert found.other_seconds == pytest.approx(30 - 25.5 - 4.2)
    assert found.fully_measured


def test_an_unmeasured_stage_shows():
    found = decompose(np.zeros(1), np.zeros(1), np.full(1, 30.0), {"ffmpeg": np.full(1, 28.0)})
    assert found.other_seconds == 2.0
    assert not found.fully_measured


def test_nothing_finished_has_no_parts():
    assert np.isnan(decompose(np.zeros(1), np.full(1, np.nan), np.full(1, np.nan), {}).cycle_seconds)
