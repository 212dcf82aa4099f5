"""Render the report on one run for the terminal: answer, result row, all figures and all checks."""

from __future__ import annotations

import shutil
import sys
from textwrap import wrap

from capacity.analysis.run_analysis import RunAnalysis
from capacity.report.answer import run_answer
from capacity.report.statements import facts, limit_check
from capacity.table.cells import TableCell, fill
from capacity.table.number_format import unbroken
from capacity.table.table_text import cells_of, column_names, markdown
from core.language import Language

WIDEST = 118
#: a narrower terminal gets lines of this width
NARROWEST = 40


def output_width() -> int:
    """Return the number of characters of a line on standard output.

    The result is the width of the terminal, but at least 40 and at most 118. If standard output is no terminal, the
    result is 118.
    """
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDEST
    return min(WIDEST, max(NARROWEST, columns))


def render_terminal(run: RunAnalysis, lang: Language, width: int = WIDEST) -> str:
    """Return the report on one run as text, in lines of at most `width` characters.

    With the default width, the result row is a Markdown table. With any other width, each value of the result row has
    its own line.
    """
    named = [(name.to(lang), value) for name, value in (*facts(run, lang), *limit_check(run, lang))]
    answers = [line for text in run_answer(run, lang) for line in wrapped(text, width, "  ")]
    return "\n".join([*answers, "", _row(fill([run.row]), lang, width), *aligned(named, width)])


def aligned(named: list[tuple[str, str]], width: int) -> list[str]:
    """Return the pairs of name and value as lines: names on the left, all values in one column.

    A long value continues on the next line. No line is longer than `width` characters.
    """
    column = max(len(name) for name, _ in named)
    return [line for name, value in named for line in _fact(name, value, column, width)]


def _row(cells: list[TableCell], lang: Language, width: int) -> str:
    if width == WIDEST:
        return markdown(cells, lang)
    named = zip(column_names(lang), cells_of(cells[0], lang), strict=True)
    return "\n".join([*aligned(list(named), width), ""])


def wrapped(text: str, width: int, indent: str = "") -> list[str]:
    """Split the text into lines of at most `width` characters. A number and its unit stay on one line.

    All lines but the first begin with `indent`.
    """
    lines = wrap(unbroken(text), width, subsequent_indent=indent, break_on_hyphens=False)
    return [line.replace("\N{NO-BREAK SPACE}", " ") for line in lines]


def _fact(name: str, value: str, column: int, width: int) -> list[str]:
    lines = wrapped(value, width - column - 4) or [""]
    return [f"  {label:<{column}}  {line}" for label, line in zip([name] + [""] * len(lines), lines, strict=False)]
