"""What the data allow to conclude, and what they leave open: rules on intervals and verdicts, in Spanish."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from capacity.analysis.analysed_runs import AnalysedRuns
from capacity.analysis.run_analysis import RunAnalysis
from capacity.diagnosis.bottleneck import Cause
from capacity.diagnosis.data_quality import is_valid
from capacity.estimators.littles_law import Agreement
from capacity.estimators.stability import Stability
from capacity.report.messages import sentence
from capacity.report.page import configuration
from capacity.report.saturation import Curve, Point, curves
from capacity.report.statements import kept_up, limit_parts, plural, spaced
from capacity.table.cells import RUNS_FOR_INTERVAL, TableCell
from capacity.table.number_format import number, percent
from core.language import Language
from core.run import Mode

LANG: Language = "es"


def conclusions(analysed: AnalysedRuns) -> Iterator[str]:
    """Yield the sentences that intervals and verdicts carry, best capacity first."""
    found = curves(analysed)
    for curve in found:
        yield from _of_curve(curve)
    yield from _of_sizes(found)
    for cell in analysed.cells:
        if cell.key.mode == Mode.SUSTAINED and cell.runs[-1].is_complete:
            yield _of_rate(cell)
    yield from _of_limits(analysed)


def unknowns(analysed: AnalysedRuns) -> Iterator[str]:
    """Yield what a reader must not take from the document."""
    yield from _of_few_runs(analysed.cells)
    for curve in curves(analysed):
        if curve.fit is None or curve.fit.refused is not None:
            why = (
                "un solo nivel" if curve.fit is None else sentence(curve.fit.refused, LANG) if curve.fit.refused else ""
            )
            yield f"Dónde está el máximo con {spaced(curve.size_label)}: la ley de escalabilidad no se ajusta ({why})."
    yield from _of_runs(analysed.newest_per_cell)
    yield "Cómo se comporta en otra máquina, con otros videos o con otro perfil: solo se midió lo que dice «Montaje»."


def _of_few_runs(cells: Sequence[TableCell]) -> Iterator[str]:
    told = {
        1: "una sola corrida, y su intervalo es solo el de ella",
        2: f"dos corridas, que no dan ningún intervalo: hacen falta {RUNS_FOR_INTERVAL}",
    }
    for runs, what in told.items():
        count = sum(len(cell.x_sat_runs) == runs for cell in cells)
        if count:
            who = plural(count, "configuración tiene", "configuraciones tienen")
            yield f"Cómo varían unas corridas de otras: {who} {what}."


def _of_curve(curve: Curve) -> Iterator[str]:
    size, best = spaced(curve.size_label), max(curve.points, key=lambda point: point.capacity)
    doubt = "" if best.trusted else " (corrida no confiable)"
    yield (
        f"Con {size} la mayor capacidad nominal medida es {number(best.capacity, LANG)} videos/min, "
        f"con {plural(best.slots, 'slot', 'slots')}{doubt}."
    )
    for fewer, more in pairwise(curve.points):
        yield f"Con {size}, de {fewer.slots} a {more.slots} slots: {_gain(fewer, more)}."


def _gain(fewer: Point, more: Point) -> str:
    """Say what more slots brought; only intervals between runs may tell two cells apart (METHOD 1.3)."""
    ratio = f"×{number(more.capacity / fewer.capacity, LANG)}"
    if not (fewer.trusted and more.trusted):
        return f"{ratio}, pero alguna de las corridas no es confiable"
    if fewer.interval is None or more.interval is None or not (fewer.between_runs and more.between_runs):
        return f"{ratio}, orientativo: con menos de {RUNS_FOR_INTERVAL} corridas no se sabe cuánto es azar"
    if more.interval.low > fewer.interval.high:
        return f"{ratio}; los intervalos entre corridas no se tocan: la capacidad sube"
    if more.interval.high < fewer.interval.low:
        return f"{ratio}; los intervalos entre corridas no se tocan: la capacidad BAJA"
    return f"{ratio}; los intervalos entre corridas se solapan: no se distingue ganancia"


def _of_sizes(found: Sequence[Curve]) -> Iterator[str]:
    for smaller, larger in pairwise(found):
        common = {point.slots: point for point in smaller.points}
        pairs = [(common[point.slots], point) for point in larger.points if point.slots in common]
        if pairs:
            ratios = ", ".join(f"×{number(b.capacity / a.capacity, LANG)} (c={a.slots})" for a, b in pairs)
            yield f"De {spaced(smaller.size_label)} a {spaced(larger.size_label)} la capacidad cambia {ratios}."


def _of_rate(cell: TableCell) -> str:
    rate, slots = number(cell.key.rate_per_minute, LANG, 1), plural(cell.key.concurrency, "slot", "slots")
    verdict = Stability(cell.runs[-1].stability or Stability.INCONCLUSIVE)
    said = {
        Stability.STABLE: "la cola no crece: se sostiene",
        Stability.UNSTABLE: "la cola crece sin control: NO se sostiene",
        Stability.INCONCLUSIVE: "no se puede afirmar que se sostenga ni que no",
    }[verdict]
    return f"{rate} videos/min de {spaced(cell.key.size_label)} con {slots}: {said}."


def _of_limits(analysed: AnalysedRuns) -> Iterator[str]:
    """Group the configurations by what limits them."""
    by_cause: dict[str, list[str]] = {}
    for run in analysed.newest_per_cell:
        if kept_up(run) or run.bottleneck.cause is not Cause.UNCLEAR:
            by_cause.setdefault(limit_parts(run)[0].to(LANG), []).append(configuration(run, LANG))
    for cause, names in by_cause.items():
        yield f"Límite «{cause}»: {'; '.join(names)}."


def _of_runs(runs: Sequence[RunAnalysis]) -> Iterator[str]:
    unclear = [run for run in runs if run.bottleneck.cause is Cause.UNCLEAR and not kept_up(run)]
    if unclear:
        yield f"Qué limita a {', '.join(run.row.run_id for run in unclear)}: la evidencia no señala a ningún recurso."
    doubtful = [run for run in runs if not is_valid(run.flags)]
    if doubtful:
        names = ", ".join(run.row.run_id for run in doubtful)
        yield f"Las cifras de {names} no son confiables (véase «Comprobaciones»)."
    unpolled = [run for run in runs if run.little.agreement is Agreement.UNKNOWN]
    if unpolled:
        count = plural(len(unpolled), "corrida muy corta o sin muestras", "corridas muy cortas o sin muestras")
        yield f"Si la cola de SQS cuenta lo mismo que el registro (ley de Little), en {count}."
    short = [run for run in runs if run.stability is not None and not run.stability.long_enough]
    if short:
        names = ", ".join(run.row.run_id for run in short)
        yield f"La estabilidad a largo plazo en {names}: menos llegadas de las necesarias para afirmarla."
    low = [run for run in runs if run.row.x and run.row.x_sat_per_minute and run.row.x / run.row.x_sat_per_minute < 0.9]
    for run in low:
        share = percent((run.row.x or 0) / (run.row.x_sat_per_minute or 1), LANG, 0)
        why = f"N={run.row.count} es poco para {plural(run.row.slots, 'slot', 'slots')}"
        yield f"Lo que daría una prueba más larga: X de {run.row.run_id} queda en el {share} de la capacidad; {why}."
