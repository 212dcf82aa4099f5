"""The page: the answer first, then the table, the limits, the saturation, and every run with its evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from capacity.analysis.analysed_runs import AnalysedRuns
from capacity.analysis.run_analysis import RunAnalysis, run_window
from capacity.diagnosis.bottleneck import Confidence
from capacity.diagnosis.data_quality import is_valid
from capacity.report import figures, saturation
from capacity.report.messages import measurement
from capacity.report.statements import (
    answer,
    best_sentence,
    facts,
    limit_line,
    limit_parts,
    machine,
    reservations,
    spaced,
)
from capacity.table.number_format import number
from capacity.table.table_text import HEADER, cells_of
from core.language import CAUSE_NAMES, Language, Text

STYLE = Path(__file__).with_name("style.css")
TITLE = Text("Capacidad de la capa de workers", "Capacity of the worker layer")
EMPTY = Text("Todavía no hay corridas: `make run-burst` mide la primera.", "No runs yet: `make run-burst` makes one.")
NUMBERS = frozenset({1, 3, 4})


def render_page(analysed: AnalysedRuns, lang: Language) -> str:
    """Return the whole report as one HTML document that needs nothing else."""
    title = TITLE.to(lang)
    body = _body(analysed, lang) if analysed.rows else f"<p>{escape(EMPTY.to(lang))}</p>"
    return (
        f'<!doctype html>\n<html lang="{lang}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )


def _body(analysed: AnalysedRuns, lang: Language) -> str:
    drawn = [run for run in reversed(analysed.runs) if run.row.run_id in analysed.drawn]
    runs = "".join(_run(run, position == 0, lang) for position, run in enumerate(drawn))
    return "".join(
        [
            _answer(analysed, lang),
            _heading("Tabla de resultados", "Result table", lang),
            _table([name.strip() for name in HEADER.to(lang).strip("|").split("|")], _rows(analysed, lang), NUMBERS),
            _limits(analysed, lang),
            _saturation(analysed, lang),
            _heading("Corridas", "Runs", lang),
            runs,
            _method(lang),
        ]
    )


def _heading(es: str, en: str, lang: Language) -> str:
    return f"<h2>{escape(Text(es, en).to(lang))}</h2>"


def _answer(analysed: AnalysedRuns, lang: Language) -> str:
    first, *rest = answer(analysed, lang)
    best = analysed.best
    doubtful = best is not None and not is_valid(best.flags)
    sentences = "".join(f"<p{_kind(sentence is rest[-1] and doubtful)}>{escape(sentence)}</p>" for sentence in rest)
    more = [best_sentence(analysed, run, lang) for run in analysed.best_of_sizes if run is not best]
    others = "".join(f"<li>{escape(sentence)}</li>" for sentence in more)
    also = f'<ul class="also">{others}</ul>' if others else ""
    where = f'<p class="soft">{escape(machine(best, lang))}</p>' if best else ""
    return f'<section class="answer"><strong>{escape(first)}</strong>{sentences}{also}{where}</section>'


def _kind(is_bad: bool) -> str:
    return ' class="bad"' if is_bad else ""


def _rows(analysed: AnalysedRuns, lang: Language) -> Iterable[Sequence[str]]:
    return (cells_of(cell, lang) for cell in analysed.cells)


def _table(names: Sequence[str], rows: Iterable[Sequence[str]], numeric: Iterable[int] = ()) -> str:
    """Return a table whose rows become blocks with named values on a phone."""
    kinds = ["n" if column in set(numeric) else "t" for column in range(len(names))]
    head = "".join(f'<th class="{kind}">{escape(name)}</th>' for kind, name in zip(kinds, names, strict=True))
    body = "".join(f"<tr>{_cells(names, kinds, row)}</tr>" for row in rows)
    return f'<table class="cells"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _cells(names: Sequence[str], kinds: Sequence[str], row: Sequence[str]) -> str:
    return "".join(
        f'<td class="{kind}" data-name="{escape(name)}"><span>{escape(value)}</span></td>'
        for kind, name, value in zip(kinds, names, row, strict=True)
    )


def _limits(analysed: AnalysedRuns, lang: Language) -> str:
    """Return what limits each cell, by the evidence of the newest run behind it."""
    names = Text("Configuración|Límite|Confianza|Evidencia", "Configuration|Limit|Confidence|Evidence").to(lang)
    rows = (
        (configuration(run, lang), *(text.to(lang) for text in limit_parts(run))) for run in analysed.newest_per_cell
    )
    title = _heading("Qué limita cada configuración", "What limits each configuration", lang)
    return title + _table(names.split("|"), rows)


def configuration(run: RunAnalysis, lang: Language) -> str:
    """Return the cell of a run as the table names it."""
    rate = "" if run.row.rate_per_minute is None else f" {number(run.row.rate_per_minute, lang, 0)}/min"
    return f"{spaced(run.row.size_label)} · c={run.row.concurrency} · {run.row.mode.capitalize()}{rate}"


def _saturation(analysed: AnalysedRuns, lang: Language) -> str:
    curves = saturation.curves(analysed)
    if not curves:
        return ""
    said = "".join(
        f"<p><b>{escape(spaced(curve.size_label))}.</b> {escape(' '.join(saturation.statements(curve, lang)))}</p>"
        for curve in curves
    )
    title = _heading("Capacidad y concurrencia", "Capacity and concurrency", lang)
    return f"{title}{figures.throughput_chart(curves, lang)}{said}"


def _run(run: RunAnalysis, is_open: bool, lang: Language) -> str:
    start, end = run_window(run.recorded)
    end = max(end, start + 1e-3)
    charts = [
        figures.timeline(run, start, end, lang),
        figures.queue_chart(run, start, end, lang),
        figures.resource_charts(run, start, end, lang),
    ]
    halves = f'<div class="grid2">{figures.service_chart(run, lang)}{figures.stage_chart(run, lang)}</div>'
    return (
        f"<details{' open' if is_open else ''}><summary>{_summary(run, lang)}</summary>"
        f"{_facts(run, lang)}{''.join(charts)}{halves}</details>"
    )


def _summary(run: RunAnalysis, lang: Language) -> str:
    when = datetime.fromtimestamp(run.row.created_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    capacity = run.row.x_sat_per_minute
    rate = f" · {number(run.row.x if capacity is None else capacity, lang)}/min"
    return f'{escape(configuration(run, lang) + rate)} <span class="soft">{escape(f"{run.row.run_id} · {when}")}</span>'


def _facts(run: RunAnalysis, lang: Language) -> str:
    told = [
        *facts(run, lang),
        (Text("límite", "limit"), limit_line(run, lang)),
        (Text("descartado", "ruled out"), _ruled_out(run, lang)),
        (Text("fiabilidad", "trust"), reservations(run, lang)),
    ]
    lines = (f"<tr><th>{escape(name.to(lang))}</th><td>{escape(value)}</td></tr>" for name, value in told)
    return f'<table class="facts">{"".join(lines)}</table>'


def _ruled_out(run: RunAnalysis, lang: Language) -> str:
    """Return the other candidate causes with the measurement that contradicts each."""
    others = [s for s in run.bottleneck.candidates if s.cause is not run.bottleneck.cause and s.against]
    weak = [s for s in others if s.confidence is Confidence.LOW]
    return "; ".join(f"{CAUSE_NAMES[s.cause].to(lang)}: {measurement(s.against[0], lang)}" for s in weak) or "—"


def _method(lang: Language) -> str:
    told = Text(
        "X y S se miden como los define el escenario: X son los videos completados por minuto, S la media "
        "de updated_at − uploaded_at, espera incluida; en una ráfaga crece con el número de videos N. X_sat es la "
        "capacidad con todos los slots ocupados; su intervalo es el de la corrida si hay una sola y entre corridas si "
        "hay tres o más; con dos no hay ninguno. Para comparar configuraciones hacen falta tres corridas o más de cada "
        "una. «Desconocido» significa que no se midió.",
        "X and S are measured as the scenario defines them: X is completed videos per minute, S the mean of "
        "updated_at − uploaded_at, waiting included; in a burst it grows with the number of videos N. X_sat is the "
        "capacity with every slot busy; its interval is the run's own where there is one, between runs from three on; "
        "with two there is none. Comparing configurations takes three runs or more of each. “Unknown” means not "
        "measured.",
    )
    return f"<footer>{_heading('Método', 'Method', lang)}<p>{escape(told.to(lang))}</p></footer>"
