"""Render the HTML page with the history of each cell: changes, a chart of each figure, and runs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from capacity.analysis.cell_history import CellHistory, Measure, Series
from capacity.diagnosis.validity import Level
from capacity.report.charts import Axis, Frame, draw, legend
from capacity.report.history_text import COLUMNS, NAMES, NUMERIC, UNITS, date, heading, sentences, table_rows
from capacity.report.template_loader import render_html
from capacity.runs.result_row import ResultRow
from capacity.table.number_format import number, unbroken
from core.language import VALIDITY_NAMES, Language, Text

COLOURS = {Level.VALID: "blue", Level.INDICATIVE: "amber", Level.INVALID: "grey"}
#: room above the highest and under the lowest value, as a share of their distance
HEADROOM = 0.12


def render_history(histories: Sequence[CellHistory], lang: Language) -> str:
    """Return the HTML page with the histories of these cells."""
    return render_html(
        "history.html.j2",
        lang,
        histories=[_shown(history, lang) for history in histories],
        names=[column.to(lang) for column in COLUMNS],
        numeric=NUMERIC,
    )


def _shown(history: CellHistory, lang: Language) -> dict[str, Any]:
    first, *others = (sentence for series in history.series for sentence in sentences(series, lang))
    return {
        "title": unbroken(heading(history, lang)),
        "answer": unbroken(first),
        "others": [unbroken(sentence) for sentence in others],
        "charts": Markup("").join(Markup(_chart(history, series, lang)) for series in history.series),  # noqa: S704
        "rows": [[unbroken(cell) or "—" for cell in row] for row in table_rows(history, lang)],
    }


def _chart(history: CellHistory, series: Series, lang: Language) -> str:
    """Draw a figure over the runs, with the intervals of X_sat, the mean of each part, and the changes."""
    places = {row.run_id: place for place, row in enumerate(history.rows, 1)}
    frame = Frame(Axis(0.5, len(places) + 0.5, is_count=True), _value_axis(history, series.measure), 240)
    lines = [*_levels(frame, series, places), *_changes(frame, series, places)]
    marks = [mark for row in history.rows for mark in _marks(frame, series.measure, row, places[row.run_id], lang)]
    unit, name = UNITS[series.measure], NAMES[series.measure]
    title = Text(f"{name.es} ({unit}) por prueba, en orden de fecha", f"{name.en} ({unit}) per run, in order of date")
    levels = dict.fromkeys(row.validity.level for row in history.rows if _is_on_axis(frame, series.measure, row))
    names = [(COLOURS[level], VALIDITY_NAMES[level].to(lang)) for level in levels]
    changed = [("red", Text("cambio", "change").to(lang))] if series.changes else []
    return draw(frame, title.to(lang), lines, marks) + legend([*names, *changed])


def _value_axis(history: CellHistory, measure: Measure) -> Axis:
    """Return an axis for the values and intervals of the runs that are not invalid; it need not begin at 0."""
    ends = []
    for row in history.rows:
        value = measure.value_of(row)
        if value is not None and not row.validity.is_invalid:
            interval = row.x_sat_interval if measure is Measure.X_SAT else None
            ends += [value] if interval is None else [value, max(interval.low, 0.0), min(interval.high, 2 * value)]
    room = HEADROOM * (max(ends) - min(ends)) or HEADROOM * max(ends)
    return Axis(max(0.0, min(ends) - room), max(ends) + room)


def _levels(frame: Frame, series: Series, places: dict[str, int]) -> Iterator[str]:
    """Yield the mean of each part between two changes as a line."""
    changes = series.changes or ()
    if series.level is None:
        return
    starts = [series.runs[0].run_id, *(change.after.run_id for change in changes)]
    ends = [*(change.before.run_id for change in changes), series.runs[-1].run_id]
    levels = [*(change.from_level for change in changes), series.level]
    for start, end, level in zip(starts, ends, levels, strict=True):
        xs = np.array([places[start] - 0.4, places[end] + 0.4])
        yield frame.line(xs, np.array([level, level]), "soft", dashed=True)


def _changes(frame: Frame, series: Series, places: dict[str, int]) -> Iterator[str]:
    """Yield a vertical line between the two runs of each change."""
    for change in series.changes or ():
        middle = (places[change.before.run_id] + places[change.after.run_id]) / 2
        yield frame.line(np.array([middle, middle]), np.array([frame.y.low, frame.y.high]), "red")


def _marks(frame: Frame, measure: Measure, row: ResultRow, place: int, lang: Language) -> Iterator[str]:
    """Yield the interval and the point of a run; nothing where the figure is unknown or off the axis."""
    value, colour = measure.value_of(row), COLOURS[row.validity.level]
    if value is None or not _is_on_axis(frame, measure, row):
        return
    if measure is Measure.X_SAT and row.x_sat_interval is not None:
        yield frame.whisker(place, row.x_sat_interval.low, row.x_sat_interval.high, colour)
    title = f"{row.run_id}, {date(row)} UTC: {number(value, lang)} {UNITS[measure]}"
    yield frame.dot(place, value, colour, title)


def _is_on_axis(frame: Frame, measure: Measure, row: ResultRow) -> bool:
    """Return True if the figure of a run is known and within the axis, which an invalid run may not be."""
    value = measure.value_of(row)
    return value is not None and frame.y.low <= value <= frame.y.high
