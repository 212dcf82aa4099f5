"""HTML page of the report: the answer, the result table, the bottlenecks, the scalability, every run."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from capacity.analysis import scalability_curves
from capacity.analysis.analysed_runs import AnalysedRuns
from capacity.analysis.run_analysis import RunAnalysis
from capacity.analysis.run_windows import run_window
from capacity.diagnosis.bottleneck import Confidence
from capacity.diagnosis.validity import Level, Validity
from capacity.report import curve_statements, figures, level_table
from capacity.report.answer import answer
from capacity.report.messages import measurement
from capacity.report.statements import (
    advice_text,
    best_sentence,
    facts,
    limit_check,
    limit_line,
    limit_parts,
    machine,
    reservations,
)
from capacity.report.template_loader import render_html
from capacity.table.cells import TableCell
from capacity.table.number_format import number, unbroken
from capacity.table.phrases import cell_name, validity_text
from capacity.table.table_text import cells_of, column_names
from core.language import CAUSE_NAMES, VALIDITY_HEADING, VALIDITY_NAMES, Language, Text

VALIDITY_CLASSES = {Level.VALID: "good", Level.INDICATIVE: "warn", Level.INVALID: "bad"}


def render_page(analysed: AnalysedRuns, lang: Language, price_per_hour: float | None = None) -> str:
    """Return the whole report on the analysed runs as one HTML document.

    `price_per_hour` is the price of one worker. If it is given, the report also shows the cost per 1,000 videos.
    """
    page = _unbroken(_page(analysed, lang, price_per_hour)) if analysed.rows else None
    return render_html("page.html.j2", lang, page=page)


def coloured_validity(validity: Validity, lang: Language) -> Markup:
    """Return a validity with its reasons as HTML, in the colour of its level."""
    judged = unbroken(validity_text(validity, lang))
    return Markup('<span class="{}">{}</span>').format(VALIDITY_CLASSES[validity.level], judged)


def _page(analysed: AnalysedRuns, lang: Language, price_per_hour: float | None) -> dict[str, Any]:
    best = analysed.best
    curves = scalability_curves.curves(analysed)
    drawn = [run for run in reversed(analysed.runs) if run.row.run_id in analysed.drawn]
    return {
        "answer": answer(analysed, lang),
        "is_invalid": best is None or best.row.validity.level is not Level.VALID,
        "other_sizes": [best_sentence(analysed, run, lang) for run in analysed.best_of_sizes if run is not best],
        "machine": machine(best, lang) if best else None,
        "table_names": _table_names(lang),
        "table_rows": [_table_row(cell, lang) for cell in analysed.cells],
        "limits": [_limit(run, lang) for run in analysed.newest_per_cell],
        "level_names": level_table.names(lang, price_per_hour),
        "level_note": level_table.NOTE.to(lang),
        "levels": list(level_table.rows(curves, lang, price_per_hour)),
        "saturation": [(c.name, " ".join(curve_statements.statements(c, lang))) for c in curves],
        "saturation_chart": _svg(figures.throughput_chart(curves, lang)) if curves else "",
        "runs": [_run(run, lang) for run in drawn],
    }


def _unbroken(value: Any) -> Any:
    """Return texts whose numbers stay beside their units. Charts stay as they are."""
    if isinstance(value, dict):
        return {name: _unbroken(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_unbroken(item) for item in value]
    return unbroken(value) if type(value) is str else value


def _svg(*charts: str) -> Markup:
    return Markup("".join(charts))  # noqa: S704 (charts.py escapes its texts)


def _table_names(lang: Language) -> list[str]:
    """Return the columns of the scenario's table, with the validity before the notes."""
    *names, notes = column_names(lang)
    return [*names, VALIDITY_HEADING.to(lang), notes]


def _table_row(cell: TableCell, lang: Language) -> list[str]:
    *values, notes = cells_of(cell, lang)
    others = notes.removeprefix(validity_text(cell.validity, lang)).removeprefix("; ")
    return [*values, coloured_validity(cell.validity, lang), others]


def _limit(run: RunAnalysis, lang: Language) -> tuple[str, ...]:
    parts = (text.to(lang) for text in limit_parts(run))
    return cell_name(run.row, lang), *parts, advice_text(run, lang) or "—"


def _run(run: RunAnalysis, lang: Language) -> dict[str, Any]:
    start, end = run_window(run.recorded)
    end = max(end, start + 1e-3)
    created = datetime.fromtimestamp(run.row.created_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    rate = run.row.x if run.row.x_sat_per_minute is None else run.row.x_sat_per_minute
    is_valid = run.row.validity.level is Level.VALID
    judged = "" if is_valid else f" · {VALIDITY_NAMES[run.row.validity.level].to(lang)}"
    return {
        "title": f"{cell_name(run.row, lang)} · {number(rate, lang)}/min{judged}",
        "subtitle": f"{run.row.run_id} · {created}",
        "facts": [(name.to(lang), value) for name, value in _facts(run, lang)],
        "charts": _svg(
            figures.timeline(run, start, end, lang),
            figures.queue_chart(run, start, end, lang),
            figures.resource_charts(run, start, end, lang),
        ),
        "half_charts": _svg(figures.service_chart(run, lang), figures.stage_chart(run, lang)),
    }


def _facts(run: RunAnalysis, lang: Language) -> list[tuple[Text, str]]:
    return [
        *facts(run, lang),
        (Text("límite", "limit"), limit_line(run, lang)),
        *limit_check(run, lang),
        (Text("descartado", "ruled out"), _ruled_out(run, lang)),
        (Text("reservas", "reservations"), reservations(run, lang)),
    ]


def _ruled_out(run: RunAnalysis, lang: Language) -> str:
    """Return the other candidate causes, each with a measurement that contradicts it."""
    others = [c for c in run.bottleneck.candidates if c.cause is not run.bottleneck.cause and c.against]
    weak = [c for c in others if c.confidence is Confidence.LOW]
    return "; ".join(f"{CAUSE_NAMES[c.cause].to(lang)}: {measurement(c.against[0], lang)}" for c in weak) or "—"
