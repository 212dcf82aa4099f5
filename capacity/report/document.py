"""The user's document of scenario 2, in Spanish, from what was measured and from nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from capacity.analysis.analysed_runs import AnalysedRuns
from capacity.analysis.run_analysis import RunAnalysis, cell_evidence
from capacity.diagnosis.data_quality import is_valid
from capacity.report import saturation
from capacity.report.conclusions import conclusions, unknowns
from capacity.report.messages import sentence
from capacity.report.page import configuration
from capacity.report.statements import best_sentence, limit_parts, machine, plural, spaced
from capacity.table.cells import TableCell
from capacity.table.number_format import UNKNOWN, interval_text, number, percent
from capacity.table.table_text import capacity_text, markdown, sources
from core.language import Language
from core.run import Mode

LANG: Language = "es"
GOAL = """\
Cuántos videos por minuto procesa la capa de workers (Celery + ffmpeg detrás de una cola SQS) según el número de
procesos en paralelo y el tamaño del archivo, hasta dónde sube al añadir procesos y qué lo frena."""
METHOD = """\
- **Inyección directa a la cola**, sin pasar por la web: videos MP4 reales del tamaño pedido. *Burst*: todos a la vez.
  *Sustained*: uno cada 60/tasa segundos, con horario absoluto (un envío tardío no retrasa los siguientes).
- **X** (videos/min): videos completados entre la primera subida y el último fin (burst), o dentro de la ventana de
  la prueba (sustained). **S** (s): media de `updated_at − uploaded_at`, espera en la cola incluida. Los publican las
  reglas de Prometheus a partir de cifras exactas por corrida y se recalculan desde la base de datos; deben coincidir
  al 0.1 %.
- En un burst **S crece con el número de videos N** (con servicio constante s y c slots es s(N+c)/(2c)): solo se
  comparan S de la misma N.
- **X_sat**, la capacidad nominal: videos por minuto con todos los slots ocupados, 60·c / ciclo medio de un slot, sin
  el vaciado final. Su intervalo del 95 % es el de la corrida si hay una sola y entre corridas si hay tres o
  más; con dos no hay ninguno.
- **Estabilidad** (sustained): crecimiento de la cola frente a la tasa ofrecida y utilización ρ con su intervalo.
- **Límite**: consumo de CPU, presión (PSI), disco, red y tiempo de cada etapa mientras había videos en espera,
  comparados con los de un solo slot y con los techos de la máquina cuando se midieron."""


def render_document(analysed: AnalysedRuns) -> str:
    """Return the document as Markdown; the same analysed give the same text."""
    cells = analysed.cells
    runs = analysed.newest_per_cell
    parts = [
        ("Objetivo", GOAL),
        ("Respuesta", _answers(analysed) or "Ninguna todavía."),
        ("Montaje", _setup(runs)),
        ("Método", METHOD),
        ("Tabla de resultados", _results(cells)),
        ("Capacidad y tiempos por configuración", _capacities(analysed)),
        ("Puntos de saturación", _saturation(analysed)),
        ("Cuellos de botella", _bottlenecks(runs)),
        ("Comprobaciones", _checks(runs)),
        ("Conclusiones", _bullets(conclusions(analysed)) or "Los datos no permiten ninguna."),
        ("Lo que no se pudo saber", _bullets(unknowns(analysed)) or "Nada que anotar."),
        ("Cómo repetirlo", _repeat(cells)),
    ]
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in parts)
    return f"# Escenario 2: rendimiento de la capa de workers (SQS)\n\n{_origin(cells)}\n\n{body}\n"


def _answers(analysed: AnalysedRuns) -> str:
    return _bullets(f"{best_sentence(analysed, run, LANG)}." for run in analysed.best_of_sizes)


def _origin(cells: Sequence[TableCell]) -> str:
    behind = sum(len(cell.sources) for cell in cells)
    return (
        f"*Este documento se genera con `make document` a partir de {plural(behind, 'corrida', 'corridas')} "
        "medidas; no se edita a mano.*"
    )


def _results(cells: Sequence[TableCell]) -> str:
    return f"{markdown(cells, LANG)}\nCorridas detrás de cada fila:\n\n{sources(cells, LANG)}".rstrip()


def _setup(runs: Sequence[RunAnalysis]) -> str:
    """Return machine, software and inputs, each different one once."""
    told: dict[str, dict[str, None]] = {}
    for run in runs:
        for name, value in _facts_of(run):
            told.setdefault(name, {})[value] = None
    rows = (f"| {name} | {'; '.join(values)} |" for name, values in told.items())
    return "\n".join(["| Parte | Valor |", "|---|---|", *rows])


def _facts_of(run: RunAnalysis) -> Iterator[tuple[str, str]]:
    row, environment = run.recorded.run, run.recorded.run.environment
    unknown = UNKNOWN.to(LANG)
    yield "Máquina", machine(run, LANG)
    yield "Pila", STACKS.get(environment.get("stack", ""), unknown)
    yield "Almacenamiento", STORAGES.get(environment.get("storage", ""), unknown)
    yield "Celery · Python", f"{environment.get('celery', unknown)} · {environment.get('python', unknown)}"
    yield "Perfil de ffmpeg", PROFILES.get(row.profile, row.profile)
    seconds = f"{number(row.source_seconds, LANG, 1)} s de video" if row.source_seconds else "duración desconocida"
    yield "Videos", f"{spaced(row.size_label)}: {seconds}, sha256 {row.source_sha256[:12]}"
    yield "Nodos × procesos", f"{row.nodes} × {row.concurrency}"


STACKS = {
    "native": "en esta máquina, sin contenedores; la cola es un emulador local de SQS, no AWS",
    "compose": "contenedores en una máquina; la cola es un emulador de SQS o la que se indicó",
    "aws": "Amazon SQS",
}
STORAGES = {"filesystem": "sistema de archivos", "s3": "S3"}
PROFILES = {
    "full": "`full`: el archivo entero, a 720p",
    "showcase": "`showcase`: 30 s a 720p con marca de agua, sin audio",
}


def _capacities(analysed: AnalysedRuns) -> str:
    head = (
        "| Configuración | X_sat (videos/min) | Servicio media · p95 (s) | Espera media (s) | ρ | Cola |",
        "|---|---|---|---|---|---|",
    )
    rows = (_capacity_row(cell, run) for cell, run in analysed.analysed_cells)
    return "\n".join([*head, *rows])


def _capacity_row(cell: TableCell, run: RunAnalysis) -> str:
    service, verdict = run.service, run.stability
    capacity = "—" if cell.key.mode != Mode.BURST else capacity_text(cell.x_sat, cell.x_sat_interval, LANG)
    rho = "—" if verdict is None else interval_text(verdict.utilisation_interval, LANG)
    queue = "—" if verdict is None else STABILITY_NAMES[verdict.verdict].to(LANG)
    times = f"{number(service.mean_seconds, LANG)} · {number(service.p95_seconds, LANG)}"
    cells = (configuration(run, LANG), capacity, times, number(run.parts.wait_seconds, LANG), rho, queue)
    return f"| {' | '.join(cells)} |"


def _saturation(analysed: AnalysedRuns) -> str:
    found = saturation.curves(analysed)
    lines = (f"**{spaced(curve.size_label)}.** {' '.join(saturation.statements(curve, LANG))}" for curve in found)
    return _bullets(lines) or "No hay bursts con capacidad conocida."


def _bottlenecks(runs: Sequence[RunAnalysis]) -> str:
    """Return the verdict for each configuration, then the four analysed that the scenario asks for."""
    verdicts = ["| Configuración | Límite | Confianza | Evidencia |", "|---|---|---|---|"]
    verdicts += [f"| {' | '.join(_verdict(run))} |" for run in runs]
    analysed = ["| Configuración | CPU | ffmpeg | Disco temporal | Red / S3 |", "|---|---|---|---|---|"]
    analysed += [f"| {' | '.join(_findings(run))} |" for run in runs]
    return "\n".join([*verdicts, "", "Hallazgos por configuración, con videos en espera:", "", *analysed])


def _verdict(run: RunAnalysis) -> tuple[str, ...]:
    return configuration(run, LANG), *(text.to(LANG) for text in limit_parts(run))


def _findings(run: RunAnalysis) -> tuple[str, ...]:
    cell = cell_evidence(run.row, run.recorded, run.resources, [])
    service, cores = cell.service_seconds, cell.ffmpeg_cores
    ffmpeg = percent(cell.share("transcode"), LANG, 0)
    moved = percent(cell.share("download", "upload"), LANG, 1)
    return (
        configuration(run, LANG),
        f"ocupada {percent(cell.cpu_utilisation, LANG, 0)}, PSI {percent(cell.cpu_pressure_some, LANG, 0)}",
        f"{ffmpeg} de {number(service, LANG)} s" + ("" if cores is None else f", {number(cores, LANG)} núcleos"),
        f"{_of_ceiling(cell.disk_utilisation)}, PSI full {percent(cell.io_pressure_full, LANG, 1)}",
        f"{_of_ceiling(cell.network_utilisation)}, transferencias {moved} del servicio",
    )


def _of_ceiling(utilisation: float | None) -> str:
    return "techo sin medir" if utilisation is None else f"{percent(utilisation, LANG, 0)} del techo"


def _checks(runs: Sequence[RunAnalysis]) -> str:
    head = [
        "| Corrida | Conservación | Prometheus = base de datos | Ley de Little | Fiabilidad |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(f"| {' | '.join(_check(run))} |" for run in runs)])


def _check(run: RunAnalysis) -> tuple[str, ...]:
    census, unknown = run.recorded.video_counts, UNKNOWN.to(LANG)
    kept = census.is_conserved and census.injected == run.row.count
    agrees = {True: "sí", False: "NO", None: unknown}[run.row.agrees]
    mismatch = run.little.mismatch
    little = percent(mismatch, LANG) if math.isfinite(mismatch) else unknown
    flags = "; ".join(sentence(flag.evidence, LANG) for flag in run.flags) or "sin reservas"
    trust = flags if is_valid(run.flags) else f"**no confiable**: {flags}"
    return (
        run.row.run_id,
        f"{census.done}/{run.row.count} {'se cumple' if kept else 'NO SE CUMPLE'}",
        agrees,
        little,
        trust,
    )


def _repeat(cells: Sequence[TableCell]) -> str:
    sizes = ",".join(dict.fromkeys(cell.key.size_label for cell in cells)) or "50MB,100MB"
    slots = ",".join(str(c) for c in sorted({cell.key.concurrency for cell in cells})) or "1,2,4"
    return f"```bash\nmake matrix SIZES={sizes} CONCURRENCY={slots}   # reanudable; llena la tabla\nmake document\n```"


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
