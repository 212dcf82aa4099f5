"""Write the result table as text: Markdown in the scenario's columns, or CSV with every figure."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO

from capacity.estimators.interval import Interval
from capacity.runs.result_row import ResultRow
from capacity.table.cell_figures import cell_figures
from capacity.table.cells import TableCell
from capacity.table.number_format import bounded, number, significant
from capacity.table.phrases import plural, spaced, validity_text
from core.language import STABILITY_NAMES, Language, Text, same
from core.run import RunStatus

HEADER = Text(
    "| Tamaño | Concurrencia | Modo | X (videos/min) | S promedio (s) | Notas |",
    "| Size | Concurrency | Mode | X (videos/min) | Mean S (s) | Notes |",
)
STOPPED_EARLY = Text("parada adaptativa", "adaptive stop")
CANCELLED = Text("los demás se cancelaron", "the others were cancelled")
RULE = "|---|---|---|---|---|---|"
CSV_COLUMNS = (
    "size", "concurrency", "nodes", "mode", "rate_per_minute", "count", "x_per_minute", "s_seconds",
    "x_sat_per_minute", "x_sat_low", "x_sat_high", "interval_between_runs", "stability", "done", "failed",
    "duplicates", "agrees", "runs", "x_sat_runs", "left_out", "validity", "validity_reasons", "s_is_lower_bound",
    "first_videos", "app", "x_sat_source", "mb_per_minute", "response_p50_seconds", "response_p95_seconds",
    "queue_wait_p50_seconds", "queue_wait_p95_seconds", "shape",
)  # fmt: skip


def column_names(lang: Language) -> list[str]:
    """Return the names of the scenario's columns, in the language of the result."""
    return [name.strip() for name in HEADER.to(lang).strip("|").split("|")]


def cells_of(cell: TableCell, lang: Language) -> tuple[str, ...]:
    """Return one row of the Markdown result table, as one text per column.

    `cell` is the row's combination of size, concurrency, mode and so on, with its figures. The columns are those that
    the scenario prescribes.
    """
    return (
        spaced(cell.key.size_label),
        cell.runs[0].concurrency_text,
        cell.key.mode.capitalize(),
        number(cell.x, lang),
        bounded(cell.s, cell.s_is_lower_bound, lang, 1),
        "; ".join(text.to(lang) for text in _notes(cell, lang)),
    )


def markdown(cells: Sequence[TableCell], lang: Language) -> str:
    """Return the result table as Markdown, with one row per cell."""
    lines = ["| " + " | ".join(cells_of(cell, lang)) + " |" for cell in cells]
    return "\n".join([HEADER.to(lang), RULE, *lines]) + "\n"


def sources(cells: Sequence[TableCell], lang: Language) -> str:
    """Return one line of text per cell, with the ids of the runs over which its figures are averaged.

    The runs for X_sat are listed separately if they differ from the runs for X and S.
    """
    return "".join(f"- {_source(cell, lang)}\n" for cell in cells) or "\n"


def csv_text(cells: Sequence[TableCell], lang: Language) -> str:
    """Return the result table as CSV for a spreadsheet program in the language `lang`.

    In Spanish, numbers have a decimal comma and columns are separated by semicolons (docs/adr/0087). An unknown value
    is empty.
    """
    file = StringIO()
    writer = csv.DictWriter(file, CSV_COLUMNS, lineterminator="\n", delimiter=";" if lang == "es" else ",")
    writer.writeheader()
    for cell in cells:
        writer.writerow({name: _csv_value(value, lang) for name, value in csv_row(cell).items()})
    return file.getvalue()


def _csv_value(value: object, lang: Language) -> object:
    return str(value).replace(".", ",") if isinstance(value, float) and lang == "es" else value


def csv_row(cell: TableCell) -> dict[str, object]:
    """Return every figure of a cell, by the name of its CSV column. None means unknown."""
    newest, interval, figures = cell.runs[-1], cell.x_sat_interval, cell_figures(cell)
    return {
        "size": cell.key.size_label,
        "concurrency": cell.key.concurrency,
        "nodes": cell.key.nodes,
        "mode": cell.key.mode,
        "rate_per_minute": newest.rate_per_minute,
        "count": cell.count,
        "x_per_minute": cell.x,
        "s_seconds": cell.s,
        "x_sat_per_minute": cell.x_sat,
        "x_sat_low": interval.low if interval else None,
        "x_sat_high": interval.high if interval else None,
        "interval_between_runs": cell.is_between_runs,
        "stability": newest.stability,
        "done": sum(run.done for run in cell.runs),
        "failed": sum(run.failed for run in cell.runs),
        "duplicates": sum(run.duplicates for run in cell.runs),
        "agrees": _agreement(cell),
        "runs": " ".join(run.run_id for run in cell.runs),
        "x_sat_runs": " ".join(run.run_id for run in cell.x_sat_runs),
        "left_out": cell.left_out,
        "validity": cell.validity.level.value,
        "validity_reasons": " ".join(cell.validity.reasons),
        "s_is_lower_bound": cell.s_is_lower_bound,
        "first_videos": _joined(run.first_videos for run in cell.x_sat_runs),
        "app": cell.key.app or None,
        "shape": cell.key.shape or None,
        "x_sat_source": _joined(run.x_sat_source for run in cell.x_sat_runs),
        "mb_per_minute": figures["mb_per_minute"].value,
        "response_p50_seconds": figures["response_p50"].value,
        "response_p95_seconds": figures["response_p95"].value,
        "queue_wait_p50_seconds": figures["wait_p50"].value,
        "queue_wait_p95_seconds": figures["wait_p95"].value,
    }


def json_row(cell: TableCell) -> dict[str, object]:
    """Return the figures of `csv_row`, with the run ids and the reasons as lists."""
    runs = {"runs": cell.runs, "x_sat_runs": cell.x_sat_runs}
    lists = {name: [run.run_id for run in members] for name, members in runs.items()}
    return csv_row(cell) | lists | {"validity_reasons": list(cell.validity.reasons)}


def capacity_text(rate: float | None, interval: Interval | None, lang: Language) -> str:
    """Format X_sat, the throughput with every slot busy, with its interval: `8.22 [7.70–8.80]`.

    `rate` is X_sat in videos per minute. None gives the word for unknown. If `interval` is None, the text has no
    interval.
    """
    bounds = "" if interval is None else f" [{number(interval.low, lang)}–{number(interval.high, lang)}]"
    return number(rate, lang) + bounds


def _source(cell: TableCell, lang: Language) -> str:
    size, slots, mode, *_ = cells_of(cell, lang)
    ids = ", ".join(run.run_id for run in cell.runs)
    if cell.x_sat is not None and cell.x_sat_runs != cell.runs:
        capacity_ids = ", ".join(run.run_id for run in cell.x_sat_runs)
        ids += Text(f"; X_sat de {capacity_ids}", f"; X_sat of {capacity_ids}").to(lang)
    left = Text(f" (sin usar: {cell.left_out})", f" (not used: {cell.left_out})").to(lang) if cell.left_out else ""
    workers = f", {cell.key.nodes} workers" if cell.key.nodes > 1 else ""
    return f"{size}, c={slots}{workers}, {mode}: {ids}{left}"


def _joined(values: Iterable[str | None]) -> str | None:
    """Return the different values of a cell's runs, joined with spaces."""
    return " ".join(dict.fromkeys(value for value in values if value)) or None


def _notes(cell: TableCell, lang: Language) -> Iterator[Text]:
    yield same(validity_text(cell.validity, lang))
    if cell.key.app:
        yield same(cell.key.app)
    yield from _cell_notes(cell, lang)
    for row in cell.runs:
        yield from _warnings(row, lang)
    if _agreement(cell) is None:
        yield Text("solo base de datos, sin contraste con Prometheus", "database only, not compared with Prometheus")


def _cell_notes(cell: TableCell, lang: Language) -> Iterator[Text]:
    newest, runs = cell.runs[-1], len(cell.runs)
    stopped = newest.asked is not None and newest.asked > newest.count
    why = STOPPED_EARLY if newest.status == RunStatus.FINISHED else CANCELLED
    yield Text(
        f"N={cell.count}" + (f" de {newest.asked} ({why.es})" if stopped else ""),
        f"N={cell.count}" + (f" of {newest.asked} ({why.en})" if stopped else ""),
    )
    if runs > 1:
        yield Text(f"media de {runs} pruebas", f"mean of {runs} runs")
    if cell.key.nodes > 1:
        yield Text(f"{cell.key.nodes} workers", f"{cell.key.nodes} workers")
    if newest.rate_per_minute is not None:
        rate = significant(newest.rate_per_minute, lang)
        yield Text(f"tasa={rate}/min", f"rate={rate}/min")
    if cell.key.shape:
        yield Text(f"llegadas={cell.key.shape}", f"arrivals={cell.key.shape}")
    if newest.stability is not None:
        verdicts = list(dict.fromkeys(run.stability for run in cell.runs if run.stability))
        names = [STABILITY_NAMES[verdict] for verdict in verdicts]
        yield Text(f"cola {' / '.join(n.es for n in names)}", f"queue {' / '.join(n.en for n in names)}")
    if cell.x_sat is not None:
        shown = f"X_sat={capacity_text(cell.x_sat, cell.x_sat_interval, lang)} {_scope(cell).to(lang)}".rstrip()
        yield Text(shown, shown)


def _scope(cell: TableCell) -> Text:
    """Return the note on the runs behind X_sat: their number, and if its interval is between runs.

    The number of runs is left out if X and S have the same number of runs.
    """
    runs = len(cell.x_sat_runs)
    if runs == len(cell.runs):
        return Text("entre pruebas", "between runs") if cell.is_between_runs else same("")
    if cell.is_between_runs:
        return Text(f"entre {runs} pruebas", f"between {runs} runs")
    return Text("de una prueba", "of one run") if runs == 1 else Text(f"de {runs} pruebas", f"of {runs} runs")


def _warnings(row: ResultRow, lang: Language) -> Iterator[Text]:
    if row.unfinished:
        yield Text(f"{row.unfinished} sin terminar", f"{row.unfinished} unfinished")
    if (unsent := row.count - row.done - row.failed - row.unfinished) > 0:
        yield Text(f"{unsent} sin enviar", f"{unsent} not sent")
    if row.failed:
        yield Text(plural(row.failed, "fallido", "fallidos"), f"{row.failed} failed")
    if row.duplicates:
        yield Text(
            plural(row.duplicates, "entrega repetida", "entregas repetidas"),
            plural(row.duplicates, "duplicate delivery", "duplicate deliveries"),
        )
    if row.missed_executions:
        yield Text(
            plural(row.missed_executions, "ejecución perdida", "ejecuciones perdidas"),
            f"{plural(row.missed_executions, 'execution', 'executions')} lost",
        )
    if row.agrees is False:
        x, s = number(row.x_database, lang, 3), number(row.s_database, lang, 2)
        yield Text(f"la base de datos da X={x}, S={s}", f"the database says X={x}, S={s}")


def _agreement(cell: TableCell) -> bool | None:
    answers = {run.agrees for run in cell.runs}
    return False if False in answers else None if None in answers else True
