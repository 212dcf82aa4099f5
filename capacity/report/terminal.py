"""Report of one run for the terminal: the answer, the row of the table, all figures and checks."""

from __future__ import annotations

from textwrap import wrap

from capacity.analysis.run_analysis import RunAnalysis
from capacity.report.statements import facts, headline, limit, missing_capacity, next_step, reservations
from capacity.table.cells import fill
from capacity.table.table_text import markdown
from core.language import Language, Text

WIDTH = 118
TO_TRY = Text("Qué probar", "To try next")


def render_terminal(run: RunAnalysis, lang: Language) -> str:
    """Return the report of one run as text."""
    first = [headline(run.row, lang, missing_capacity(run)), limit(run, lang)]
    if (step := next_step(run, lang)) is not None:
        first.append(f"{TO_TRY.to(lang)}: {step}.")
    first.append(reservations(run, lang))
    named = [(name.to(lang), value) for name, value in facts(run, lang)]
    column = max(len(name) for name, _ in named)
    lines = [line for name, value in named for line in _fact(name, value, column)]
    return "\n".join([*_wrapped(first), "", markdown(fill([run.row]), lang), *lines])


def _wrapped(sentences: list[str]) -> list[str]:
    return [line for sentence in sentences for line in wrap(sentence, WIDTH, subsequent_indent="  ")]


def _fact(name: str, value: str, column: int) -> list[str]:
    lines = wrap(value, WIDTH - column - 4, break_on_hyphens=False) or [""]
    return [f"  {label:<{column}}  {line}" for label, line in zip([name] + [""] * len(lines), lines, strict=False)]
