"""Fit the Universal Scalability Law (USL) to throughputs, and decide whether the fit may be used.

X(n) = lambda n / (1 + sigma (n-1) + kappa n (n-1)), Gunther 2007. X is the throughput in videos per minute at n slots,
and lambda is X of one slot. Sigma is the contention (serial share). Kappa is the coherency cost (slots that wait for
each other). Sigma and kappa are between 0 and 1, as in the R package `usl`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from scipy import stats

from capacity.estimators.interval import Floats, Interval
from capacity.estimators.reason import Reason
from capacity.estimators.usl_solver import Usl, fit_coefficients, least_squares, linearise

DRAWS = 2000
FEWEST_LEVELS = 4  # three coefficients pass through three levels, whatever the law
SUPERLINEAR = 1.05
#: share of X that the law may miss: without a word, and at all where the errors of the points are unknown
LOOSE_RESIDUAL, LARGEST_RESIDUAL = 0.05, 0.10
FIT_PROBABILITY = 0.01  # of a worse fit, by the errors of the points
EXTRAPOLATION = 2.0


class FitRefusal(StrEnum):
    """Codes of the reasons why the Universal Scalability Law must not be used for some measurements."""

    TOO_FEW_LEVELS = "too_few_levels"
    SUPERLINEAR = "superlinear"
    POOR_FIT = "poor_fit"
    BEYOND_ERRORS = "beyond_errors"


class FitCaution(StrEnum):
    """Codes of the warnings about a fit of the Universal Scalability Law that may still be used."""

    LOOSE_FIT = "loose_fit"


class PeakRefusal(StrEnum):
    """Codes of the reasons why the peak of a fitted scalability law must not be quoted.

    The rest of the law may still be used.
    """

    NO_PEAK = "no_peak"
    EXTRAPOLATED = "extrapolated"
    NO_LEVEL_ABOVE_CORES = "no_level_above_cores"
    KAPPA_MAY_BE_ZERO = "kappa_may_be_zero"


@dataclass(frozen=True, slots=True)
class Levels:
    """Measured points to which a law is fitted: throughput `x` at `n` slots, in any order.

    `se` holds the standard errors of `x`, in the unit of `x`. `se_dof` is the number of degrees of freedom of `se`, or
    None if the errors are known exactly. A number of slots may occur several times.
    """

    n: Floats
    x: Floats
    se: Floats | None = None
    se_dof: int | None = None

    @property
    def distinct(self) -> int:
        """Return how many different numbers of slots were measured."""
        return int(np.unique(self.n).size)


@dataclass(frozen=True, slots=True)
class UslIntervals:
    """Bootstrap intervals (5th to 95th percentile) of a fitted scalability law: coefficients and peak.

    - `scale`, `sigma`, `kappa`: intervals of the coefficients. `scale` is lambda.
    - `peak`: interval of the number of slots with the highest throughput.
    - `peak_throughput`: interval of this highest throughput.
    - `kappa_zero_probability`: the share of the bootstrap draws in which kappa is 0.

    The upper ends of the two peak intervals can be infinite.
    """

    scale: Interval
    sigma: Interval
    kappa: Interval
    peak: Interval
    peak_throughput: Interval
    kappa_zero_probability: float


@dataclass(frozen=True, slots=True)
class UslFit:
    """A fitted Universal Scalability Law, its quality, and the reasons against using it.

    - `dof`: number of points minus the three coefficients.
    - `standard_errors`: those of lambda, sigma and kappa, in this order.
    - `max_relative_residual`: largest distance of a point from the law, as a share of the measured throughput.
    - `unusable`: the reason why the law must not be used, or None.
    - `peak_reason`: the reason why the peak of the law must not be quoted, or None.
    - `caution`: a warning about a law that may be used, or None.

    With too few levels, the coefficients in `model` are NaN, and the intervals and errors are None.
    """

    model: Usl
    dof: int
    residual_standard_error: float | None
    standard_errors: tuple[float, float, float] | None
    max_relative_residual: float
    intervals: UslIntervals | None
    unusable: Reason | None
    peak_reason: Reason | None
    caution: Reason | None = None


def fit_usl(
    levels: Levels, *, weighted: bool = True, cores: int | None = None, seed: int = 0, draws: int = DRAWS
) -> UslFit:
    """Fit the Universal Scalability Law to measured levels, and decide whether it may be used.

    The least-squares weights are 1/se if `levels` has standard errors, and 1/x otherwise. With `weighted=False` all
    weights are 1. `cores` is the number of cores of the machine, or None if unknown. The intervals come from `draws`
    bootstrap draws. With fewer than four levels there is no fit.
    """
    if levels.distinct < FEWEST_LEVELS:
        return _no_fit(levels)
    weights = _weights(levels, weighted)
    model = fit_coefficients(levels.n, levels.x, weights)
    rse, errors = _residual_errors(levels, model, weights)
    intervals = _bootstrap(levels, model, weights, _noise(levels, rse, weighted, seed, draws))
    unusable = reason_against_fit(levels, model, weighted=weighted)
    return UslFit(
        model=model,
        dof=levels.n.size - 3,
        residual_standard_error=rse,
        standard_errors=errors,
        max_relative_residual=float(_relative_residuals(levels, model).max()),
        intervals=intervals,
        unusable=unusable,
        peak_reason=unusable or reason_against_peak(levels, model, intervals, cores),
        caution=None if unusable else _loose_fit(levels, model),
    )


def efficiency(levels: Levels) -> Floats:
    """Return the throughput per slot of each point, divided by that at the smallest number of slots.

    The formula is (X(n) / n) / (X(m) / m), where m is the smallest measured number of slots.
    """
    per_slot: Floats = levels.x / levels.n
    relative: Floats = per_slot / per_slot[levels.n == levels.n.min()].mean()
    return relative


def reason_against_fit(levels: Levels, model: Usl, *, weighted: bool = True) -> Reason | None:
    """Return why the fitted law must not be used for these levels, or None if it can be used.

    There are two possible reasons:

    - The throughput per slot of a level is more than 5 % above that of the level with the fewest slots.
    - The law is too far from the measured throughputs: by more than their standard errors explain, or by more than 10 %
      if `levels` has no standard errors.
    """
    best = float(efficiency(levels).max())
    if best > SUPERLINEAR:
        return Reason(FitRefusal.SUPERLINEAR, {"efficiency_ratio": best, "limit_ratio": SUPERLINEAR})
    return _poor_fit(levels, model, weighted) if levels.se is None else _beyond_errors(levels, levels.se, model)


def reason_against_peak(levels: Levels, model: Usl, intervals: UslIntervals, cores: int | None) -> Reason | None:
    """Return why the peak of the fitted law must not be quoted, or None if it can be quoted.

    The peak is the number of slots with the highest throughput. The possible reasons are:

    - the law has no peak
    - the peak is at more than twice the largest measured number of slots
    - no level has more slots than the machine has `cores` (not checked if `cores` is None)
    - the bootstrap interval of kappa includes 0
    """
    if model.peak is None:
        return Reason(PeakRefusal.NO_PEAK)
    reach = float(levels.n.max())
    if model.peak > EXTRAPOLATION * reach:
        return Reason(PeakRefusal.EXTRAPOLATED, {"n_peak": model.peak, "n_largest": reach})
    if cores is not None and reach < cores + 1:
        return Reason(PeakRefusal.NO_LEVEL_ABOVE_CORES, {"cores": cores})
    if intervals.kappa.low <= 0:
        return Reason(PeakRefusal.KAPPA_MAY_BE_ZERO, {"kappa_low": intervals.kappa.low})
    return None


def _poor_fit(levels: Levels, model: Usl, weighted: bool) -> Reason | None:
    """Return a reason if a residual is above 10 % of X.

    In a fit that gives all points the same weight, it is 10 % of the largest X.
    """
    relative = _relative_residuals(levels, model)
    shares = relative if weighted else relative * levels.x / levels.x.max()
    worst = int(np.argmax(shares))
    if shares[worst] <= LARGEST_RESIDUAL:
        return None
    return Reason(FitRefusal.POOR_FIT, {"residual_ratio": float(relative[worst]), "n": float(levels.n[worst])})


def _beyond_errors(levels: Levels, se: Floats, model: Usl) -> Reason | None:
    """Return a reason if the residuals are larger than the standard errors of the points explain.

    The test is chi-square on the sum of squared residuals over errors, or F where the errors are estimates themselves.
    A coefficient at its bound of 0 was not fitted, so it takes no degree of freedom.
    """
    squares = float((((_fitted(levels, model) - levels.x) / se) ** 2).sum())
    dof = levels.n.size - 1 - (model.sigma > 0) - (model.kappa > 0)
    if levels.se_dof is None:
        probability = float(stats.chi2.sf(squares, dof))
    else:
        probability = float(stats.f.sf(squares / dof, dof, levels.se_dof))
    if probability >= FIT_PROBABILITY:
        return None
    worst = float(_relative_residuals(levels, model).max())
    values = {"residual_ratio": worst, "chi_square": squares, "dof": dof, "p_value": probability}
    return Reason(FitRefusal.BEYOND_ERRORS, values)


def _loose_fit(levels: Levels, model: Usl) -> Reason | None:
    residual = _relative_residuals(levels, model)
    worst = int(np.argmax(residual))
    if residual[worst] <= LOOSE_RESIDUAL:
        return None
    return Reason(FitCaution.LOOSE_FIT, {"residual_ratio": float(residual[worst]), "n": float(levels.n[worst])})


def _fitted(levels: Levels, model: Usl) -> Floats:
    return np.array([model.throughput(n) for n in levels.n])


def _relative_residuals(levels: Levels, model: Usl) -> Floats:
    residuals: Floats = np.abs(_fitted(levels, model) / levels.x - 1)
    return residuals


def _weights(levels: Levels, weighted: bool) -> Floats:
    if not weighted:
        return np.ones_like(levels.x)
    return 1 / levels.x if levels.se is None else 1 / levels.se


def _residual_errors(levels: Levels, model: Usl, weights: Floats) -> tuple[float, tuple[float, float, float]]:
    """Return the standard errors of the residuals and of (lambda, sigma, kappa), as R's `nls` does."""
    parameters = np.array([[model.scale, model.sigma, model.kappa]])
    residual, jacobian = linearise(levels.n, levels.x[None, :], weights, parameters)
    rse = float(np.sqrt((residual**2).sum() / (levels.n.size - 3)))
    covariance = np.linalg.pinv(jacobian[0].T @ jacobian[0], rcond=1e-20) * rse**2
    scale, sigma, kappa = (float(v) for v in np.sqrt(np.diag(covariance)))
    return rse, (scale, sigma, kappa)


def _noise(levels: Levels, rse: float, weighted: bool, seed: int, draws: int) -> Floats:
    """Return random normal errors of x, one row per draw, from standard errors or from the residuals.

    An error that was estimated with few degrees of freedom varies itself. Each draw then has another one, so that the
    errors have Student's t distribution.
    """
    rng = np.random.default_rng(seed)
    normal: Floats = rng.normal(size=(draws, levels.x.size))
    if levels.se is not None:
        deviation, dof = levels.se, levels.se_dof
    else:
        deviation = rse * (levels.x if weighted else np.ones_like(levels.x))
        dof = levels.n.size - 3
    if dof is not None:
        normal *= np.sqrt(dof / rng.chisquare(dof, draws))[:, None]
    return normal * deviation


def _bootstrap(levels: Levels, model: Usl, weights: Floats, noise: Floats) -> UslIntervals:
    """Return the 5-95 % quantiles of refits to x with random noise added."""
    drawn = np.maximum(levels.x + noise, 1e-9 * levels.x)
    starts = np.tile([model.scale, model.sigma, model.kappa], (len(drawn), 1))
    fits, _ = least_squares(levels.n, drawn, weights, starts, np.array([np.inf, 1.0, 1.0]))
    peaks = _peaks(fits)
    return UslIntervals(
        scale=_quantiles(fits[:, 0]),
        sigma=_quantiles(fits[:, 1]),
        kappa=_quantiles(fits[:, 2]),
        peak=_quantiles(peaks),
        peak_throughput=_quantiles(_peak_throughputs(fits, peaks)),
        kappa_zero_probability=float((fits[:, 2] == 0).mean()),
    )


def _peaks(fits: Floats) -> Floats:
    """Return the concurrency of each fit's peak, infinite for kappa = 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        peaks: Floats = np.where(fits[:, 1] >= 1, 1.0, np.sqrt((1 - fits[:, 1]) / fits[:, 2]))
    return peaks


def _peak_throughputs(fits: Floats, peaks: Floats) -> Floats:
    """Return the highest throughput of each fit: at its peak, or the limit lambda / sigma without one."""
    scale, sigma, kappa = fits.T
    with np.errstate(divide="ignore", invalid="ignore"):
        at_peak = scale * peaks / (1 + sigma * (peaks - 1) + kappa * peaks * (peaks - 1))
        highest: Floats = np.where(np.isfinite(peaks), at_peak, scale / sigma)
    return highest


def _quantiles(values: Floats) -> Interval:
    low, high = np.quantile(values, (0.05, 0.95), method="closest_observation")
    return Interval(float(low), float(high))


def _no_fit(levels: Levels) -> UslFit:
    """Return the reason for no fit. The coefficients are NaN, because fewer levels do not determine them."""
    unusable = Reason(FitRefusal.TOO_FEW_LEVELS, {"levels": levels.distinct, "levels_needed": FEWEST_LEVELS})
    unknown = float("nan")
    return UslFit(Usl(unknown, unknown, unknown), 0, None, None, unknown, None, unusable, unusable)
