"""Write sentences and a table about the history of a cell, in the user's language."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from capacity.analysis.cell_history import CellHistory, LevelChange, Measure, Series, differences
from capacity.estimators.change_points import FEWEST_RUNS
from capacity.report.terminal import WIDEST, wrapped
from capacity.runs.result_row import ResultRow
from capacity.table.number_format import UNKNOWN, number, percent, unbroken
from capacity.table.phrases import cell_name, plural, validity_text
from capacity.table.table_text import capacity_text
from core.language import Language, Text, same

NAMES: Mapping[Measure, Text] = {
    Measure.X_SAT: same("X_sat"),
    Measure.SERVICE: Text("tiempo medio de servicio", "mean service time"),
}
UNITS: Mapping[Measure, str] = {Measure.X_SAT: "videos/min", Measure.SERVICE: "s"}
COLUMNS = (
    same("#"),
    Text("fecha (UTC)", "date (UTC)"),
    Text("X_sat [95 %]", "X_sat [95 %]"),
    Text("servicio (s)", "service (s)"),
    Text("prueba", "run"),
    Text("validez", "validity"),
    Text("condiciones que cambian", "conditions that change"),
)
#: columns with numbers
NUMERIC = (0, 2, 3)
NO_DIFFERENCE = Text("ninguna condición registrada difiere ahí", "no recorded condition differs there")


def heading(history: CellHistory, lang: Language) -> str:
    """Return the heading of a history: its cell, and the options, number and dates of its runs.

    The options are profile, stack, storage and warm-up. The number of invalid runs is added if there are any.
    """
    rows, key = history.rows, history.key
    words = [word for word in (key.profile, key.stack, key.storage) if word]
    words += [Text("caliente", "warm").to(lang)] if key.is_warm else []
    count = Text(plural(len(rows), "prueba", "pruebas"), plural(len(rows), "run", "runs")).to(lang)
    invalid = len(history.invalid)
    unused = Text(plural(invalid, "no válida", "no válidas") + " sin usar", f"{invalid} invalid not used").to(lang)
    left_out = f", {unused}" if invalid else ""
    dates = " – ".join(dict.fromkeys(date(row)[:10] for row in (rows[0], rows[-1])))
    return f"{cell_name(rows[-1], lang)} ({', '.join(words)}): {count}{left_out}, {dates}"


def sentences(series: Series, lang: Language) -> list[str]:
    """Return one sentence per change of the figure whose history is `series`, newest change first.

    If there is no change, or too few runs to detect one, return a single sentence that says so.
    """
    if series.changes is None:
        return [_too_few(series, lang)]
    if not series.changes:
        return [_no_change(series, lang)]
    return [change_text(series.measure, change, lang) for change in reversed(series.changes)]


def change_text(measure: Measure, change: LevelChange, lang: Language) -> str:
    """Return a sentence on a change of a figure: since which run, by how much, and what else changed.

    The sentence names the conditions that differ between the last run before the change and the first run after it.
    """
    low, high = (percent(abs(end - 1), lang) for end in (change.interval.low, change.interval.high))
    rose, unit = change.factor > 1, UNITS[measure]
    bounds = f"[{low}, {high}]" if rose else f"[{high}, {low}]"
    amount = f"{percent(abs(change.factor - 1), lang)} {bounds}"
    since = f"{change.after.run_id} ({date(change.after)} UTC)"
    levels = [number(level, lang) for level in (change.from_level, change.to_level)]
    different = conditions_text(change.conditions, lang)
    there = Text(f"difieren ahí: {different}", f"different there: {different}") if different else NO_DIFFERENCE
    name, first, second = NAMES[measure].to(lang), *levels
    return Text(
        f"{name}: {'subió' if rose else 'bajó'} un {amount} desde {since}, de {first} a {second} {unit}; {there.es}",
        f"{name}: {'rose' if rose else 'fell'} by {amount} since {since}, from {first} to {second} {unit}; {there.en}",
    ).to(lang)


def conditions_text(conditions: Mapping[str, tuple[Any, Any]], lang: Language) -> str:
    """Return the conditions that differ between two runs as text, such as `ffmpeg 5.1 → 7.0`."""
    return ", ".join(f"{name} {_value(a, lang)} → {_value(b, lang)}" for name, (a, b) in conditions.items())


def table_rows(history: CellHistory, lang: Language) -> list[tuple[str, ...]]:
    """Return the rows of a history's table, one per run in time order."""
    previous: list[ResultRow | None] = [None, *history.rows[:-1]]
    pairs = enumerate(zip(history.rows, previous, strict=True), 1)
    return [_table_row(place, row, before, lang) for place, (row, before) in pairs]


def terminal_text(history: CellHistory, lang: Language, *, with_runs: bool, width: int = WIDEST) -> str:
    """Return the history of a cell as text, in lines of at most `width` characters.

    `with_runs` adds a table with one row per run. A row of the table can be longer than `width`.
    """
    lines = list(wrapped(heading(history, lang), width, "  "))
    for series in history.series:
        for sentence in sentences(series, lang):
            lines += [f"  {line}" for line in wrapped(sentence, width - 2, "  ")]
    return "\n".join([*lines, *(_run_lines(history, lang, width) if with_runs else ())])


def date(row: ResultRow) -> str:
    """Return the time in UTC at which a run was created, such as `2026-11-20 14:02`."""
    return datetime.fromtimestamp(row.created_at, UTC).strftime("%Y-%m-%d %H:%M")


def _run_lines(history: CellHistory, lang: Language, width: int) -> Iterator[str]:
    names = [column.to(lang) for column in COLUMNS]
    rows = [names, *table_rows(history, lang)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(names) - 1)]
    starts = {change.after.run_id for series in history.series for change in series.changes or ()}
    yield ""
    for row, run in zip(rows, [None, *history.rows], strict=True):
        if run is not None and run.run_id in starts:
            yield f"  {'─' * (sum(widths[:4]) + 6)}"
        cells = [
            f"{cell:>{size}}" if k in NUMERIC else f"{cell:<{size}}"
            for k, (cell, size) in enumerate(zip(row, widths, strict=False))
        ]
        yield from wrapped("  " + "  ".join([*cells, row[-1]]).rstrip(), max(width, sum(widths)), "      ")


def _table_row(place: int, row: ResultRow, before: ResultRow | None, lang: Language) -> tuple[str, ...]:
    changed = {} if before is None else differences(before, row)
    capacity = "—" if row.x_sat_per_minute is None else capacity_text(row.x_sat_per_minute, row.x_sat_interval, lang)
    service = number(row.service_mean_seconds, lang)
    return (
        *(str(place), date(row), capacity, service, row.run_id),
        *(validity_text(row.validity, lang), conditions_text(changed, lang)),
    )


def _too_few(series: Series, lang: Language) -> str:
    count, name = len(series.runs), NAMES[series.measure].to(lang)
    return Text(
        f"{name}: {plural(count, 'prueba', 'pruebas')}; para ver un cambio hacen falta {FEWEST_RUNS}",
        f"{name}: {plural(count, 'run', 'runs')}, too few to see a change; {FEWEST_RUNS} are needed",
    ).to(lang)


def _no_change(series: Series, lang: Language) -> str:
    count, level = len(series.runs), f"{number(series.level, lang)} {UNITS[series.measure]}"
    visible, name = percent(series.visible_ratio, lang, 0), NAMES[series.measure].to(lang)
    return Text(
        f"{name}: ningún cambio en {count} pruebas ({level}); se vería un empeoramiento desde un {visible}",
        f"{name}: no change in {count} runs ({level}); a loss of {visible} or more would be seen",
    ).to(lang)


def _value(value: Any, lang: Language) -> str:
    return UNKNOWN.to(lang) if value is None or value == "" else unbroken(str(value))
