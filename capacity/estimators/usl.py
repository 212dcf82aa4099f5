"""Universal Scalability Law (USL): the fit, its bootstrap intervals, and the reasons not to use it.

X(n) = lambda n / (1 + sigma (n-1) + kappa n (n-1)), Gunther 2007. X is in videos per minute, n in slots, lambda is X
of one slot. Sigma is the contention (serial share), kappa the coherency cost (slots that wait for each other). Bounds
0 <= sigma, kappa <= 1 as in the R package `usl`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from capacity.estimators.interval import Floats, Interval
from capacity.estimators.reason import Reason
from capacity.estimators.usl_solver import (
    NEGLIGIBLE_EFFECT,
    Usl,
    exact_three_point,
    fit_coefficients,
    least_squares,
    linearise,
)

DRAWS = 2000
FEWEST_LEVELS = 3
SUPERLINEAR = 1.05
RESIDUAL_TOLERANCE = 0.05
EXTRAPOLATION = 2.0


class FitRefusal(StrEnum):
    """Reasons not to use the law on a data set."""

    TOO_FEW_LEVELS = "too_few_levels"
    SUPERLINEAR = "superlinear"
    NEGATIVE_COEFFICIENT = "negative_coefficient"
    POOR_FIT = "poor_fit"


class PeakRefusal(StrEnum):
    """Reasons not to quote the peak of a fit that may be used."""

    NO_PEAK = "no_peak"
    EXTRAPOLATED = "extrapolated"
    NO_LEVEL_ABOVE_CORES = "no_level_above_cores"
    NO_INTERVAL = "no_interval"
    WIDE_INTERVAL = "wide_interval"
    KAPPA_MAY_BE_ZERO = "kappa_may_be_zero"


@dataclass(frozen=True, slots=True)
class Levels:
    """Points to fit: throughput `x` at concurrency `n`, in any order, with repetitions.

    `se` has the standard errors of `x`, in the unit of `x`.
    """

    n: Floats
    x: Floats
    se: Floats | None = None

    @property
    def distinct(self) -> int:
        """Return the number of distinct concurrency levels."""
        return int(np.unique(self.n).size)


@dataclass(frozen=True, slots=True)
class UslIntervals:
    """5-95 % quantiles from the bootstrap.

    The upper end of the peak is infinite when some draws have kappa = 0.
    """

    scale: Interval
    sigma: Interval
    kappa: Interval
    peak: Interval
    kappa_zero_probability: float


@dataclass(frozen=True, slots=True)
class UslFit:
    """A fitted law, its quality, and the reasons not to use it.

    `unusable` is the reason why the law must not be used on these data. `peak_reason` is the reason why the peak must
    not be quoted. Each is None when there is no such reason. `standard_errors` are those of lambda, sigma and kappa, or
    None without residual degrees of freedom.
    """

    model: Usl
    dof: int
    residual_standard_error: float | None
    standard_errors: tuple[float, float, float] | None
    max_relative_residual: float
    intervals: UslIntervals | None
    unusable: Reason | None
    peak_reason: Reason | None


def fit_usl(levels: Levels, *, weighted: bool = True, cores: int | None = None, seed: int = 0) -> UslFit:
    """Fit the law, bootstrap it, and decide whether the fit and its peak may be used.

    Residuals are weighted by 1/se where given, else by 1/x. `weighted=False` reproduces the fits of R's `usl`. `cores`
    is the machine's number of cores, or None when unknown. Without a level above `cores`, the peak is an extrapolation.
    """
    if levels.distinct < 2:
        return _single_level(levels)
    weights = _weights(levels, weighted)
    model = fit_coefficients(levels.n, levels.x, weights, amdahl=levels.distinct < 3)
    dof = levels.n.size - (2 if levels.distinct < 3 else 3)
    rse, errors = _residual_errors(levels, model, weights, dof)
    intervals = _bootstrap(levels, model, weights, _noise(levels, rse, weighted), seed)
    unusable = reason_against_fit(levels, model)
    return UslFit(
        model=model,
        dof=dof,
        residual_standard_error=rse,
        standard_errors=errors,
        max_relative_residual=float(_relative_residuals(levels, model).max()),
        intervals=intervals,
        unusable=unusable,
        peak_reason=unusable or reason_against_peak(levels, model, intervals, cores),
    )


def amdahl_sigma(levels: Levels) -> float:
    """Return sigma of the fit with kappa = 0, which leaves three levels one degree of freedom."""
    return fit_coefficients(levels.n, levels.x, _weights(levels, True), amdahl=True).sigma


def efficiency(levels: Levels) -> Floats:
    """Return E(c) = X(c) / (c X(1)) for each point: x / n relative to that of the smallest level."""
    per_slot: Floats = levels.x / levels.n
    relative: Floats = per_slot / per_slot[levels.n == levels.n.min()].mean()
    return relative


def reason_against_fit(levels: Levels, model: Usl) -> Reason | None:
    """Return the reason why the USL fit must not be used for these levels, or None."""
    if levels.distinct < FEWEST_LEVELS:
        values = {"levels": levels.distinct, "levels_needed": FEWEST_LEVELS}
        return Reason(FitRefusal.TOO_FEW_LEVELS, values)
    best = float(efficiency(levels).max())
    if best > SUPERLINEAR:
        return Reason(FitRefusal.SUPERLINEAR, {"efficiency_ratio": best, "limit_ratio": SUPERLINEAR})
    return _negative_coefficient(levels) or _poor_fit(levels, model)


def reason_against_peak(levels: Levels, model: Usl, intervals: UslIntervals | None, cores: int | None) -> Reason | None:
    """Return the reason not to quote the peak of a fit that may be used, or None."""
    if model.peak is None:
        return Reason(PeakRefusal.NO_PEAK)
    reach = float(levels.n.max())
    if model.peak > EXTRAPOLATION * reach:
        return Reason(PeakRefusal.EXTRAPOLATED, {"n_peak": model.peak, "n_largest": reach})
    if cores is not None and reach < cores + 1:
        return Reason(PeakRefusal.NO_LEVEL_ABOVE_CORES, {"cores": cores})
    return _uncertain_peak(levels, intervals)


def _uncertain_peak(levels: Levels, intervals: UslIntervals | None) -> Reason | None:
    if intervals is None:
        return Reason(PeakRefusal.NO_INTERVAL)
    if levels.distinct == 3 and intervals.peak.high > 2 * intervals.peak.low:
        return Reason(PeakRefusal.WIDE_INTERVAL, {"n_peak_low": intervals.peak.low, "n_peak_high": intervals.peak.high})
    if levels.distinct > 3 and intervals.kappa.low <= 0:
        return Reason(PeakRefusal.KAPPA_MAY_BE_ZERO, {"kappa_low": intervals.kappa.low})
    return None


def _negative_coefficient(levels: Levels) -> Reason | None:
    if levels.distinct != 3:
        return None
    n = np.unique(levels.n)
    exact = exact_three_point(n, np.array([levels.x[levels.n == level].mean() for level in n]))
    if min(exact.sigma, exact.kappa) >= -NEGLIGIBLE_EFFECT:
        return None
    return Reason(FitRefusal.NEGATIVE_COEFFICIENT, {"sigma": exact.sigma, "kappa": exact.kappa})


def _poor_fit(levels: Levels, model: Usl) -> Reason | None:
    residual = _relative_residuals(levels, model)
    allowed = np.full(residual.size, RESIDUAL_TOLERANCE)
    if levels.se is not None:
        allowed = np.maximum(allowed, 2 * 1.96 * levels.se / levels.x)
    worst = int(np.argmax(residual - allowed))
    if residual[worst] <= allowed[worst]:
        return None
    return Reason(FitRefusal.POOR_FIT, {"residual_ratio": float(residual[worst]), "n": float(levels.n[worst])})


def _relative_residuals(levels: Levels, model: Usl) -> Floats:
    fitted = np.array([model.throughput(n) for n in levels.n])
    return np.abs(fitted / levels.x - 1)


def _weights(levels: Levels, weighted: bool) -> Floats:
    if not weighted:
        return np.ones_like(levels.x)
    return 1 / levels.x if levels.se is None else 1 / levels.se


def _residual_errors(
    levels: Levels, model: Usl, weights: Floats, dof: int
) -> tuple[float | None, tuple[float, float, float] | None]:
    """Return the standard errors of the residuals and of (lambda, sigma, kappa), as R's `nls` does."""
    if dof <= 0 or levels.distinct < 3:
        return None, None
    parameters = np.array([[model.scale, model.sigma, model.kappa]])
    residual, jacobian = linearise(levels.n, levels.x[None, :], weights, parameters)
    rse = float(np.sqrt((residual**2).sum() / dof))
    covariance = np.linalg.pinv(jacobian[0].T @ jacobian[0], rcond=1e-20) * rse**2
    scale, sigma, kappa = (float(v) for v in np.sqrt(np.diag(covariance)))
    return rse, (scale, sigma, kappa)


def _noise(levels: Levels, rse: float | None, weighted: bool) -> Floats | None:
    """Return the standard deviation of each point's x: the point's se, else that of the residuals.

    Return None if neither is known.
    """
    if levels.distinct < 3:
        return None
    if levels.se is not None:
        return levels.se
    if rse is None:
        return None
    return rse * levels.x if weighted else np.full_like(levels.x, rse)


def _bootstrap(levels: Levels, model: Usl, weights: Floats, deviation: Floats | None, seed: int) -> UslIntervals | None:
    """Return the 5-95 % quantiles of refits to x with random noise added."""
    if deviation is None:
        return None
    noise = np.random.default_rng(seed).normal(size=(DRAWS, levels.x.size))
    drawn = np.maximum(levels.x + noise * deviation, 1e-9 * levels.x)
    starts = np.tile([model.scale, model.sigma, model.kappa], (DRAWS, 1))
    fits, _ = least_squares(levels.n, drawn, weights, starts, np.array([np.inf, 1.0, 1.0]))
    with np.errstate(divide="ignore", invalid="ignore"):
        peaks = np.where(fits[:, 1] >= 1, 1.0, np.sqrt((1 - fits[:, 1]) / fits[:, 2]))
    return UslIntervals(
        scale=_quantiles(fits[:, 0]),
        sigma=_quantiles(fits[:, 1]),
        kappa=_quantiles(fits[:, 2]),
        peak=_quantiles(peaks),
        kappa_zero_probability=float((fits[:, 2] == 0).mean()),
    )


def _quantiles(values: Floats) -> Interval:
    low, high = np.quantile(values, (0.05, 0.95), method="closest_observation")
    return Interval(float(low), float(high))


def _single_level(levels: Levels) -> UslFit:
    model = Usl(float((levels.x / levels.n).mean()), float("nan"), float("nan"))
    unusable = reason_against_fit(levels, model)
    return UslFit(model, 0, None, None, float("nan"), None, unusable, unusable)
