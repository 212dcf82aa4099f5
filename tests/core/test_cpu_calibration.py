"""CPU calibration with timings that the test gives."""

from core import cpu_calibration
from core.cpu_calibration import REPETITIONS, calibration_seconds


def test_the_shortest_timing_of_three_repeats_counts_and_a_pause_separates_them(monkeypatch):
    """A neighbour that slows the machine during one repeat, or two, does not change the calibration."""
    disturbed, clean = [0.09] * REPETITIONS, [0.08] * (REPETITIONS - 1) + [0.07]
    timings, pauses = iter([*disturbed, *disturbed, *clean]), []
    monkeypatch.setattr(cpu_calibration, "_timing_seconds", lambda: next(timings))
    monkeypatch.setattr(cpu_calibration.time, "sleep", pauses.append)
    assert calibration_seconds() == 0.07
    assert pauses == [0.5, 0.5]
    assert next(timings, None) is None
