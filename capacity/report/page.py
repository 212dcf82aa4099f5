"""The page: the answer first, then the table, the saturation, and every run with its evidence."""

from __future__ import annotations

from html import escape
from pathlib import Path

from capacity.evidence import RunEvidence, run_window
from capacity.gathering import Findings
from capacity.language import Language, Text
from capacity.report import figures
from capacity.report.statements import answer, facts, fit_of, fit_statement, machine
from capacity.table_text import HEADER, cells_of

STYLE = Path(__file__).with_name("style.css")
TITLE = Text("Capacidad de la capa de workers", "Capacity of the worker layer")
EMPTY = Text(
    "Todavía no hay ejecuciones: `make run-burst` mide la primera.", "No runs yet: `make run-burst` makes one."
)


def render_page(findings: Findings, lang: Language) -> str:
    """Return the whole report as one HTML document that needs nothing else."""
    title = TITLE.to(lang)
    body = _body(findings, lang) if findings.rows else f"<p>{escape(EMPTY.to(lang))}</p>"
    return (
        f'<!doctype html>\n<html lang="{lang}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{escape(title)}</title><style>{STYLE.read_text(encoding='utf-8')}</style></head>"
        f"<body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )


def _body(findings: Findings, lang: Language) -> str:
    runs = "".join(_run(run, position == 0, lang) for position, run in enumerate(reversed(findings.runs)))
    table = f"<h2>{Text('Tabla de resultados', 'Result table').to(lang)}</h2>{_table(findings, lang)}"
    heading = f"<h2>{Text('Ejecuciones', 'Runs').to(lang)}</h2>"
    return f"{_answer(findings, lang)}{table}{_saturation(findings, lang)}{heading}{runs}{_method(lang)}"


def _answer(findings: Findings, lang: Language) -> str:
    headline, *rest = answer(findings, lang)
    sentences = "".join(f"<p>{escape(sentence)}</p>" for sentence in rest)
    where = f'<p class="soft">{escape(machine(findings.best, lang))}</p>' if findings.best else ""
    return f'<section class="answer"><strong>{escape(headline)}</strong>{sentences}{where}</section>'


def _table(findings: Findings, lang: Language) -> str:
    names = [name.strip() for name in HEADER.to(lang).strip("|").split("|")]
    head = "".join(f'<th class="{_kind(i)}">{escape(name)}</th>' for i, name in enumerate(names))
    body = "".join(_table_row(cells_of(cell, lang), names) for cell in findings.cells)
    return f'<table class="cells"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _table_row(values: tuple[str, ...], names: list[str]) -> str:
    cells = (
        f'<td class="{_kind(i)}" data-name="{escape(name)}">{escape(value)}</td>'
        for i, (name, value) in enumerate(zip(names, values, strict=True))
    )
    return f"<tr>{''.join(cells)}</tr>"


def _kind(column: int) -> str:
    return "n" if column in {1, 3, 4} else "t"


def _saturation(findings: Findings, lang: Language) -> str:
    fit, size = fit_of(findings)
    same = [run.row for run in findings.runs if run.row.size_label == size and run.row.x_sat_per_minute]
    if not same:
        return ""
    title = Text(f"Capacidad y concurrencia, {size}", f"Capacity and concurrency, {size}").to(lang)
    chart = figures.throughput_chart(same, fit, lang)
    return f"<h2>{escape(title)}</h2>{chart}<p>{escape(fit_statement(fit, lang))}</p>"


def _run(run: RunEvidence, is_open: bool, lang: Language) -> str:
    start, end = run_window(run.recorded)
    end = max(end, start + 1e-3)
    charts = [
        figures.timeline(run, start, end, lang),
        figures.stage_legend(lang),
        figures.queue_chart(run, start, end, lang),
        figures.resource_charts(run, start, end, lang),
    ]
    halves = f'<div class="grid2">{figures.service_chart(run, lang)}{figures.stage_chart(run, lang)}</div>'
    lines = "".join(
        f"<tr><th>{escape(name.to(lang))}</th><td>{escape(value)}</td></tr>" for name, value in facts(run, lang)
    )
    opened = " open" if is_open else ""
    return (
        f"<details{opened}><summary>{escape(run.row.run_id)}</summary><table>{lines}</table>{''.join(charts)}{halves}"
        "</details>"
    )


def _method(lang: Language) -> str:
    told = Text(
        "X y S se miden como los define el escenario. X_sat es la capacidad con todos los slots ocupados; su intervalo "
        "vale para una ejecución. Para comparar configuraciones hacen falta tres ejecuciones o más de cada una. "
        "«Desconocido» significa que no se midió.",
        "X and S are measured as the scenario defines them. X_sat is the capacity with every slot busy; its interval "
        "holds for one run. Comparing configurations takes three runs or more of each. “Unknown” means not measured.",
    )
    return f"<footer><h2>{Text('Método', 'Method').to(lang)}</h2><p>{escape(told.to(lang))}</p></footer>"
