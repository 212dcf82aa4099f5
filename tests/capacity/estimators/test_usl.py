import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from capacity.estimators.pooled_error import pooled_error
from capacity.estimators.scaling_bound import ScalingBound, scaling_bound
from capacity.estimators.usl import FitCaution, FitRefusal, Levels, PeakRefusal, efficiency, fit_usl
from capacity.estimators.usl_solver import Usl
from capacity.report.messages import sentence

SPECSDM91 = ([1, 18, 36, 72, 108, 144, 216], [64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2])
RAYTRACER = (
    [1, 4, 8, 12, 16, 20, 24, 28, 32, 48, 64],
    [20, 78, 130, 170, 190, 200, 210, 230, 260, 280, 310],
)
CISCO = (
    list(range(1, 33)),
    [955.16, 1878.91, 2688.01, 3548.68, 4315.54, 5130.43, 5931.37, 6531.08, 7219.8, 7867.61, 8278.71, 8646.7, 9047.84,
     9426.55, 9645.37, 9897.24, 10097.6, 10240.5, 10532.39, 10798.52, 11151.43, 11518.63, 11806, 12089.37, 12075.41,
     12177.29, 12211.41, 12158.93, 12155.27, 12118.04, 12140.4, 12074.39],
)  # fmt: skip
COEF = ([1, 2, 4, 6, 8, 10], [1, 1.8868, 3.0769, 3.5294, 3.5398, 3.3557])


def levels(n, x, se=None):
    return Levels(np.array(n, float), np.array(x, float), None if se is None else np.array(se, float))


def synthetic(n, sigma=0.05, kappa=0.01, scale=2.0):
    model = Usl(scale, sigma, kappa)
    return levels(n, [model.throughput(level) for level in n])


def test_spec_sdm91_as_published_by_the_r_package():
    fit = fit_usl(levels(*SPECSDM91), weighted=False)
    assert (fit.model.scale, fit.model.sigma, fit.model.kappa) == pytest.approx((90.0, 0.02773, 1.044e-4), rel=1e-3)
    assert fit.standard_errors == pytest.approx((14.21, 0.009122, 1.988e-5), rel=1e-3)
    assert (fit.residual_standard_error, fit.dof) == (pytest.approx(82.85, rel=1e-3), 4)
    assert fit.model.peak == pytest.approx(96.51956, rel=1e-6)
    assert fit.model.throughput(fit.model.peak) == pytest.approx(1884, rel=1e-3)
    assert fit.model.limit == pytest.approx(3245.589, rel=1e-6)


def test_relative_weights_would_be_wrong_against_the_published_fit():
    fit = fit_usl(levels(*SPECSDM91))
    assert (fit.model.scale, fit.model.sigma) == pytest.approx((67.7, 0.0135), rel=2e-3)


def test_the_coefficient_example_of_the_r_package():
    model = fit_usl(levels(*COEF), weighted=False).model
    assert (model.sigma, model.kappa, model.scale) == pytest.approx((0.02, 0.02, 1.0), rel=1e-3)
    assert model.peak == pytest.approx(7.0, abs=1e-3)


def test_the_ray_tracer_lies_on_the_boundary_and_has_no_peak():
    fit = fit_usl(levels(*RAYTRACER), weighted=False)
    assert fit.model.kappa == 0.0
    assert (fit.model.scale, fit.model.sigma) == pytest.approx((21.8488, 0.0577708), rel=1e-4)
    assert fit.model.peak is None
    assert fit.peak_reason is not None


@pytest.mark.parametrize("data", [SPECSDM91, RAYTRACER, COEF])
def test_the_fit_agrees_with_a_general_bounded_solver(data):
    n, x = (np.array(column, float) for column in data)
    general = optimize.least_squares(
        lambda p: p[0] * n / (1 + p[1] * (n - 1) + p[2] * n * (n - 1)) - x,
        [x[0], 0.01, 1e-4],
        bounds=([0, 0, 0], [np.inf, 1, 1]),
        x_scale="jac",
        ftol=1e-14,
        xtol=1e-14,
        gtol=1e-14,
    )
    model = fit_usl(Levels(n, x), weighted=False).model
    assert (model.scale, model.sigma, model.kappa) == pytest.approx(general.x, rel=1e-5, abs=1e-12)


def test_a_synthetic_law_is_recovered_exactly():
    fit = fit_usl(synthetic([1, 2, 4, 8]))
    assert (fit.model.scale, fit.model.sigma, fit.model.kappa) == pytest.approx((2, 0.05, 0.01), rel=1e-9)
    assert fit.model.peak == pytest.approx(9.746794, abs=1e-6)
    assert fit.model.throughput(fit.model.peak) == pytest.approx(8.512961, abs=1e-6)
    assert (fit.unusable, fit.peak_reason) == (None, None)


@pytest.mark.parametrize("sigma", [0.0, 0.05, 0.3])
def test_amdahl_data_give_exactly_kappa_zero(sigma):
    model = fit_usl(synthetic([1, 2, 4, 8, 16], sigma=sigma, kappa=0.0)).model
    assert model.kappa == 0.0
    assert model.sigma == pytest.approx(sigma, abs=1e-12)
    assert model.peak is None
    assert model.limit == (None if sigma == 0 else pytest.approx(2 / sigma))


def test_rounded_amdahl_data_still_give_kappa_zero():
    rounded = levels([1, 2, 4, 8, 16], [1000.0, 1904.8, 3478.3, 5925.9, 9142.9])
    assert fit_usl(rounded, weighted=False).model.kappa == 0.0


def test_a_kappa_no_measurement_could_see_is_zero():
    assert fit_usl(synthetic([1, 2, 4, 8, 16], kappa=1e-9)).model.peak is None
    assert fit_usl(synthetic([1, 2, 4, 8, 16], kappa=1e-6)).model.kappa == pytest.approx(1e-6, rel=1e-3)


def test_order_and_scale_of_the_points_do_not_matter():
    n, x = (np.array(column, float) for column in SPECSDM91)
    shuffled = np.random.default_rng(3).permutation(n.size)
    first = fit_usl(Levels(n, x), weighted=False).model
    other = fit_usl(Levels(n[shuffled], 1e-3 * x[shuffled]), weighted=False).model
    assert (other.sigma, other.kappa, 1e3 * other.scale) == pytest.approx((first.sigma, first.kappa, first.scale))


def test_repeated_levels_pull_the_fit_as_often_as_they_appear():
    once, twice = fit_usl(levels(*COEF), weighted=False), fit_usl(levels(COEF[0] * 2, COEF[1] * 2), weighted=False)
    assert twice.model.sigma == pytest.approx(once.model.sigma, rel=1e-6)
    assert twice.dof == 9


@pytest.mark.parametrize(("n", "x"), [([2], [3.6]), ([1, 2], [2, 3.6]), ([1, 2, 4], [2.0, 3.6, 5.4])])
def test_fewer_than_four_levels_give_no_coefficients(n, x):
    fit = fit_usl(levels(n, x, [0.01] * len(n)))
    assert (fit.unusable.code, fit.intervals, fit.standard_errors) == (FitRefusal.TOO_FEW_LEVELS, None, None)
    assert np.isnan([fit.model.scale, fit.model.sigma, fit.model.kappa]).all()
    assert fit.unusable.values == {"levels": len(n), "levels_needed": 4}


def test_the_bound_of_a_hard_ceiling():
    assert scaling_bound(levels([1, 2, 4, 8], [2, 4, 4.4, 4.4])) == ScalingBound(2.0, 4.4)
    assert scaling_bound(levels([1, 2, 4, 8], [2, 4, 4.4, 4.4])).knee == pytest.approx(2.2)
    assert scaling_bound(levels([4, 2, 1, 1], [5.4, 3.6, 2.0, 2.2])) == ScalingBound(2.1, None)
    assert scaling_bound(levels([2], [3.6])).knee is None


@pytest.mark.parametrize(
    ("n", "x", "why"),
    [
        ([1, 2, 4, 8], [2, 4.3, 8, 12], "efficiency 1.075"),
        ([1, 2, 4, 8], [2, 4, 4.4, 4.4], "residual of 11.4 % at n = 2"),
    ],
)
def test_data_the_law_does_not_describe_are_refused_with_the_reason(n, x, why):
    assert why in sentence(fit_usl(levels(n, x)).unusable, "en")


def test_a_hard_ceiling_beyond_the_errors_of_its_points_is_refused():
    data = ([1, 2, 4, 8], [2, 4, 4.4, 4.4])
    fit = fit_usl(levels(*data, [0.06, 0.12, 0.132, 0.132]))
    assert fit.model.peak == pytest.approx(4.8, abs=0.1)
    assert (fit.unusable.code, fit.peak_reason) == (FitRefusal.BEYOND_ERRORS, fit.unusable)
    assert fit.unusable.values["chi_square"] > 6.63  # the 1 % point with one degree of freedom
    assert "more than their errors allow" in sentence(fit.unusable, "en")
    assert fit_usl(levels(*data, [0.3, 0.6, 0.6, 0.6])).unusable is None


def test_errors_that_are_uncertain_themselves_refuse_less():
    n, x, se = np.array([1.0, 2, 4, 8]), np.array([2, 4, 4.4, 4.4]), np.array([0.06, 0.12, 0.132, 0.132])
    assert fit_usl(Levels(n, x, se, se_dof=8)).unusable is not None
    assert fit_usl(Levels(n, x, se, se_dof=2)).unusable is None


@pytest.mark.parametrize(
    ("data", "weighted", "residual"),
    [(SPECSDM91, False, 0.387), (SPECSDM91, True, 0.088), (RAYTRACER, False, 0.092), (RAYTRACER, True, 0.072),
     (CISCO, False, 0.050)],
)  # fmt: skip
def test_published_tables_are_usable_with_caution(data, weighted, residual):
    fit = fit_usl(levels(*data), weighted=weighted)
    assert (fit.unusable, fit.caution.code) == (None, FitCaution.LOOSE_FIT)
    assert fit.caution.values["residual_ratio"] == pytest.approx(residual, abs=1e-3)


def test_the_cisco_benchmark_as_published():
    """The coefficients are those of the tests of usl4j, a port of R's `usl`."""
    model = fit_usl(levels(*CISCO), weighted=False).model
    assert (model.sigma, model.kappa, model.scale) == pytest.approx((0.02671591, 7.690945e-4, 995.6486), rel=1e-4)


def test_a_few_residual_degrees_of_freedom_widen_the_intervals():
    """Student's t has a 95 % point of 6.3 with one degree of freedom, of 1.6 normal errors."""
    data, bent = synthetic([1, 2, 4, 8]), np.array([1.01, 0.99, 1.01, 0.99])
    fit = fit_usl(Levels(data.n, data.x * bent))
    known = fit_usl(Levels(data.n, data.x * bent, fit.residual_standard_error * data.x * bent))
    assert fit.dof == 1
    assert width(fit.intervals.sigma) > 1.5 * width(known.intervals.sigma)
    assert fit.intervals.peak_throughput.low < known.intervals.peak_throughput.low < data.x.max()


def width(interval):
    return interval.high - interval.low


def test_errors_of_a_few_runs_are_pooled_over_the_levels():
    pooled = pooled_error(np.array([2.0, 4.0]), np.array([0.01, 0.03]), np.array([3.0, 3.0]))
    assert pooled.dof == 4
    assert pooled.se == pytest.approx(np.array([2.0, 4.0]) * np.sqrt(0.0005 / 3))
    one_run_more = pooled_error(np.array([2.0, 4.0, 8.0]), np.array([0.01, 0.03, 0.0]), np.array([3.0, 3.0, 1.0]))
    assert one_run_more.se[2] == pytest.approx(8.0 * np.sqrt(0.0005))
    assert pooled_error(np.array([2.0, 4.0]), np.array([0.01, 0.0]), np.array([2.0, 1.0])) is None


def test_a_peak_far_beyond_the_measured_levels_is_not_quoted():
    assert fit_usl(synthetic([1, 2, 3, 4])).peak_reason.code is PeakRefusal.EXTRAPOLATED


def test_a_peak_without_a_level_above_the_cores_is_not_quoted():
    reason = fit_usl(synthetic([1, 2, 4, 8]), cores=8).peak_reason
    assert (reason.code, reason.values) == (PeakRefusal.NO_LEVEL_ABOVE_CORES, {"cores": 8})
    assert fit_usl(synthetic([1, 2, 4, 8]), cores=4).peak_reason is None


def test_kappa_that_may_be_zero_gives_no_peak():
    data = synthetic([1, 2, 4, 8])
    reason = fit_usl(Levels(data.n, data.x, 0.15 * data.x)).peak_reason
    assert reason.code is PeakRefusal.KAPPA_MAY_BE_ZERO


def test_intervals_are_repeatable_and_widen_with_the_noise():
    data = synthetic([1, 2, 4, 8])
    narrow, wide = (fit_usl(Levels(data.n, data.x, share * data.x)).intervals for share in (0.01, 0.03))
    again = fit_usl(Levels(data.n, data.x, 0.01 * data.x)).intervals
    assert narrow == again
    assert narrow.kappa.low > wide.kappa.low
    assert narrow.peak.high < wide.peak.high


def test_efficiency_is_relative_to_the_smallest_level():
    assert efficiency(levels([2, 4], [4.0, 6.0])) == pytest.approx([1.0, 0.75])


@settings(max_examples=200, deadline=None)
@given(st.floats(0.1, 1e4), st.floats(0, 0.99), st.one_of(st.just(0.0), st.floats(1e-8, 0.5)), st.floats(0.01, 0.99))
def test_concurrency_is_the_inverse_of_throughput(scale, sigma, kappa, share):
    """X(N(X)) = X below the peak, also for kappa = 0. Other libraries ignore kappa here."""
    model = Usl(scale, sigma, kappa)
    top = model.peak if model.peak and model.peak > 1 else 50.0
    target = share * model.throughput(max(1.0, min(top, 50.0)))
    n = model.concurrency(target)
    assert model.throughput(n) == pytest.approx(target, rel=1e-9)


def test_no_concurrency_gives_more_than_the_peak_or_the_limit():
    assert Usl(2, 0.05, 0.01).concurrency(8.6) is None
    assert Usl(2, 0.05, 0.0).concurrency(40.0) is None
    assert Usl(2, 1.0, 0.0).concurrency(2.0) is None


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 0.5), st.floats(0, 0.1), st.floats(0.5, 500))
def test_any_law_inside_the_bounds_is_recovered_from_its_own_points(sigma, kappa, scale):
    n = np.array([1.0, 2, 4, 8, 16])
    model = Usl(scale, sigma, kappa)
    fitted = fit_usl(Levels(n, np.array([model.throughput(level) for level in n]))).model
    assert [fitted.throughput(level) for level in n] == pytest.approx(
        [model.throughput(level) for level in n], rel=1e-5
    )
