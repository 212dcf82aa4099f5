"""Where adding concurrency stops paying: the Universal Scalability Law, fitted, doubted or refused.

X(n) = lambda n / (1 + sigma (n-1) + kappa n (n-1)), Gunther 2007: sigma is the serial share, kappa the cost of
keeping one another informed. Bounds 0 <= sigma, kappa <= 1 as in the R package `usl`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from capacity.estimators.interval import Floats, Interval
from capacity.estimators.usl_solver import (
    NEGLIGIBLE_EFFECT,
    Usl,
    exact_three_point,
    fit_coefficients,
    least_squares,
    linearise,
)
from core.language import Text

DRAWS = 2000
SUPERLINEAR = 1.05
RESIDUAL_TOLERANCE = 0.05
EXTRAPOLATION = 2.0


@dataclass(frozen=True, slots=True)
class Levels:
    """Measured throughput `x` at concurrency `n`, in any order, repetitions allowed; `se` its standard errors."""

    n: Floats
    x: Floats
    se: Floats | None = None

    @property
    def distinct(self) -> int:
        """Return the number of different concurrency levels."""
        return int(np.unique(self.n).size)


@dataclass(frozen=True, slots=True)
class UslIntervals:
    """5-95 % bootstrap quantiles; the peak's upper end is infinite when the draws include kappa = 0."""

    scale: Interval
    sigma: Interval
    kappa: Interval
    peak: Interval
    kappa_zero_probability: float


@dataclass(frozen=True, slots=True)
class UslFit:
    """A fit with its quality and its refusals.

    `refused` says why the law must not be used on these data, `peak_refused` why the peak must not be quoted;
    both are None when it may. `standard_errors` are (lambda, sigma, kappa), None without residual degrees of freedom.
    """

    model: Usl
    dof: int
    residual_standard_error: float | None
    standard_errors: tuple[float, float, float] | None
    max_relative_residual: float
    intervals: UslIntervals | None
    refused: Text | None
    peak_refused: Text | None


def fit_usl(levels: Levels, *, weighted: bool = True, cores: int | None = None, seed: int = 0) -> UslFit:
    """Fit the law, bootstrap it and decide what may be said.

    Residuals are weighted by 1/se where given, else by 1/x; `weighted=False` reproduces the fits of R's `usl`.
    `cores` is the machine's, when known: without a level above it the peak is an extrapolation.
    """
    if levels.distinct < 2:
        return _single_level(levels)
    weights = _weights(levels, weighted)
    model = fit_coefficients(levels.n, levels.x, weights, amdahl=levels.distinct < 3)
    dof = levels.n.size - (2 if levels.distinct < 3 else 3)
    rse, errors = _residual_errors(levels, model, weights, dof)
    intervals = _bootstrap(levels, model, weights, _noise(levels, rse, weighted), seed)
    refused = refusal(levels, model)
    return UslFit(
        model=model,
        dof=dof,
        residual_standard_error=rse,
        standard_errors=errors,
        max_relative_residual=float(_relative_residuals(levels, model).max()),
        intervals=intervals,
        refused=refused,
        peak_refused=refused or peak_refusal(levels, model, intervals, cores),
    )


def amdahl_sigma(levels: Levels) -> float:
    """Return sigma of the fit with kappa = 0, which three levels can carry with one degree of freedom."""
    return fit_coefficients(levels.n, levels.x, _weights(levels, True), amdahl=True).sigma


def efficiency(levels: Levels) -> Floats:
    """Return x / n relative to the mean of the smallest level: E(c) = X(c) / (c X(1))."""
    per_slot: Floats = levels.x / levels.n
    relative: Floats = per_slot / per_slot[levels.n == levels.n.min()].mean()
    return relative


def refusal(levels: Levels, model: Usl) -> Text | None:
    """Return why the law must not be used on these data, or None."""
    if levels.distinct < 3:
        return Text(
            f"niveles de concurrencia: {levels.distinct}; hacen falta 3",
            f"levels of concurrency: {levels.distinct}; 3 are needed",
        )
    best = float(efficiency(levels).max())
    if best > SUPERLINEAR:
        return Text(
            f"eficiencia {best:.3f} > {SUPERLINEAR}: escala más que linealmente, lo que indica calentamiento o error",
            f"efficiency {best:.3f} > {SUPERLINEAR}: superlinear, which means warm-up or a measurement error",
        )
    return _negative_coefficient(levels) or _poor_fit(levels, model)


def peak_refusal(levels: Levels, model: Usl, intervals: UslIntervals | None, cores: int | None) -> Text | None:
    """Return why the peak must not be quoted although the fit may be used, or None."""
    if model.peak is None:
        return Text("kappa = 0: el ajuste no tiene máximo", "kappa = 0: the fit has no peak")
    reach = float(levels.n.max())
    if model.peak > EXTRAPOLATION * reach:
        return Text(
            f"el máximo {model.peak:.1f} queda más allá del doble del mayor nivel medido ({reach:g})",
            f"the peak {model.peak:.1f} lies beyond twice the largest measured level ({reach:g})",
        )
    if cores is not None and reach < cores + 1:
        return Text(
            f"ningún nivel supera los {cores} núcleos de la máquina",
            f"no level exceeds the machine's {cores} cores",
        )
    return _uncertain_peak(levels, intervals)


def _uncertain_peak(levels: Levels, intervals: UslIntervals | None) -> Text | None:
    if intervals is None:
        return Text(
            "sin grados de libertad ni errores estándar no hay intervalo para el máximo",
            "without degrees of freedom or standard errors the peak has no interval",
        )
    if levels.distinct == 3 and intervals.peak.high > 2 * intervals.peak.low:
        return Text(
            "con 3 niveles el máximo es incierto en más de 2x", "with 3 levels the peak is uncertain by over 2x"
        )
    if levels.distinct > 3 and intervals.kappa.low <= 0:
        return Text("kappa no se distingue de 0", "kappa cannot be told from 0")
    return None


def _negative_coefficient(levels: Levels) -> Text | None:
    if levels.distinct != 3:
        return None
    n = np.unique(levels.n)
    exact = exact_three_point(n, np.array([levels.x[levels.n == level].mean() for level in n]))
    if min(exact.sigma, exact.kappa) >= -NEGLIGIBLE_EFFECT:
        return None
    return Text(
        f"por los 3 puntos pasaría sigma = {exact.sigma:.4f}, kappa = {exact.kappa:.4f}: negativo no tiene sentido",
        f"through the 3 points sigma = {exact.sigma:.4f}, kappa = {exact.kappa:.4f}: negative has no meaning",
    )


def _poor_fit(levels: Levels, model: Usl) -> Text | None:
    residual = _relative_residuals(levels, model)
    allowed = np.full(residual.size, RESIDUAL_TOLERANCE)
    if levels.se is not None:
        allowed = np.maximum(allowed, 2 * 1.96 * levels.se / levels.x)
    worst = int(np.argmax(residual - allowed))
    if residual[worst] <= allowed[worst]:
        return None
    where, much = f"n = {levels.n[worst]:g}", f"{100 * residual[worst]:.1f} %"
    return Text(
        f"residuo de {much} en {where}: la USL no describe estos datos; use la cota",
        f"residual of {much} at {where}: the USL does not describe these data; use the bound",
    )


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
    """Return the residual standard error and (lambda, sigma, kappa) standard errors, as R's `nls` computes them."""
    if dof <= 0 or levels.distinct < 3:
        return None, None
    parameters = np.array([[model.scale, model.sigma, model.kappa]])
    residual, jacobian = linearise(levels.n, levels.x[None, :], weights, parameters)
    rse = float(np.sqrt((residual**2).sum() / dof))
    covariance = np.linalg.pinv(jacobian[0].T @ jacobian[0], rcond=1e-20) * rse**2
    scale, sigma, kappa = (float(v) for v in np.sqrt(np.diag(covariance)))
    return rse, (scale, sigma, kappa)


def _noise(levels: Levels, rse: float | None, weighted: bool) -> Floats | None:
    """Return the standard deviation of each point: the given se, else that of the residuals, else None."""
    if levels.distinct < 3:
        return None
    if levels.se is not None:
        return levels.se
    if rse is None:
        return None
    return rse * levels.x if weighted else np.full_like(levels.x, rse)


def _bootstrap(levels: Levels, model: Usl, weights: Floats, deviation: Floats | None, seed: int) -> UslIntervals | None:
    """Return 5-95 % intervals of refits to x + noise."""
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
    refused = refusal(levels, model)
    return UslFit(model, 0, None, None, float("nan"), None, refused, refused)
