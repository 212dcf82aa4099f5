"""Write the sentences of the report about a run: its answer, its bottleneck and its checks.

The HTML page, the terminal and the document use the same sentences.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from capacity.analysis.analysed_runs import AnalysedRuns
from capacity.analysis.run_analysis import RunAnalysis
from capacity.analysis.run_facts import clock_difference
from capacity.diagnosis.bottleneck import Confidence
from capacity.diagnosis.conservation import Conservation
from capacity.diagnosis.data_quality import is_valid
from capacity.diagnosis.next_steps import advice
from capacity.diagnosis.validity import Level, Validity
from capacity.estimators.littles_law import FEWEST_READINGS, Agreement
from capacity.estimators.reason import Reason
from capacity.estimators.response_time import Decomposition
from capacity.estimators.stability import GROWTH_TOLERANCE, Stability, StabilityVerdict
from capacity.estimators.tails import Goodput, Tail
from capacity.estimators.throughput import FirstVideos, filling_efficiency
from capacity.report.messages import CONFIDENCE_NAMES, bottleneck_line, measurements, sentence
from capacity.runs.conditions import workers_at_start
from capacity.runs.result_row import ResultRow
from capacity.table.cells import TableCell
from capacity.table.number_format import UNKNOWN, bounded, interval_text, number, percent, significant
from capacity.table.phrases import plural, spaced, validity_text
from core.language import CAUSE_NAMES, LANGUAGES, STABILITY_NAMES, STAGE_NAMES, Language, Text, same
from core.run import SEED, has_constant_rate

NamedStatement = tuple[Text, str]
AGREEMENTS = {
    Agreement.OK: Text("coinciden", "agree"),
    Agreement.WARN: Text("difieren", "differ"),
    Agreement.INVALID: Text("NO COINCIDEN", "DISAGREE"),
}
CLOCKS = Text("por los relojes que se compararon", "by the clocks that were compared")
WAITING_ONLY = Text(
    "; solo los que esperan, porque la aplicación confirma al empezar",
    "; only waiting ones, because the app acknowledges at the start",
)
NOT_FETCHING = Text(
    "crece con slots libres: los workers no toman los mensajes", "it grows with slots free: the workers do not fetch"
)
RHO_DECIDES = Text(
    "decide ρ > 1: cada slot tarda más de lo que hay entre sus videos, y la cola crecerá aunque en la parte juzgada "
    "todavía no creció",
    "ρ > 1 decides: a slot takes longer than the time between its videos, and the queue will grow although it did not "
    "yet in the judged part",
)
GROWS_WITH_SPARE_SLOTS = Text(
    "la cola creció, pero por ρ < 1 no debería seguir creciendo",
    "the queue grew, but by ρ < 1 it should not go on growing",
)
RHO_MAY_BE_ONE = Text("la cola no crece, pero ρ puede ser 1 o más", "no growth, but ρ may be 1 or more")
OFFERED_RATE = Text("la tasa ofrecida", "the offered rate")
BANDWIDTH_LIMITS = {
    "disk_read": Text("lectura de disco", "disk read"),
    "disk_write": Text("escritura de disco", "disk write"),
    "network_in": Text("descarga", "download"),
    "network_out": Text("subida", "upload"),
}
UNMEASURED_LIMITS = Text(
    "desconocido; lo mide `python -m aforo measure-limits` donde corre el worker",
    "unknown; `python -m aforo measure-limits` where the worker runs measures it",
)
CONSERVATION_NAMES = {
    True: Text("se cumple", "holds"),
    False: Text("NO SE CUMPLE", "DOES NOT HOLD"),
    None: Text("desconocido", "unknown"),
}
FIRST_VIDEOS = {
    FirstVideos.LEFT_OUT: Text("; sin el primer video de cada slot", "; without the first video of each slot"),
    FirstVideos.INCLUDED: Text("; con el primer video de cada slot", "; with the first video of each slot"),
    FirstVideos.WARM: Text("; slots calentados antes", "; slots warmed up before"),
}
NO_DEAD_LETTER_QUEUE = Text(
    "no tiene cola de mensajes muertos: un mensaje que siempre falla se entrega una y otra vez",
    "it has no dead-letter queue: a message that always fails is delivered again and again",
)
NO_BURST = Text("no hay ninguna ráfaga", "there is no burst")
NO_COMPLETE_BURST = Text("ninguna ráfaga está completa", "no burst is complete")


def _judged(statement: str, validity: Validity, lang: Language) -> str:
    """Return the statement, with the level and the reasons where it is not valid."""
    return statement if validity.level is Level.VALID else f"{statement}; {validity_text(validity, lang)}"


def best_sentence(analysed: AnalysedRuns, run: RunAnalysis, lang: Language) -> str:
    """Return one sentence with the result of the cell to which `run` belongs.

    If several runs of the cell have an X_sat, the sentence states the mean of these X_sat. If only one run has an
    X_sat, the sentence states the result of that run. Otherwise the sentence states the result of `run`.
    """
    cell = analysed.cell_of(run)
    rows = (cell.x_sat_runs if cell else ()) or (run.row,)
    if cell is None or len(rows) == 1:
        return headline(rows[0], lang, missing_capacity(run))
    return _judged(_mean_capacity(cell, run, lang), cell.validity, lang)


def _mean_capacity(cell: TableCell, run: RunAnalysis, lang: Language) -> str:
    rows = cell.x_sat_runs
    rate, size = number(cell.x_sat, lang), spaced(run.row.size_label)
    slots, runs = plural(run.row.slots, "slot", "slots"), len(rows)
    each = ", ".join(number(row.x_sat_per_minute, lang) for row in rows)
    bounds = f"; 95 %: {interval_text(cell.x_sat_interval, lang)}" if cell.is_between_runs else f": {each}"
    return Text(
        f"{rate} videos de {size} por minuto con {slots} (capacidad nominal, media de {runs} pruebas{bounds})",
        f"{rate} videos of {size} per minute with {slots} (nominal capacity, mean of {runs} runs{bounds})",
    ).to(lang)


def missing_capacity(run: RunAnalysis) -> Reason | None:
    """Return the reason why X_sat of a burst is unknown. Return None if X_sat is known.

    X_sat is the throughput with every slot busy. Return None for a sustained run too, because it has no X_sat.
    """
    return run.saturated.reason if run.saturated else None


def headline(row: ResultRow, lang: Language, missing: Reason | None = None) -> str:
    """Return one sentence with the result of a run. If the run is not valid, the sentence says why.

    - Burst: X_sat. If X_sat is unknown, X and the reason `missing`.
    - Sustained run with a constant rate: the stability verdict.
    - Sustained run with a changing rate: X.
    - Invalid run: no figure.
    """
    if row.validity.is_invalid:
        judged = validity_text(row.validity, lang)
        return Text(
            f"Prueba {judged}: sus cifras no son una respuesta", f"The run is {judged}: its figures are no answer"
        ).to(lang)
    return _judged(_result(row, lang, missing), row.validity, lang)


def _result(row: ResultRow, lang: Language, missing: Reason | None) -> str:
    size, slots = spaced(row.size_label), plural(row.slots, "slot", "slots")
    if row.rate_per_minute is not None and not has_constant_rate(row.conditions.shape):
        x, shape = number(row.x, lang), row.conditions.shape
        return Text(
            f"{x} videos de {size} por minuto con {slots} y llegadas {shape}; la tasa cambia, así que no hay veredicto "
            "de estabilidad",
            f"{x} videos of {size} per minute with {slots} and arrivals {shape}; the rate changes, so there is no "
            "verdict on stability",
        ).to(lang)
    if row.rate_per_minute is not None:
        rate, verdict = significant(row.rate_per_minute, lang), STABILITY_NAMES[row.stability or Stability.INCONCLUSIVE]
        return Text(
            f"A {rate} videos de {size} por minuto con {slots}, la cola es {verdict.es}",
            f"At {rate} videos of {size} per minute with {slots}, the queue is {verdict.en}",
        ).to(lang)
    if row.x_sat_per_minute is None:
        x, why = number(row.x, lang), f": {sentence(missing, lang)}" if missing else ""
        return Text(
            f"{x} videos de {size} por minuto con {slots}; capacidad desconocida{why}",
            f"{x} videos of {size} per minute with {slots}; capacity unknown{why}",
        ).to(lang)
    rate = number(row.x_sat_per_minute, lang)
    bounds = interval_text(row.x_sat_interval, lang)
    return Text(
        f"{rate} videos de {size} por minuto con {slots} (capacidad nominal; 95 %: {bounds})",
        f"{rate} videos of {size} per minute with {slots} (nominal capacity; 95 %: {bounds})",
    ).to(lang)


def limit(run: RunAnalysis, lang: Language) -> str:
    """Return a sentence that begins with `Limit:` and says what limits the run, with the evidence."""
    return f"{Text('Límite', 'Limit').to(lang)}: {limit_line(run, lang)}."


def limit_line(run: RunAnalysis, lang: Language) -> str:
    """Return one line of text that says what limits the run, with the evidence for it.

    A stable sustained run is limited by its offered rate. Any other run is limited by its bottleneck.
    """
    name, _, evidence = (text.to(lang) for text in limit_parts(run))
    return f"{name}: {evidence}" if kept_up(run) else bottleneck_line(run.bottleneck, lang)


def advice_text(run: RunAnalysis, lang: Language) -> str | None:
    """Return a text that says what to try next against the bottleneck of the run.

    For some bottlenecks, the text also says which result would show that this bottleneck is wrong. Return None for a
    stable sustained run.
    """
    if kept_up(run):
        return None
    advised = advice(run.bottleneck.cause)
    text = sentence(advised.next_step, lang)
    if advised.disproof is None:
        return text
    result = sentence(advised.disproof, lang)
    return f"{text}; " + Text(f"si {result}, este veredicto es falso", f"if {result}, this verdict is wrong").to(lang)


def limit_parts(run: RunAnalysis) -> tuple[Text, Text, Text]:
    """Return three texts: what limits the run, the confidence in this statement, and the evidence for it.

    A stable sustained run is limited by its offered rate. Any other run is limited by its bottleneck.
    """
    verdict = run.bottleneck
    if kept_up(run) and run.stability is not None:
        busy = Text(*(percent(run.stability.utilisation, lang, 0) for lang in LANGUAGES))
        evidence = Text(f"la cola no crece; slots ocupados al {busy.es}", f"no growth; slots {busy.en} busy")
        if math.isnan(run.stability.utilisation):
            evidence = Text("la cola no crece; ocupación desconocida", "no growth; busy share unknown")
        return OFFERED_RATE, CONFIDENCE_NAMES[Confidence.HIGH], evidence
    evidence = Text(*(measurements(verdict.evidence, lang) or "—" for lang in LANGUAGES))
    return CAUSE_NAMES[verdict.cause], CONFIDENCE_NAMES[verdict.confidence], evidence


def kept_up(run: RunAnalysis) -> bool:
    """Return True if a sustained run was stable: the workers kept up with the offered rate."""
    return run.stability is not None and run.stability.verdict is Stability.STABLE


def conservation(run: RunAnalysis, lang: Language) -> str:
    """Return a text with the number of videos in each state, and the result of the conservation check.

    The check fails if a requested video was not sent, if a message was lost, or if an execution was lost or repeated.
    The check is unknown if the messages in SQS were not counted.
    """
    c = run.recorded.video_counts
    es = (
        f"{plural(run.row.count, 'pedido', 'pedidos')}, {plural(c.injected, 'inyectado', 'inyectados')} = "
        f"{plural(c.done, 'terminado', 'terminados')} + {plural(c.failed, 'fallido', 'fallidos')} + "
        f"{c.waiting} en cola + {c.in_flight} en proceso + {c.dead_lettered} en cola muerta"
    )
    en = (
        f"{run.row.count} requested, {c.injected} injected = {c.done} done + {c.failed} failed + "
        f"{c.waiting} in queue + {c.in_flight} in flight + {c.dead_lettered} dead-lettered"
    )
    holds = CONSERVATION_NAMES[run.conservation.holds]
    return Text(f"{es}: {holds.es}", f"{en}: {holds.en}").to(lang) + _losses(run.conservation, lang)


def _losses(sums: Conservation, lang: Language) -> str:
    """Return what is missing or was done twice, or why that is unknown."""
    counts = {
        Text("mensajes perdidos", "messages lost"): sums.lost_messages,
        Text("ejecuciones repetidas", "executions repeated"): sums.repeated,
        Text("ejecuciones perdidas", "executions lost"): sums.lost,
    }
    shown = [f"{name.to(lang)}: {count}" for name, count in counts.items() if count]
    if sums.holds is None:
        shown.append(Text("los mensajes no se contaron en SQS", "the messages were not counted in SQS").to(lang))
    return f" ({', '.join(shown)})" if shown else ""


def littles_law(run: RunAnalysis, lang: Language) -> str:
    """Return a text that checks the run with Little's law.

    The text compares the mean number of videos counted in SQS with the number computed from the recorded times. If the
    two numbers cannot be compared, the text says so.
    """
    check = run.little
    if check.agreement is Agreement.UNKNOWN:
        return Text(
            f"no se puede comparar con la cola SQS (menos de {FEWEST_READINGS} lecturas, videos cancelados o "
            "confirmación temprana sin ejecuciones)",
            f"not comparable with the SQS queue (under {FEWEST_READINGS} readings, cancelled videos, or early "
            "acknowledgement without executions)",
        ).to(lang)
    counted, implied = number(check.counted_mean, lang), number(check.implied_mean, lang)
    excess, limit = percent(check.excess, lang, 1), percent(check.limit, lang, 0)
    name = AGREEMENTS[check.agreement]
    return Text(
        f"cola SQS: {counted} videos contados, {implied} según X·R; diferencia en los momentos de las "
        f"{check.readings} lecturas: {excess} (límite {limit}, {name.es})",
        f"SQS queue: {counted} videos counted, {implied} by X·R; difference at the moments of the "
        f"{check.readings} readings: {excess} (limit {limit}, {name.en})",
    ).to(lang) + (
        WAITING_ONLY.to(lang) if run.recorded.run.environment.get("app", {}).get("acks_late") is False else ""
    )


def stability(run: RunAnalysis, lang: Language) -> str:
    """Return the stability verdict on a sustained run, as text.

    The text also has the growth of the queue, the utilisation and the number of arrivals. If the run has no such
    verdict, the text says why.
    """
    verdict = run.stability
    if verdict is None and not run.recorded.is_burst:
        return Text(
            "no aplica: la tasa cambia durante la prueba", "does not apply: the rate changes during the run"
        ).to(lang)
    if verdict is None:
        return Text("no aplica a una ráfaga", "does not apply to a burst").to(lang)
    rho, needed = interval_text(verdict.utilisation_interval, lang), verdict.arrivals_needed or UNKNOWN.to(lang)
    growth, arrivals, name = percent(verdict.growth_ratio, lang), verdict.arrivals, STABILITY_NAMES[verdict.verdict]
    judged = Text(
        f"{name.es}: la cola crece un {growth} de la tasa, ρ {rho}; {arrivals} llegadas de {needed} necesarias",
        f"{name.en}: the queue grows by {growth} of the rate, ρ {rho}; {arrivals} arrivals of {needed} needed",
    )
    remarks = [_tension(verdict), NOT_FETCHING if verdict.not_fetching else None]
    return judged.to(lang) + "".join(f"; {remark.to(lang)}" for remark in remarks if remark)


def _tension(verdict: StabilityVerdict) -> Text | None:
    """Return what decides where growth and ρ point in different directions, else None."""
    grows, rho = verdict.growth_ratio > GROWTH_TOLERANCE, verdict.utilisation_interval
    if verdict.verdict is Stability.UNSTABLE and not grows:
        return RHO_DECIDES
    if verdict.verdict is Stability.INCONCLUSIVE and grows:
        return GROWS_WITH_SPARE_SLOTS
    return RHO_MAY_BE_ONE if verdict.verdict is Stability.INCONCLUSIVE and rho.high >= 1 else None


def facts(run: RunAnalysis, lang: Language) -> Iterator[NamedStatement]:
    """Yield the figures and checks of a run. Each is a pair: its name, and a text with its value."""
    row = run.row
    yield Text("validez", "validity"), validity_text(row.validity, lang)
    yield Text("X del escenario", "scenario's X"), f"{number(row.x, lang)} videos/min ({_agreement(run, lang)})"
    yield Text("S del escenario", "scenario's S"), _response_mean(run, lang)
    yield Text("datos", "data"), f"{number(row.megabytes_per_minute, lang, 1)} MB/min"
    if run.recorded.is_burst:
        yield Text("X_sat", "X_sat"), _capacity(run, lang)
    yield Text("servicio", "service"), _service(run, lang)
    yield Text("respuesta", "response time"), tail_text(row.response, lang)
    wait = f"{_mean(lang)} {number(run.parts.wait_seconds, lang)} s · {tail_text(row.queue_wait, lang)}"
    yield Text("espera en cola", "queue wait"), wait
    yield Text("etapas", "stages"), _stages(run, lang)
    yield Text("conservación", "conservation"), conservation(run, lang)
    yield Text("ley de Little", "Little's law"), littles_law(run, lang)
    if run.recorded.run.environment.get("app", {}).get("dead_letter_queue") is False:
        yield Text("aviso de la cola", "queue warning"), NO_DEAD_LETTER_QUEUE.to(lang)
    if row.conditions.shape is not None:
        seed = run.recorded.run.environment.get(SEED)
        seeded = "" if seed is None else Text(f" (semilla {seed})", f" (seed {seed})").to(lang)
        yield Text("llegadas", "arrivals"), f"{row.conditions.shape}{seeded}"
    if run.offered is not None:
        late = number(run.offered.lateness_max_seconds, lang, 3)
        offered = number(run.offered.per_minute, lang)
        worst = Text("mayor retraso", "largest lateness").to(lang)
        yield Text("tasa ofrecida", "offered rate"), f"{offered} videos/min; {worst} {late} s"
    if not run.recorded.is_burst:
        yield Text("estabilidad", "stability"), stability(run, lang)
    yield Text("ancho de banda", "bandwidth limits"), bandwidth_limits(run, lang)


def _response_mean(run: RunAnalysis, lang: Language) -> str:
    """Return S, with its error by the clocks of an app where they are known."""
    seconds, difference = bounded(run.row.s, run.row.s_is_lower_bound, lang), clock_difference(run.recorded)
    if difference is None:
        return f"{seconds} s"
    return f"{seconds} s ± {number(difference, lang, 3)} s " + CLOCKS.to(lang)


def tail_text(tail: Tail | None, lang: Language) -> str:
    """Return the median and 95th percentile of a run's response times or queue waits, as text.

    Both are in seconds, with 95 % intervals unless neighbouring videos have similar times. `≥` marks a lower bound,
    because some videos are unfinished. Without times, the text says that the median is unknown.
    """
    if tail is None or not tail.count:
        return f"p50 {UNKNOWN.to(lang)}"
    parts = (("p50", tail.p50_seconds, tail.p50_interval), ("p95", tail.p95_seconds, tail.p95_interval))
    if tail.is_correlated:
        values = " · ".join(f"{name} {bounded(value, tail.is_lower_bound, lang)} s" for name, value, _ in parts)
        return values + Text(
            " (sin intervalo: los videos vecinos esperan parecido)", " (no interval: neighbouring videos wait alike)"
        ).to(lang)
    return " · ".join(
        f"{name} {bounded(value, tail.is_lower_bound, lang)} s (95 % {interval_text(interval, lang)})"
        for name, value, interval in parts
    )


def limit_check(run: RunAnalysis, lang: Language) -> Iterator[NamedStatement]:
    """Yield the advice on how to test the bottleneck of the run, as one pair of name and text.

    Yield nothing for an invalid run or a stable sustained run.
    """
    check = None if run.row.validity.is_invalid else advice_text(run, lang)
    if check is not None:
        yield Text("comprobar límite", "test the limit"), check


def goodput_text(reached: Goodput, lang: Language) -> str:
    """Return a text with the share of a run's videos that were done within a time goal.

    The text also has the goal in seconds, the two numbers of videos (such as `45/50`), and the 95 % interval of the
    share.
    """
    share, bounds = percent(reached.ratio, lang), reached.interval
    interval = f"[{percent(bounds.low, lang)}, {percent(bounds.high, lang)}]"
    seconds, counts = number(reached.goal_seconds, lang, 1), f"{reached.within}/{reached.count}"
    return Text(
        f"{share} de los videos terminados en {seconds} s o menos ({counts}; 95 %: {interval})",
        f"{share} of the videos done within {seconds} s ({counts}; 95 %: {interval})",
    ).to(lang)


def bandwidth_limits(run: RunAnalysis, lang: Language) -> str:
    """Return a text with the highest rates of disk and storage that the workers measured."""
    measured = run.recorded.run.environment.get("ceilings", {})
    megabytes = {name: measured[key] / 1e6 for key, name in BANDWIDTH_LIMITS.items() if key in measured}
    shown = [f"{name.to(lang)} {significant(value, lang, 3)} MB/s" for name, value in megabytes.items()]
    return " · ".join(shown) or (UNMEASURED_LIMITS if run.row.app else UNKNOWN).to(lang)


def machine(run: RunAnalysis, lang: Language) -> str:
    """Return a text that describes the workers' machines and names their version of ffmpeg.

    If the run did not record the workers' machines, the text describes the injector's machine and names its ffmpeg.
    """
    conditions, environment, unknown = run.row.conditions, run.recorded.run.environment, UNKNOWN.to(lang)
    if workers_at_start(environment) is None:
        return _injector_machine(environment, unknown)
    memory = conditions.memory_gigabytes
    parts = (
        conditions.cpu_model or unknown,
        conditions.instance_type,
        f"{conditions.cpu_count or unknown} CPU",
        _limit(conditions.cpu_quota_cores, Text("cuota {} CPU", "quota {} CPU").to(lang)),
        unknown if memory is None else f"{memory} GB",
        _limit(conditions.memory_limit_bytes, Text("límite {} bytes", "limit {} bytes").to(lang)),
        f"ffmpeg {conditions.ffmpeg or unknown}",
    )
    return " · ".join(part for part in parts if part)


def _limit(value: str | None, template: str) -> str:
    """Return a limit of the workers' containers, or nothing where none is set."""
    return "" if value in {None, "none"} else template.format(value)


def _injector_machine(environment: Mapping[str, Any], unknown: str) -> str:
    host = environment.get("host", {})
    memory = host.get("memory_bytes")
    return (
        f"{host.get('cpu_model', unknown)} · {host.get('cpu_count', unknown)} CPU · "
        f"{unknown if memory is None else f'{memory / 1e9:.1f} GB'} · {host.get('system', unknown)} · "
        f"ffmpeg {environment.get('ffmpeg', unknown)}"
    )


def reservations(run: RunAnalysis, lang: Language) -> str:
    """Return a text with the data-quality warnings of a run, or a text that says there are none.

    In English, the warnings begin with `INVALID` if one of them forbids the use of the run's figures, and otherwise
    with `With reservations`.
    """
    if not run.warnings:
        return Text("Sin reservas sobre la medición.", "No reservations about the measurement.").to(lang)
    reasons = "; ".join(sentence(warning.evidence, lang) for warning in run.warnings)
    valid = Text("Con reservas", "With reservations")
    heading = valid if is_valid(run.warnings) else Text("NO VÁLIDA", "INVALID")
    return f"{heading.to(lang)}: {reasons}."


def _agreement(run: RunAnalysis, lang: Language) -> str:
    row = run.row
    if row.agrees is None:
        return Text("base de datos; Prometheus no lo tiene", "database; Prometheus does not have it").to(lang)
    if row.agrees:
        return Text("Prometheus y base de datos coinciden", "Prometheus and database agree").to(lang)
    x, s = number(row.x_database, lang, 3), number(row.s_database, lang, 3)
    return Text(f"PERO la base de datos da X {x}, S {s} s", f"BUT the database has X {x}, S {s} s").to(lang)


def _capacity(run: RunAnalysis, lang: Language) -> str:
    row = run.row
    if row.x_sat_per_minute is None:
        missing = missing_capacity(run)
        return UNKNOWN.to(lang) + (f": {sentence(missing, lang)}" if missing else "")
    reached = _reached(filling_efficiency(row.x or float("nan"), row.x_sat_per_minute), lang)
    bounds, rate = interval_text(row.x_sat_interval, lang), number(row.x_sat_per_minute, lang)
    first = FIRST_VIDEOS[FirstVideos(row.first_videos)] if row.first_videos else same("")
    return Text(
        f"{rate} videos/min, 95 % {bounds} (de esta prueba); {reached.es}{first.es}",
        f"{rate} videos/min, 95 % {bounds} (of this run); {reached.en}{first.en}",
    ).to(lang)


def _reached(share: float, lang: Language) -> Text:
    """Return how close X came to X_sat. It can be larger by chance."""
    if round(share, 2) > 1:  # as shown: 100.3 % is 100 %
        excess = percent(share - 1, lang, 0)
        return Text(f"X es un {excess} mayor que X_sat", f"X is {excess} above X_sat")
    shown = percent(share, lang, 0)
    return Text(f"X es el {shown} de X_sat", f"X is {shown} of X_sat")


def _service(run: RunAnalysis, lang: Language) -> str:
    service = run.service
    p95 = interval_text(service.p95_interval, lang) if service.count else UNKNOWN.to(lang)
    return (
        f"{_mean(lang)} {number(service.mean_seconds, lang)} s · CV {number(service.cv, lang)} · "
        f"p50 {number(service.p50_seconds, lang)} s · p95 {number(service.p95_seconds, lang)} s (95 % {p95})"
    )


def _stages(run: RunAnalysis, lang: Language) -> str:
    """Return the mean of each stage and of the remaining time.

    The remaining time is marked where it hides an unmeasured stage.
    """
    parts = run.parts
    stages = [
        f"{STAGE_NAMES[name].to(lang)} {number(seconds, lang, 3)} s"
        for name, seconds in parts.stage_seconds.items()
        if np.isfinite(seconds)
    ]
    return " · ".join([*stages, _rest(parts, lang)])


def _rest(parts: Decomposition, lang: Language) -> str:
    """Return the time that no stage covers.

    A stage total above the service time is a difference of clocks.
    """
    if parts.fully_measured and parts.other_seconds < 0:
        seconds = number(-parts.other_seconds, lang, 3)
        return Text(
            f"las etapas suman {seconds} s de más (relojes)", f"the stages sum to {seconds} s too much (clocks)"
        ).to(lang)
    rest = Text("resto", "rest") if parts.fully_measured else Text("SIN MEDIR", "UNMEASURED")
    return f"{rest.to(lang)} {number(parts.other_seconds, lang, 3)} s"


def _mean(lang: Language) -> str:
    return Text("media", "mean").to(lang)
