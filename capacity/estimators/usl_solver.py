"""Fit the coefficients of the Universal Scalability Law (USL) by bounded least squares.

One call fits one data set, or thousands of bootstrap draws at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import optimize

from capacity.estimators.interval import Booleans, Floats

MAX_ITERATIONS = 500
NEGLIGIBLE_EFFECT = 1e-6  # of the throughput at the largest level: no measurement resolves less


@dataclass(frozen=True, slots=True)
class Usl:
    """Universal Scalability Law X(n) = scale * n / (1 + sigma (n-1) + kappa n (n-1)), by its coefficients."""

    scale: float
    sigma: float
    kappa: float

    def throughput(self, n: float) -> float:
        """Return X(n), the throughput that the scalability law predicts at `n` slots."""
        return self.scale * n / (1 + self.sigma * (n - 1) + self.kappa * n * (n - 1))

    def concurrency(self, throughput: float) -> float | None:
        """Return the fewest slots for which the scalability law predicts this throughput, not rounded.

        Return None if the law predicts this throughput for no number of slots, or if sigma is 1.
        """
        linear = self.scale + (self.kappa - self.sigma) * throughput
        discriminant = linear**2 - 4 * self.kappa * throughput**2 * (1 - self.sigma)
        if discriminant < -1e-12 * linear**2 or linear <= 0 or self.sigma >= 1:
            return None
        return 2 * throughput * (1 - self.sigma) / (linear + math.sqrt(max(discriminant, 0.0)))

    @property
    def peak(self) -> float | None:
        """Return the number of slots for which the scalability law predicts the highest throughput.

        The number is not rounded. Return None if the predicted throughput never falls.
        """
        if self.kappa == 0:
            return None
        return 1.0 if self.sigma >= 1 else math.sqrt((1 - self.sigma) / self.kappa)

    @property
    def limit(self) -> float | None:
        """Return scale / sigma: the highest throughput that contention allows. None if sigma is 0.

        If kappa (the coherency cost) is 0, the throughput approaches this limit as the number of slots grows.
        """
        return self.scale / self.sigma if self.sigma > 0 else None


def fit_coefficients(n: Floats, x: Floats, weights: Floats) -> Usl:
    """Fit the Universal Scalability Law to points by weighted least squares. Return its coefficients.

    `n` (slots), `x` (throughput) and `weights` have one entry per point. A sigma or kappa with a negligible effect on
    the throughput is set to exactly 0.
    """
    starts = _starts(n, x, weights)
    upper = np.array([np.inf, 1.0, 1.0])
    best = _best(n, x, weights, starts, upper)
    reach = float(n.max())
    if best.kappa * reach * (reach - 1) < NEGLIGIBLE_EFFECT * (1 + best.sigma * (reach - 1)):
        upper[2] = 0.0
        best = _best(n, x, weights, starts, upper)
    if best.sigma * (reach - 1) < NEGLIGIBLE_EFFECT:
        upper[1] = 0.0
        best = _best(n, x, weights, starts, upper)
    return best


def _starts(n: Floats, x: Floats, weights: Floats) -> Floats:
    """Return the solver's starting points, shape (k, 3).

    The first is the linearised fit with non-negative coefficients. The others form a grid of (sigma, kappa).
    """
    grid = [(sigma, kappa) for sigma in (0.0, 0.01, 0.1, 0.5) for kappa in (0.0, 1e-4, 1e-2, 0.2)]
    scale = weights * x**2 / n
    a, b, c = optimize.nnls(_design(n) * scale[:, None], n / x * scale)[0]
    if a > 0:
        grid.append((min(b / a, 1.0), min(c / a, 1.0)))
    pairs = np.array(grid)
    shape = weights * n / _denominator(n, pairs[:, :1], pairs[:, 1:])
    scales = (shape @ (weights * x)) / (shape**2).sum(axis=1)
    return np.column_stack([scales, pairs])


def _best(n: Floats, x: Floats, weights: Floats, starts: Floats, upper: Floats) -> Usl:
    """Return the fit with the lowest cost over all starts. Among equal costs, take the first fit."""
    parameters, cost = least_squares(n, np.broadcast_to(x, (len(starts), x.size)), weights, starts, upper)
    scale, sigma, kappa = parameters[int(np.argmin(cost))]
    return Usl(float(scale), float(sigma), float(kappa))


def least_squares(n: Floats, x: Floats, weights: Floats, starts: Floats, upper: Floats) -> tuple[Floats, Floats]:
    """Fit the scalability law to many data sets at once, by the method of Levenberg and Marquardt.

    Return the parameters (scale, sigma, kappa) of each fit, and the sum of its squared weighted residuals. `n` (slots)
    and `weights` have one entry per point. `x` (throughput) has the shape (fits, points). `starts` and the parameters
    have the shape (fits, 3). Each parameter is between 0 and its bound in `upper`.
    """
    parameters = np.clip(starts, 0.0, upper)
    damping = np.full(len(parameters), 1e-3)
    residual, jacobian = linearise(n, x, weights, parameters)
    cost = (residual**2).sum(axis=1)
    for _ in range(MAX_ITERATIONS):
        candidate = _step(parameters, residual, jacobian, damping, upper)
        new_residual, slopes = linearise(n, x, weights, candidate)
        new_cost = (new_residual**2).sum(axis=1)
        better = new_cost < cost
        moved = np.abs(candidate - parameters).max(axis=1, where=better[:, None], initial=0.0)
        parameters = np.where(better[:, None], candidate, parameters)
        residual = np.where(better[:, None], new_residual, residual)
        cost = np.where(better, new_cost, cost)
        jacobian = np.where(better[:, None, None], slopes, jacobian)
        damping = np.where(better, damping / 5, damping * 4)
        if np.all((moved == 0) & (damping > 1e8)):
            break
        damping = np.clip(damping, 1e-12, 1e9)
    return parameters, cost


def linearise(n: Floats, x: Floats, weights: Floats, parameters: Floats) -> tuple[Floats, Floats]:
    """Return the weighted residuals of the scalability law, and their derivatives, for several fits.

    A residual is the predicted minus the measured throughput, times the weight of the point. The residuals have the
    shape (fits, points). The derivatives by scale, sigma and kappa have the shape (fits, points, 3).

    `n` (slots) and `weights` have one entry per point. `x` (measured throughput) has the shape (fits, points).
    `parameters` has one row (scale, sigma, kappa) per fit.
    """
    scale, sigma, kappa = (parameters[:, i, None] for i in range(3))
    below = _denominator(n, sigma, kappa)
    shape = n / below
    slope = -scale * shape / below
    jacobian = np.stack([shape, slope * (n - 1), slope * n * (n - 1)], axis=2)
    return weights * (scale * shape - x), weights[:, None] * jacobian


def _step(parameters: Floats, residual: Floats, jacobian: Floats, damping: Floats, upper: Floats) -> Floats:
    gradient = np.einsum("fpi,fp->fi", jacobian, residual)
    normal = np.einsum("fpi,fpj->fij", jacobian, jacobian)
    fixed: Booleans = ((parameters <= 0) & (gradient > 0)) | ((parameters >= upper) & ((gradient < 0) | (upper == 0)))
    free = ~fixed
    normal = normal * free[:, :, None] * free[:, None, :]
    diagonal = np.einsum("fii->fi", normal)
    ridge = np.where(fixed | (diagonal == 0), 1.0, diagonal * damping[:, None])
    lifted = normal + ridge[:, :, None] * np.eye(3)
    step = np.linalg.solve(lifted, -(gradient * free)[:, :, None])[:, :, 0]
    moved: Floats = np.clip(parameters + step, 0.0, upper)
    return moved


def _denominator(n: Floats, sigma: Floats | float, kappa: Floats | float) -> Floats:
    result: Floats = 1 + sigma * (n - 1) + kappa * n * (n - 1)
    return result


def _design(n: Floats) -> Floats:
    return np.column_stack([np.ones_like(n), n - 1, n * (n - 1)])
