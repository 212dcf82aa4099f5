"""Render the HTML page of a comparison of runs A and B: verdict, figures and conditions side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from capacity.report.html_page import coloured_validity
from capacity.report.statements import tail_text
from capacity.report.template_loader import render_html
from capacity.runs.result_row import ResultRow
from capacity.table.number_format import UNKNOWN, bounded, interval_text, number, unbroken
from capacity.table.phrases import cell_name, plural
from core.language import STABILITY_NAMES, VALIDITY_HEADING, Language, Text, same
from core.run import Mode

Side = Sequence[ResultRow]
Sides = tuple[Side, Side]
Read = Callable[[ResultRow, Language], str]


def render_comparison(sides: Sides, conditions: Sequence[Mapping[str, Any]], verdict: str, lang: Language) -> str:
    """Return the HTML page of a comparison of two sides, each one run or several.

    `conditions` has one mapping per side, from the name of a condition to its value in the first run of the side.
    """
    rows = list(_condition_rows(conditions, lang))
    return render_html(
        "comparison.html.j2",
        lang,
        verdict=unbroken(verdict),
        cells=[" + ".join(dict.fromkeys(cell_name(row, lang) for row in side)) for side in sides],
        figures=list(_figure_rows(sides, lang)),
        different=[(name, [a], [b]) for name, a, b in rows if a != b],
        equal=[(name, a) for name, a, b in rows if a == b],
    )


def _figure_rows(sides: Sides, lang: Language) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield the name of each figure with its values in the runs of both sides, as the page of the report has them."""
    for name, read in FIGURES:
        a, b = ([_unbroken(read(row, lang)) for row in side] for side in sides)
        yield name.to(lang), a, b


def _unbroken(value: str) -> str:
    return value if isinstance(value, Markup) else unbroken(value)


def _condition_rows(conditions: Sequence[Mapping[str, Any]], lang: Language) -> Iterator[tuple[str, str, str]]:
    a, b = conditions
    shown = {name: CONDITION_NAMES[name].to(lang) for name in a.keys() | b.keys()}
    for name in sorted(shown, key=lambda name: shown[name].casefold()):
        yield shown[name], _condition(name, a.get(name), lang), _condition(name, b.get(name), lang)


def _condition(name: str, value: object, lang: Language) -> str:
    """Return the value of a condition, with its unit if it has one."""
    if value is None or value == "":
        return UNKNOWN.to(lang)
    if isinstance(value, bool):
        return YES_OR_NO[value].to(lang)
    return unbroken(f"{value} {UNITS[name]}") if name in UNITS and isinstance(value, int) else str(value)


def _capacity(row: ResultRow, lang: Language) -> str:
    if row.x_sat_per_minute is None:
        return "—" if row.mode == Mode.SUSTAINED else UNKNOWN.to(lang)
    interval = "" if row.x_sat_interval is None else f", 95 % {interval_text(row.x_sat_interval, lang)}"
    return f"{_per_minute(row.x_sat_per_minute, lang)}{interval}"


def _per_minute(rate: float | None, lang: Language) -> str:
    return UNKNOWN.to(lang) if rate is None else f"{number(rate, lang)} videos/min"


def _megabytes(row: ResultRow, lang: Language) -> str:
    rate = row.megabytes_per_minute
    return UNKNOWN.to(lang) if rate is None else f"{number(rate, lang, 1)} MB/min"


def _seconds(value: float | None, lang: Language, *, is_lower_bound: bool = False) -> str:
    return UNKNOWN.to(lang) if value is None else f"{bounded(value, is_lower_bound, lang)} s"


def _counts(row: ResultRow, lang: Language) -> str:
    return Text(
        f"{plural(row.done, 'terminado', 'terminados')} · {plural(row.failed, 'fallido', 'fallidos')}",
        f"{row.done} done · {row.failed} failed",
    ).to(lang)


def _stability(row: ResultRow, lang: Language) -> str:
    return "—" if row.stability is None else STABILITY_NAMES[row.stability].to(lang)


#: words for the conditions, which `--allow` names by the keys
CONDITION_NAMES: Mapping[str, Text] = {
    "app": Text("aplicación", "app"),
    "app_version": Text("versión de la aplicación", "version of the app"),
    "celery": same("Celery"),
    "cpu_count": Text("núcleos", "cores"),
    "cpu_model": Text("modelo de CPU", "CPU model"),
    "cpu_quota_cores": Text("cuota de CPU (núcleos)", "CPU quota (cores)"),
    "ffmpeg": same("ffmpeg"),
    "image": Text("imagen del contenedor", "container image"),
    "instance_type": Text("tipo de instancia", "instance type"),
    "instrumented": Text("worker instrumentado", "instrumented worker"),
    "is_warm": Text("slots calentados antes", "slots warmed up before"),
    "kombu": same("kombu"),
    "memory_gigabytes": Text("memoria", "memory"),
    "memory_limit_bytes": Text("límite de memoria (bytes)", "memory limit (bytes)"),
    "mode": Text("modo", "mode"),
    "nodes": same("workers"),
    "pool": Text("tipo de slots (pool)", "kind of slots (pool)"),
    "profile": Text("perfil", "profile"),
    "python": same("Python"),
    "shape": Text("forma de la carga", "load shape"),
    "slots": same("slots"),
    "source_sha256": Text("video de entrada (SHA-256)", "input video (SHA-256)"),
    "stack": same("stack"),
    "storage": Text("almacén de videos", "storage"),
    "threads_setting": Text("hilos de ffmpeg por slot", "ffmpeg's threads per slot"),
    "transport": Text("transporte de SQS", "SQS transport"),
    "version": Text("versión de Aforo", "version of Aforo"),
}
#: units of the conditions that are numbers
UNITS: Mapping[str, str] = {"memory_gigabytes": "GB", "cpu_count": "CPU"}
YES_OR_NO: Mapping[bool, Text] = {True: Text("sí", "yes"), False: same("no")}
FIGURES: tuple[tuple[Text, Read], ...] = (
    (Text("prueba", "run"), lambda row, _: row.run_id),
    (VALIDITY_HEADING, lambda row, lang: coloured_validity(row.validity, lang)),
    (same("X_sat"), _capacity),
    (same("X"), lambda row, lang: _per_minute(row.x, lang)),
    (Text("datos", "data"), _megabytes),
    (same("S"), lambda row, lang: _seconds(row.s, lang, is_lower_bound=row.s_is_lower_bound)),
    (Text("respuesta", "response time"), lambda row, lang: tail_text(row.response, lang)),
    (Text("espera en cola", "queue wait"), lambda row, lang: tail_text(row.queue_wait, lang)),
    (Text("servicio, media", "service, mean"), lambda row, lang: _seconds(row.service_mean_seconds, lang)),
    (same("videos"), _counts),
    (Text("cola", "queue"), _stability),
)
