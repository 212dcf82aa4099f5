"""Render the scenario's document in Spanish: the tables and conclusions that the scenario asks for.

The sentences are in templates/escenario_2.es.md.j2 and templates/conclusiones.es.md.j2.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from capacity.analysis.analysed_runs import AnalysedRuns
from capacity.analysis.bottleneck_evidence import cell_evidence
from capacity.analysis.run_analysis import RunAnalysis
from capacity.analysis.scalability_curves import curves
from capacity.diagnosis.validity import Level
from capacity.report import conclusions, curve_statements
from capacity.report.messages import sentence
from capacity.report.statements import CONSERVATION_NAMES, advice_text, best_sentence, limit_parts, machine
from capacity.report.template_loader import template
from capacity.report.worker_growth import growth_text, worker_growths
from capacity.table.cells import TableCell
from capacity.table.number_format import UNKNOWN, interval_text, number, percent
from capacity.table.phrases import cell_name, spaced
from capacity.table.table_text import capacity_text, markdown, sources
from core.language import STABILITY_NAMES, VALIDITY_NAMES, Language
from core.run import UNKNOWN_VERSION, Mode

LANG: Language = "es"
STACKS = {
    "native": "en esta máquina, sin contenedores; la cola es un emulador local de SQS, no AWS",
    "compose": "contenedores en una máquina; la cola es un emulador de SQS o la que se indicó",
    "aws": "Amazon SQS",
}
STORAGES = {"filesystem": "sistema de archivos", "s3": "S3"}
PROFILES = {
    "full": "`full`: el archivo entero, a 720p",
    "showcase": "`showcase`: 30 s a 720p con marca de agua, cortinillas de apertura y cierre, sin audio",
    "hevc": "`hevc`: el archivo entero, a 720p en HEVC",
    "av1": "`av1`: el archivo entero, a 720p en AV1",
    "nvenc": "`nvenc`: el archivo entero, a 720p con la tarjeta NVIDIA",
}


def render_document(analysed: AnalysedRuns, archives: str = "") -> str:
    """Return the document that the scenario asks for (tables and conclusions) as Markdown in Spanish.

    `archives` is the folder that the runs were read from, or empty if they come from the database. The same runs always
    give the same text.
    """
    cells, runs, scalability = analysed.cells, analysed.newest_per_cell, curves(analysed)
    return template("escenario_2.es.md.j2").render(
        run_count=sum(len(cell.sources) for cell in cells),
        answers=[f"{best_sentence(analysed, run, LANG)}." for run in analysed.best_of_sizes],
        setup=_setup(runs),
        table=markdown(cells, LANG),
        sources=sources(cells, LANG),
        capacities=[_capacity(cell, run) for cell, run in analysed.analysed_cells],
        growths=[growth_text(growth, LANG) for growth in worker_growths(analysed)],
        saturation=[f"**{c.name}.** {' '.join(curve_statements.statements(c, LANG))}" for c in scalability],
        verdicts=[(_name(run), *(text.to(LANG) for text in limit_parts(run))) for run in runs],
        next_steps=_next_steps(runs),
        findings=[_findings(run) for run in runs],
        checks=[_check(run) for run in runs],
        conclusions=conclusion_sentences(conclusions.conclusions(analysed)),
        unknowns=conclusion_sentences(conclusions.unknowns(analysed)),
        matrices=_matrices(cells),
        app_file="APP=ruta/aforo.toml " if any(run.row.app for run in runs) else "",
        archives=archives,
    )


def _matrices(cells: Sequence[TableCell]) -> list[str]:
    """Return the options of the `make matrix` commands that measure these cells again, one text per command.

    A rate that is no whole number was derived from X_sat.
    """
    groups: dict[tuple[str, int, str], list[TableCell]] = {}
    for cell in cells:
        rate = cell.key.rate_per_minute
        shown = "" if cell.key.mode == Mode.BURST else f" RATE={rate:.0f}" if rate == round(rate) else " RATE=auto"
        groups.setdefault((cell.key.mode, cell.runs[-1].count, shown), []).append(cell)
    return [
        f"SIZES={','.join(dict.fromkeys(cell.key.size_label for cell in group))} "
        f"CONCURRENCY={','.join(str(slots) for slots in sorted({cell.key.concurrency for cell in group}))} "
        f"MODES={mode} COUNT={count}{rate} REPEATS={max(len(cell.sources) for cell in group)}"
        for (mode, count, rate), group in groups.items()
    ]


def conclusion_sentences(entries: Iterable[conclusions.Conclusion]) -> list[str]:
    """Return the Spanish sentence of each conclusion or open question in `entries`."""
    macros: Any = template("conclusiones.es.md.j2").module
    return [getattr(macros, conclusion.code)(conclusion.values) for conclusion in entries]


def _name(run: RunAnalysis) -> str:
    return cell_name(run.row, LANG)


def _setup(runs: Sequence[RunAnalysis]) -> list[tuple[str, str]]:
    """Return machine, software and inputs of the runs, without repeated values."""
    values: dict[str, dict[str, None]] = {}
    for run in runs:
        for name, value in _setup_of(run):
            values.setdefault(name, {})[value] = None
    return [(name, "; ".join(different)) for name, different in values.items()]


def _setup_of(run: RunAnalysis) -> Iterator[tuple[str, str]]:
    row, environment = run.recorded.run, run.recorded.run.environment
    unknown = UNKNOWN.to(LANG)
    yield from _app_of(environment.get("app", {}))
    yield "Máquina", machine(run, LANG)
    yield "Pila", STACKS.get(environment.get("stack", ""), unknown)
    yield (
        "Almacenamiento",
        "el de la aplicación" if run.row.app else STORAGES.get(environment.get("storage", ""), unknown),
    )
    yield "Celery · Python", f"{environment.get('celery', unknown)} · {environment.get('python', unknown)}"
    profile = "el de la aplicación" if run.row.app else PROFILES.get(row.profile, row.profile)
    yield "Perfil de ffmpeg", profile
    seconds = f"{number(row.source_seconds, LANG, 1)} s de video" if row.source_seconds else "duración desconocida"
    yield "Videos", f"{spaced(row.size_label)}: {seconds}, sha256 {row.source_sha256[:12] or unknown}"
    yield "Nodos × procesos", f"{row.nodes} × {run.row.concurrency_text}"


def _app_of(app: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Return the app whose worker was measured; nothing for our reference worker."""
    if app:
        version = "desconocida" if app["version"] == UNKNOWN_VERSION else app["version"]
        yield "Aplicación", f"{app['name']}, versión {version}, tarea `{app['task']}`, cola `{app['queue']}`"
        yield "Worker", f"`{app['started_by']}`"
        measured = "aforo instalado en el worker: slots y ejecuciones exactos"
        yield "Medición", measured if app["instrumented"] else "sin instrumentar: solo por tiempos de finalización"


def _capacity(cell: TableCell, run: RunAnalysis) -> tuple[str, ...]:
    service, verdict = run.service, run.stability
    capacity = "—" if cell.key.mode != Mode.BURST else capacity_text(cell.x_sat, cell.x_sat_interval, LANG)
    rho = "—" if verdict is None else interval_text(verdict.utilisation_interval, LANG)
    queue = "—" if verdict is None else STABILITY_NAMES[verdict.verdict].to(LANG)
    times = f"{number(service.mean_seconds, LANG)} · {number(service.p95_seconds, LANG)}"
    if cell.validity.level is not Level.VALID:
        capacity += f" ({VALIDITY_NAMES[cell.validity.level].es})"
    return _name(run), capacity, times, number(run.parts.wait_seconds, LANG), rho, queue


def _next_steps(runs: Sequence[RunAnalysis]) -> list[str]:
    """Return what to try next for each bottleneck, once per cause."""
    steps = {limit_parts(run)[0].to(LANG): advice_text(run, LANG) for run in runs}
    return [f"**{cause}**: {step}." for cause, step in steps.items() if step is not None]


def _findings(run: RunAnalysis) -> tuple[str, ...]:
    """Return the four findings that the scenario asks for: CPU, ffmpeg, disk, network."""
    cell = cell_evidence(run, run.resources, [])
    service, cores = cell.service_seconds, cell.ffmpeg_cores
    ffmpeg = percent(cell.share("transcode"), LANG, 0)
    moved = percent(cell.share("download", "upload"), LANG, 1)
    return (
        _name(run),
        f"ocupada {percent(cell.cpu_utilisation, LANG, 0)}, PSI {percent(cell.cpu_pressure_some, LANG, 0)}",
        f"{ffmpeg} de {number(service, LANG)} s" + ("" if cores is None else f", {number(cores, LANG)} núcleos"),
        f"{_of_bandwidth(cell.disk_utilisation)}, PSI full {percent(cell.io_pressure_full, LANG, 1)}",
        f"{_of_bandwidth(cell.network_utilisation)}, transferencias {moved} del servicio",
    )


def _of_bandwidth(utilisation: float | None) -> str:
    return (
        "ancho de banda sin medir" if utilisation is None else f"{percent(utilisation, LANG, 0)} de su ancho de banda"
    )


def _check(run: RunAnalysis) -> tuple[str, ...]:
    counts, unknown = run.recorded.video_counts, UNKNOWN.to(LANG)
    excess = run.little.excess
    warnings = "; ".join(sentence(warning.evidence, LANG) for warning in run.warnings) or "sin reservas"
    return (
        run.row.run_id,
        f"{counts.done}/{run.row.count} {CONSERVATION_NAMES[run.conservation.holds].es}",
        {True: "sí", False: "NO", None: unknown}[run.row.agrees],
        percent(excess, LANG) if math.isfinite(excess) else unknown,
        f"{VALIDITY_NAMES[run.row.validity.level].es}: {warnings}",
    )
