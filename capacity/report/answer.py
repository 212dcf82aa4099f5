"""Write the first lines of a report: the answer, how sure it is, what limits it, and what to do next.

The HTML page and the terminal begin with the same lines.
"""

from __future__ import annotations

from capacity.analysis.analysed_runs import AnalysedRuns
from capacity.analysis.run_analysis import RunAnalysis
from capacity.diagnosis.bottleneck import Cause
from capacity.diagnosis.data_quality import Problem
from capacity.diagnosis.next_steps import NextStep, advice
from capacity.estimators.reason import Reason
from capacity.estimators.stability import Stability, StabilityVerdict
from capacity.report.messages import sentence
from capacity.report.statements import (
    NO_BURST,
    NO_COMPLETE_BURST,
    best_sentence,
    headline,
    kept_up,
    limit,
    missing_capacity,
    reservations,
)
from capacity.report.worker_growth import growth_text, worker_growths
from capacity.runs.result_row import ResultRow
from capacity.table.cells import RUNS_FOR_INTERVAL, TableCell
from capacity.table.number_format import UNKNOWN, interval_text, number, significant
from capacity.table.phrases import plural, spaced
from core.language import VALIDITY_HEADING, Language, Text

NEXT_STEP = Text("Siguiente paso", "Next step")
#: warnings that more videos remove
TOO_FEW = {Problem.FEW_VIDEOS.value, Problem.COLD_START.value}
#: videos per slot that leave neither warning
VIDEOS_PER_SLOT = 5


def answer(analysed: AnalysedRuns, lang: Language) -> list[str]:
    """Return a report's first lines: the capacity, how sure it is, what limits it, and what to do next.

    The capacity is in videos per minute. If several numbers of workers were measured, further lines say how X_sat grew
    with that number. If no capacity is known, the only line says so.
    """
    best = analysed.best
    if best is None:
        return [_no_capacity(analysed, lang)]
    support = _support(best, analysed.cell_of(best), lang)
    growth = (growth_text(each, lang) for each in worker_growths(analysed))
    return [best_sentence(analysed, best, lang), *support, *growth]


def run_answer(run: RunAnalysis, lang: Language) -> list[str]:
    """Return the first lines of a report on one run, as four sentences.

    The four are the result, how sure the result is, what limits the run, and what to do next.
    """
    return [_run_headline(run, lang), *_support(run, None, lang)]


def next_step(run: RunAnalysis) -> Reason:
    """Return what the user should do next after a run, as a code with its numbers.

    The first of these facts that applies decides: the run is invalid, the run has a stability verdict, the run had too
    few videos. Otherwise the bottleneck decides.
    """
    validity = run.row.validity
    if validity.is_invalid:
        return Reason(NextStep.REPEAT_RUN)
    if run.stability is not None:
        return _next_rate(run, run.stability)
    if TOO_FEW & set(validity.reasons):
        return Reason(NextStep.MORE_VIDEOS, {"videos_needed": VIDEOS_PER_SLOT * run.row.slots})
    return advice(run.bottleneck.cause).next_step


def _next_rate(run: RunAnalysis, verdict: StabilityVerdict) -> Reason:
    needed, is_unstable = verdict.arrivals_needed, verdict.verdict is Stability.UNSTABLE
    if needed is not None and verdict.arrivals < needed and not is_unstable:
        return Reason(NextStep.MORE_ARRIVALS, {"arrivals_needed": needed})
    if not is_unstable:
        return Reason(NextStep.NOTHING if kept_up(run) else NextStep.LOWER_RATE)
    cause = run.bottleneck.cause
    return Reason(NextStep.LOWER_RATE) if cause is Cause.UNCLEAR else advice(cause).next_step


def _support(run: RunAnalysis, cell: TableCell | None, lang: Language) -> list[str]:
    step = sentence(next_step(run), lang)
    return [_validity(run, cell, lang), limit(run, lang), f"{NEXT_STEP.to(lang)}: {step}."]


def _validity(run: RunAnalysis, cell: TableCell | None, lang: Language) -> str:
    judged = reservations(run, lang)
    lowered = judged if judged[:2].isupper() else judged[0].lower() + judged[1:]
    return f"{VALIDITY_HEADING.to(lang)}: {lowered}{_scope(run, cell, lang)}"


def _scope(run: RunAnalysis, cell: TableCell | None, lang: Language) -> str:
    """Return the sentence that says whether the interval includes differences between runs."""
    if run.row.x_sat_per_minute is None or run.row.validity.is_invalid:
        return ""
    if cell is not None and cell.is_between_runs:
        text = Text(
            "El intervalo incluye cómo varían unas pruebas de otras", "The interval includes differences between runs"
        )
    elif cell is not None and len(cell.x_sat_runs) > 1:
        text = Text(
            f"Dos pruebas no dan un intervalo entre pruebas: hacen falta {RUNS_FOR_INTERVAL}",
            f"Two runs give no interval between runs: {RUNS_FOR_INTERVAL} are needed",
        )
    else:
        text = Text(
            f"El intervalo es de una sola prueba; uno entre pruebas necesita {RUNS_FOR_INTERVAL}",
            f"The interval is of one run; one between runs takes {RUNS_FOR_INTERVAL} runs",
        )
    return f" {text.to(lang)}."


def _run_headline(run: RunAnalysis, lang: Language) -> str:
    verdict = run.stability
    if run.row.validity.is_invalid or verdict is None:
        return headline(run.row, lang, missing_capacity(run))
    if verdict.verdict is Stability.INCONCLUSIVE:
        return _undecided(run.row, verdict, lang)
    return headline(run.row, lang) + ("" if verdict.is_firm else _few_arrivals(verdict, lang))


def _few_arrivals(verdict: StabilityVerdict, lang: Language) -> str:
    arrivals, needed = verdict.arrivals, verdict.arrivals_needed or UNKNOWN.to(lang)
    return Text(
        f", según {arrivals} llegadas: un veredicto firme necesita {needed}",
        f", by {arrivals} arrivals: a firm verdict takes {needed}",
    ).to(lang)


def _undecided(row: ResultRow, verdict: StabilityVerdict, lang: Language) -> str:
    """Return the headline of an inconclusive run: what is known, and how many arrivals a verdict takes."""
    rate, slots = significant(row.rate_per_minute, lang), plural(row.slots, "slot", "slots")
    size = spaced(row.size_label)
    rho, needed = interval_text(verdict.utilisation_interval, lang), verdict.arrivals_needed or UNKNOWN.to(lang)
    done = number(row.x, lang)
    return Text(
        f"A {rate} videos de {size} por minuto con {slots} no se sabe si la cola es estable: {verdict.arrivals} "
        f"llegadas de {needed} necesarias; salieron {done} videos/min, ρ {rho}",
        f"At {rate} videos of {size} per minute with {slots} it is unknown if the queue is stable: {verdict.arrivals} "
        f"arrivals of {needed} needed; {done} videos/min left it, ρ {rho}",
    ).to(lang)


def _no_capacity(analysed: AnalysedRuns, lang: Language) -> str:
    """Return the headline when no capacity is known, with the reason from the newest burst."""
    bursts = [run for run in reversed(analysed.runs) if run.saturated is not None]
    if bursts and bursts[0].row.validity.is_invalid:
        return headline(bursts[0].row, lang)
    missing = next((reason for run in bursts if (reason := missing_capacity(run))), None)
    why = sentence(missing, lang) if missing else (NO_COMPLETE_BURST if bursts else NO_BURST).to(lang)
    return Text(
        f"Ninguna prueba terminada permite estimar la capacidad: {why}.",
        f"No finished run allows an estimate of the capacity: {why}.",
    ).to(lang)
