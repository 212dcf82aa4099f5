"""Write sentences about a scalability curve: efficiency per slot, the fitted law, and the upper bound."""

from __future__ import annotations

from collections.abc import Iterator

from capacity.analysis.scalability_curves import Curve
from capacity.estimators.scaling_bound import ScalingBound, scaling_bound
from capacity.estimators.usl import UslFit, efficiency
from capacity.report.messages import sentence
from capacity.table.number_format import interval_text, number, percent, significant
from core.language import Language, Text


def statements(curve: Curve, lang: Language) -> Iterator[str]:
    """Yield sentences about a curve: its efficiency per slot, then the fitted law or why there is none.

    The efficiency is the throughput per slot, relative to that at the smallest number of slots.
    """
    alone = efficiency(curve.levels)
    pairs = zip(curve.points, alone.tolist(), strict=True)
    shown = ", ".join(f"c={point.slots} {percent(share, lang, 0)}" for point, share in pairs)
    if len(curve.points) > 1:
        yield Text(f"Eficiencia por slot: {shown}.", f"Efficiency per slot: {shown}.").to(lang)
    if len(curve.points) == 1:
        yield Text(
            "Sin ley de escalabilidad (USL): solo hay un número de slots.",
            "No scalability law (USL): there is only one number of slots.",
        ).to(lang)
    elif curve.points:
        yield _fit_statement(curve.fit, scaling_bound(curve.levels), lang)


def bound_text(bound: ScalingBound, lang: Language) -> str:
    """Return the upper bound on the throughput as text, such as `X(n) ≤ 4.1·n up to n = 2.0; then 8.2`.

    X(n) is the throughput with `n` slots, in videos per minute.
    """
    slope = f"X(n) ≤ {significant(bound.per_slot, lang)}·n"
    if bound.ceiling is None or bound.knee is None:
        return Text(
            f"{slope}, sin techo hasta el mayor nivel medido", f"{slope}, no ceiling up to the largest level"
        ).to(lang)
    knee, ceiling = number(bound.knee, lang, 1), significant(bound.ceiling, lang)
    return Text(f"{slope} hasta n = {knee}; después, {ceiling}", f"{slope} up to n = {knee}; then {ceiling}").to(lang)


def _fit_statement(fit: UslFit, bound: ScalingBound, lang: Language) -> str:
    if fit.unusable is not None:
        why, shown = sentence(fit.unusable, lang), bound_text(bound, lang)
        text = Text(
            f"Sin ley de escalabilidad (USL): {why}. Cota: {shown}.",
            f"No scalability law (USL): {why}. Bound: {shown}.",
        )
        return text.to(lang)
    model = fit.model
    caution = f" ({sentence(fit.caution, lang)})" if fit.caution else ""
    peak = sentence(fit.peak_reason, lang) if fit.peak_reason else _peak_text(fit, lang)
    return Text(
        f"USL: σ = {model.sigma:.4f}, κ = {model.kappa:.5f}, λ = {model.scale:.3f}{caution}; máximo: {peak}.",
        f"USL: σ = {model.sigma:.4f}, κ = {model.kappa:.5f}, λ = {model.scale:.3f}{caution}; peak: {peak}.",
    ).to(lang)


def _peak_text(fit: UslFit, lang: Language) -> str:
    model, intervals = fit.model, fit.intervals
    if model.peak is None or intervals is None:
        return number(None, lang)
    n_range, x_range = interval_text(intervals.peak, lang, 1), interval_text(intervals.peak_throughput, lang)
    x = number(model.throughput(model.peak), lang)
    return f"n = {number(model.peak, lang, 1)} {n_range}, X = {x} {x_range} (90 %)"
