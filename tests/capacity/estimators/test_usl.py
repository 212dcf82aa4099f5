import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from capacity.estimators.usl import Levels, PeakRefusal, amdahl_sigma, efficiency, fit_usl
from capacity.estimators.usl_solver import Usl, exact_three_point
from capacity.report.messages import sentence

SPECSDM91 = ([1, 18, 36, 72, 108, 144, 216], [64.9, 995.9, 1652.4, 1853.2, 1828.9, 1775.0, 1702.2])
RAYTRACER = (
    [1, 4, 8, 12, 16, 20, 24, 28, 32, 48, 64],
    [20, 78, 130, 170, 190, 200, 210, 230, 260, 280, 310],
)
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


def test_three_points_have_an_exact_law():
    law = exact_three_point(np.array([1.0, 2, 4]), np.array([2.0, 3.6, 5.4]))
    assert (law.scale, law.sigma, law.kappa) == pytest.approx((2, 0.0617284, 0.0246914), abs=1e-7)
    assert law.peak == pytest.approx(6.164415, abs=2e-6)


def test_three_points_carry_amdahl_and_no_quoted_peak():
    fit = fit_usl(levels([1, 2, 4], [2.0, 3.6, 5.4]))
    assert fit.unusable is None
    assert fit.peak_reason.code is PeakRefusal.NO_INTERVAL
    assert fit.standard_errors is None
    assert 0.06 < amdahl_sigma(levels([1, 2, 4], [2.0, 3.6, 5.4])) < 0.2


def test_three_precise_points_may_quote_a_peak_near_the_measured_levels():
    fit = fit_usl(levels([1, 2, 4], [2.0, 3.6, 5.4], [0.01, 0.018, 0.027]))
    assert fit.peak_reason is None
    assert fit.intervals.peak.low <= 6.164 <= fit.intervals.peak.high


@pytest.mark.parametrize(
    ("n", "x", "why"),
    [
        ([1, 2], [2, 3.6], "levels of concurrency: 2"),
        ([2], [3.6], "levels of concurrency: 1"),
        ([1, 2, 4], [2, 3.9, 6.2], "sigma = -0.0455"),
        ([1, 2, 4], [2, 4.1, 7.9], "sigma = -0.0530"),
        ([1, 2, 4, 8], [2, 4.3, 8, 12], "efficiency 1.075"),
        ([1, 2, 4, 8], [2, 4, 4.4, 4.4], "residual of 11.4 % at n = 2"),
    ],
)
def test_data_the_law_does_not_describe_are_refused_with_the_reason(n, x, why):
    assert why in sentence(fit_usl(levels(n, x)).unusable, "en")


def test_a_refused_fit_still_gives_its_coefficients():
    fit = fit_usl(levels([1, 2, 4, 8], [2, 4, 4.4, 4.4]))
    assert fit.model.peak == pytest.approx(4.80, abs=0.01)


def test_a_residual_within_the_error_of_its_point_is_not_refused():
    data = ([1, 2, 4, 8], [2, 4, 4.4, 4.4])
    assert fit_usl(levels(*data, [0.3, 0.6, 0.6, 0.6])).unusable is None


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


def test_the_bootstrap_counts_how_often_three_noisy_levels_lose_kappa():
    """Levels 1, 2 and 4 with 3 % noise give kappa = 0 in 28 % of the draws. With level 8 too, 1 %."""
    three, four = synthetic([1, 2, 4]), synthetic([1, 2, 4, 8])
    lost_with_three = fit_usl(Levels(three.n, three.x, 0.03 * three.x)).intervals.kappa_zero_probability
    lost_with_four = fit_usl(Levels(four.n, four.x, 0.03 * four.x)).intervals.kappa_zero_probability
    assert lost_with_three == pytest.approx(0.28, abs=0.03)
    assert lost_with_four == pytest.approx(0.01, abs=0.01)


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
