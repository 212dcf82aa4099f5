"""What the report says in words, for page, terminal and document: the answer, and the checks of a run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from capacity.bottleneck import CAUSE_NAMES, Confidence
from capacity.evidence import RunEvidence
from capacity.gathering import Findings
from capacity.language import UNKNOWN, Language, Text, interval_text, number, percent
from capacity.littles_law import Agreement, occupancy_integral
from capacity.scalability import Levels, UslFit, fit_usl
from capacity.trust import is_trustworthy

Fact = tuple[Text, str]
CONFIDENCES = {
    Confidence.HIGH: Text("alta", "high"),
    Confidence.MEDIUM: Text("media", "medium"),
    Confidence.LOW: Text("baja", "low"),
}
NO_CAPACITY = Text(
    "Ninguna ejecución terminada permite estimar la capacidad: hacen falta más videos que slots.",
    "No finished run allows an estimate of the capacity: more videos than slots are needed.",
)


def answer(findings: Findings, lang: Language) -> list[str]:
    """Return the headline and the sentences under it: how many, at which concurrency, limited by what, how sure."""
    best = findings.best
    if best is None:
        return [NO_CAPACITY.to(lang)]
    row = best.row
    rate, size = number(row.x_sat_per_minute, lang), row.size_label
    headline = Text(
        f"{rate} videos de {size} por minuto con {row.slots} slots",
        f"{rate} videos of {size} a minute with {row.slots} slots",
    )
    return [headline.to(lang), _sure(best, lang), limit(best, lang), _weight(best, lang)]


def limit(run: RunEvidence, lang: Language) -> str:
    """Return what stops the run from doing more, with how sure that is."""
    verdict = run.bottleneck
    name, sure = CAUSE_NAMES[verdict.cause].to(lang), CONFIDENCES[verdict.confidence].to(lang)
    seen = "; ".join(text.to(lang) for text in verdict.evidence) or UNKNOWN.to(lang)
    return Text(
        f"Límite: {name} (confianza {sure}). Evidencia: {seen}.",
        f"Limit: {name} ({sure} confidence). Evidence: {seen}.",
    ).to(lang)


def conservation(run: RunEvidence, lang: Language) -> str:
    """Return the sum that every injected video must appear in once."""
    c = run.recorded.census
    holds = c.is_conserved and c.injected == run.row.count
    es = (
        f"{run.row.count} pedidos, {c.injected} inyectados = {c.done} terminados + {c.failed} fallidos + "
        f"{c.waiting} en cola + {c.in_flight} en proceso + {c.dead_lettered} en cola muerta"
    )
    en = (
        f"{run.row.count} asked, {c.injected} injected = {c.done} done + {c.failed} failed + "
        f"{c.waiting} in queue + {c.in_flight} in flight + {c.dead_lettered} dead-lettered"
    )
    return Text(
        f"{es}: {'se cumple' if holds else 'NO SE CUMPLE'}", f"{en}: {'holds' if holds else 'DOES NOT HOLD'}"
    ).to(lang)


def littles_law(run: RunEvidence, lang: Language) -> str:
    """Return how the run's log agrees with itself and with the queue's counters."""
    check, recorded = run.little, run.recorded
    known = np.isfinite(recorded.uploaded_at) & np.isfinite(recorded.updated_at)
    arrived, left = recorded.uploaded_at[known], recorded.updated_at[known]
    error = abs(occupancy_integral(arrived, left) / (left - arrived).sum() - 1) if known.any() else float("nan")
    own = Text(f"registro propio: desvío {error:.0e}", f"own log: off by {error:.0e}").to(lang)
    if check.agreement is Agreement.UNKNOWN:
        why = Text(
            "cola SQS: desconocido (ejecución corta o sin muestras)", "SQS queue: unknown (short run or no samples)"
        )
        return f"{own}; {why.to(lang)}"
    counted, implied = number(check.counted_mean, lang), number(check.implied_mean, lang)
    sqs = Text(f"cola SQS: L contado {counted}, X·R {implied}", f"SQS queue: L counted {counted}, X·R {implied}")
    return f"{own}; {sqs.to(lang)} ({percent(check.mismatch, lang)}, {check.agreement})"


def stability(run: RunEvidence, lang: Language) -> str:
    """Return the verdict on a sustained run with its numbers; a burst has none."""
    verdict = run.stability
    if verdict is None:
        return Text("no aplica a una ráfaga", "does not apply to a burst").to(lang)
    rho, needed = interval_text(verdict.utilisation_interval, lang), verdict.arrivals_needed or UNKNOWN.to(lang)
    growth, arrivals = percent(verdict.growth_ratio, lang), verdict.arrivals
    return Text(
        f"{verdict.verdict}: la cola crece {growth} de la tasa, ρ {rho}; {arrivals} llegadas de {needed} necesarias",
        f"{verdict.verdict}: the queue grows {growth} of the rate, ρ {rho}; {arrivals} arrivals of {needed} needed",
    ).to(lang)


def facts(run: RunEvidence, lang: Language) -> Iterator[Fact]:
    """Yield the checked statements of a run, name and value."""
    row, service = run.row, run.service
    capacity = f"{number(row.x_sat_per_minute, lang)} {interval_text(row.x_sat_interval, lang)}"
    yield (
        Text("X del escenario (videos/min)", "scenario's X (videos/min)"),
        number(row.x_per_minute or row.x_database, lang),
    )
    yield Text("S del escenario (s)", "scenario's S (s)"), number(row.s_seconds or row.s_database, lang)
    yield Text("X_sat, intervalo 95 % de esta ejecución", "X_sat, 95 % interval of this run"), capacity
    yield (
        Text("servicio media · CV · p50 · p95", "service mean · CV · p50 · p95"),
        f"{number(service.mean_seconds, lang)} s · {number(service.cv, lang)} · "
        f"{number(service.p50_seconds, lang)} s · {number(service.p95_seconds, lang)} s",
    )
    yield Text("espera media (s)", "mean wait (s)"), number(run.parts.wait_seconds, lang)
    stages = (f"{name} {number(seconds, lang, 3)}" for name, seconds in run.parts.stage_seconds.items() if seconds > 0)
    other = f"{Text('resto', 'other').to(lang)} {number(run.parts.other_seconds, lang, 3)}"
    yield Text("etapas (s)", "stages (s)"), " · ".join([*stages, other])
    yield Text("conservación", "conservation"), conservation(run, lang)
    yield Text("ley de Little", "Little's law"), littles_law(run, lang)
    yield Text("estabilidad", "stability"), stability(run, lang)
    if run.offered is not None:
        late = number(run.offered.lateness_max_seconds, lang, 3)
        yield (
            Text("tasa ofrecida · mayor retraso", "offered rate · largest lateness"),
            f"{number(run.offered.per_minute, lang)}/min · {late} s",
        )
    yield Text("límite", "limit"), limit(run, lang)
    flags = "; ".join(flag.evidence.to(lang) for flag in run.flags)
    yield Text("reservas", "reservations"), flags or Text("ninguna", "none").to(lang)


def fit_of(findings: Findings) -> tuple[UslFit | None, str]:
    """Return the saturation fit of the best cell's size and that size; no fit under two levels."""
    best = findings.best
    if best is None:
        return None, ""
    same = [r.row for r in findings.runs if r.row.size_label == best.row.size_label and r.row.x_sat_per_minute]
    n = np.array([float(row.slots) for row in same])
    x = np.array([float(row.x_sat_per_minute or 0) for row in same])
    return fit_usl(Levels(n, x), cores=best.row.cpu_count), best.row.size_label


def fit_statement(fit: UslFit | None, lang: Language) -> str:
    """Return what the saturation fit says, or why it must not be used."""
    if fit is None or fit.refused is not None:
        why = "" if fit is None or fit.refused is None else f": {fit.refused.to(lang)}"
        return Text(f"No se ajusta la ley de escalabilidad (USL){why}.", f"No scalability law (USL) fitted{why}.").to(
            lang
        )
    model = fit.model
    peak = fit.peak_refused.to(lang) if fit.peak_refused else f"n = {number(model.peak, lang, 1)}"
    return Text(
        f"USL: σ = {model.sigma:.4f}, κ = {model.kappa:.5f}, λ = {model.scale:.3f}; máximo: {peak}.",
        f"USL: σ = {model.sigma:.4f}, κ = {model.kappa:.5f}, λ = {model.scale:.3f}; peak: {peak}.",
    ).to(lang)


def machine(run: RunEvidence, lang: Language) -> str:
    """Return the machine and versions a run is to be quoted with."""
    host = run.recorded.run.environment.get("host", {})
    unknown = UNKNOWN.to(lang)
    memory = host.get("memory_bytes")
    return (
        f"{host.get('cpu_model', unknown)} · {host.get('cpu_count', unknown)} CPU · "
        f"{unknown if memory is None else f'{memory / 1e9:.1f} GB'} · {host.get('system', unknown)} · "
        f"ffmpeg {run.recorded.run.environment.get('ffmpeg', unknown)}"
    )


def _sure(run: RunEvidence, lang: Language) -> str:
    bounds = interval_text(run.row.x_sat_interval, lang)
    return Text(
        f"Intervalo del 95 % de una sola ejecución: {bounds}; no incluye la variación entre ejecuciones.",
        f"95 % interval of one run: {bounds}; it does not include the variation between runs.",
    ).to(lang)


def _weight(run: RunEvidence, lang: Language) -> str:
    if not run.flags:
        return Text("Sin reservas sobre la medición.", "No reservations about the measurement.").to(lang)
    found = "; ".join(flag.evidence.to(lang) for flag in run.flags)
    severe = not is_trustworthy(run.flags)
    es, en = ("NO CONFIABLE", "UNTRUSTWORTHY") if severe else ("Con reservas", "With reservations")
    return Text(f"{es}: {found}.", f"{en}: {found}.").to(lang)
