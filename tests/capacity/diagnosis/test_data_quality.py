import numpy as np
import pytest

from capacity.diagnosis.data_quality import (
    RunFacts,
    Severity,
    is_valid,
    quality_warnings,
)
from capacity.estimators.correlation import autocorrelation, drift
from capacity.estimators.littles_law import Agreement


def names(facts):
    return [warning.name for warning in quality_warnings(facts)]


def test_a_run_without_measured_conditions_raises_no_warning():
    assert quality_warnings(RunFacts(slots=4)) == ()
    assert is_valid(())


@pytest.mark.parametrize(
    ("facts", "name", "severity"),
    [
        ({"steal_mean_ratio": 0.02}, "steal", Severity.WARNING),
        ({"steal_mean_ratio": 0.05}, "steal", Severity.INVALID),
        ({"steal_worst_window_ratio": 0.20}, "steal", Severity.INVALID),
        ({"calibration_before_seconds": 2.0, "calibration_after_seconds": 2.21}, "canary_changed", Severity.WARNING),
        ({"calibration_before_seconds": 2.3, "calibration_usual_seconds": 2.0}, "canary_unusual", Severity.WARNING),
        ({"ffmpeg_cpu_seconds": np.repeat([3.0, 3.6], [8, 12])}, "speed_changed", Severity.INVALID),
        ({"clock_offset_seconds": -0.21}, "clock_offset", Severity.INVALID),
        ({"clock_offset_seconds": 0.25, "service_mean_seconds": 1.0}, "clock_offset", Severity.INVALID),
        ({"clock_offset_seconds": 0.06, "service_mean_seconds": 5.0}, "clock_offset", Severity.INVALID),
        ({"skewed_stamps": 1}, "clock_skew", Severity.INVALID),
        ({"clock_difference_seconds": 0.06, "service_mean_seconds": 5.0}, "clock_difference", Severity.WARNING),
        ({"autoscale": "8,2"}, "autoscale", Severity.WARNING),
        ({"upload_offset_seconds": -1.1}, "upload_times", Severity.INVALID),
        ({"littles_law": Agreement.INVALID, "early_uploads_seconds": 6.0}, "early_uploads", Severity.WARNING),
        ({"observed_ends": 1}, "observed_ends", Severity.WARNING),
        ({"table_disagreements": 1}, "table_disagrees", Severity.WARNING),
        ({"other_cpu_ratio": 0.06}, "other_processes", Severity.INVALID),
        ({"ffmpeg_cpu_seconds": np.array([5.55, 5.8, 6.1, 7.96])}, "machine_speed", Severity.WARNING),
        ({"service_cv": 0.61}, "uneven_service", Severity.WARNING),
        ({"duplicate_deliveries": 1}, "duplicates", Severity.INVALID),
        ({"unfinished_videos": 1}, "unfinished", Severity.WARNING),
        ({"generator_limited": True}, "generator_limited", Severity.INVALID),
        ({"littles_law": Agreement.WARN}, "littles_law", Severity.WARNING),
        ({"littles_law": Agreement.INVALID}, "littles_law", Severity.INVALID),
        ({"cycle_seconds": np.full(11, 30.0)}, "few_videos", Severity.WARNING),
        ({"settled_cycle_seconds": np.linspace(27, 33, 40)}, "drift", Severity.INVALID),
        ({"settled_cycle_seconds": np.linspace(33, 27, 40)}, "drift", Severity.WARNING),
    ],
)
def test_each_condition_raises_its_warning(facts, name, severity):
    severities = {warning.name: warning.severity for warning in quality_warnings(RunFacts(slots=4, **facts))}
    assert severities[name] is severity


@pytest.mark.parametrize(
    "facts",
    [
        {"service_cv": 0.6},
        {"steal_mean_ratio": 0.019, "steal_worst_window_ratio": 0.19},
        {"calibration_before_seconds": 0.072, "calibration_after_seconds": 0.068, "calibration_usual_seconds": 0.09},
        {"calibration_before_seconds": 2.0, "calibration_after_seconds": 2.19, "calibration_usual_seconds": 1.85},
        {"ffmpeg_cpu_seconds": np.repeat([3.0, 2.9], [16, 4])},
        {"clock_offset_seconds": 0.19, "service_mean_seconds": 30.0},
        {"clock_offset_seconds": 0.04, "service_mean_seconds": 1.0},
        {"clock_difference_seconds": 0.04, "service_mean_seconds": 1.0},
        {"upload_offset_seconds": 1.0},
        {"other_cpu_ratio": 0.05},
        {"ffmpeg_cpu_seconds": np.array([2.81, 2.88, 2.98, 2.9])},
        {"ffmpeg_cpu_seconds": np.array([2.0, 4.0])},
        {"littles_law": Agreement.OK},
        {"cycle_seconds": np.tile([30.0, 31.0], 6)},
    ],
)
def test_conditions_under_the_limits_raise_no_warning(facts):
    assert names(RunFacts(slots=4, **facts)) == []


def test_slowly_wandering_cycles_weaken_the_run_and_do_not_invalidate_it():
    cycles = 30 + np.sin(np.arange(60) / 6)
    found = quality_warnings(RunFacts(slots=4, settled_cycle_seconds=cycles))
    assert [warning.name for warning in found] == ["autocorrelation"]
    assert is_valid(found)


def test_alternating_cycles_do_not_weaken_it():
    assert names(RunFacts(slots=4, settled_cycle_seconds=np.tile([29.0, 31.0], 20))) == []


def test_independent_cycles_are_rarely_called_correlated():
    """A limit of 0.3 alone is exceeded by 3 % of runs of 30 cycles."""
    runs = np.random.default_rng(0).normal(30, 3, (2000, 30))
    above = np.mean([autocorrelation(run) > 0.3 for run in runs])
    warned = np.mean(["autocorrelation" in names(RunFacts(slots=4, settled_cycle_seconds=run)) for run in runs])
    assert above > 0.02
    assert warned <= 0.002


def test_drift_is_the_change_from_first_to_last():
    assert drift(np.linspace(27, 33, 41))[0] == pytest.approx(0.205, abs=0.001)


def test_trendless_noise_is_rarely_called_a_drift():
    """Without the p-value, 60 % of such runs would be invalid."""
    rng = np.random.default_rng(0)
    runs = rng.normal(30, 9, (200, 30))
    large = np.mean([abs(drift(run)[0]) > 0.10 for run in runs])
    warned = np.mean(["drift" in names(RunFacts(slots=4, settled_cycle_seconds=run)) for run in runs])
    assert large > 0.5
    assert warned <= 0.03
