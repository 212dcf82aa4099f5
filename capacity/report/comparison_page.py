"""HTML page of a comparison of runs A and B: verdict, figures and conditions side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from capacity.estimators.tails import Tail
from capacity.report.template_loader import render_html
from capacity.runs.result_row import ResultRow
from capacity.table.number_format import UNKNOWN, bounded, number, unbroken
from capacity.table.phrases import cell_name, validity_text
from capacity.table.table_text import capacity_text
from core.language import STABILITY_NAMES, Language, Text, same

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
        different=[row for row in rows if row[1] != row[2]],
        equal=[row[:2] for row in rows if row[1] == row[2]],
    )


def _figure_rows(sides: Sides, lang: Language) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield the name of each figure with its values in the runs of both sides."""
    for name, read in FIGURES:
        a, b = ([unbroken(read(row, lang)) for row in side] for side in sides)
        yield name.to(lang), a, b


def _condition_rows(conditions: Sequence[Mapping[str, Any]], lang: Language) -> Iterator[tuple[str, str, str]]:
    a, b = conditions
    for name in sorted(a.keys() | b.keys()):
        values = (a.get(name), b.get(name))
        shown = [UNKNOWN.to(lang) if value is None or value == "" else str(value) for value in values]
        yield name, shown[0], shown[1]


def _quantiles(tail: Tail | None, lang: Language) -> str:
    if tail is None:
        return UNKNOWN.to(lang)
    p50, p95 = (bounded(value, tail.is_lower_bound, lang) for value in (tail.p50_seconds, tail.p95_seconds))
    return f"{p50} s · {p95} s"


def _stability(row: ResultRow, lang: Language) -> str:
    return "—" if row.stability is None else STABILITY_NAMES[row.stability].to(lang)


FIGURES: tuple[tuple[Text, Read], ...] = (
    (Text("prueba", "run"), lambda row, _: row.run_id),
    (Text("validez", "validity"), lambda row, lang: validity_text(row.validity, lang)),
    (
        Text("X_sat (videos/min), 95 %", "X_sat (videos/min), 95 %"),
        lambda row, lang: capacity_text(row.x_sat_per_minute, row.x_sat_interval, lang),
    ),
    (same("X (videos/min)"), lambda row, lang: number(row.x, lang)),
    (same("MB/min"), lambda row, lang: number(row.megabytes_per_minute, lang, 1)),
    (same("S"), lambda row, lang: f"{bounded(row.s, row.s_is_lower_bound, lang)} s"),
    (Text("respuesta, p50 · p95", "response time, p50 · p95"), lambda row, lang: _quantiles(row.response, lang)),
    (Text("espera en cola, p50 · p95", "queue wait, p50 · p95"), lambda row, lang: _quantiles(row.queue_wait, lang)),
    (Text("servicio, media", "service, mean"), lambda row, lang: f"{number(row.service_mean_seconds, lang)} s"),
    (Text("terminados · fallidos", "done · failed"), lambda row, _: f"{row.done} · {row.failed}"),
    (Text("cola", "queue"), _stability),
)
