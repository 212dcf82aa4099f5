"""Compare X_sat, the throughput with every slot busy, between numbers of workers.

Only bursts with the same app, video size and slots per worker are compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from capacity.analysis.analysed_runs import AnalysedRuns
from capacity.analysis.scalability_curves import capacities
from capacity.table.cells import TableCell
from capacity.table.number_format import interval_text, number
from capacity.table.phrases import plural, spaced
from core.language import Language, Text


@dataclass(frozen=True)
class WorkerGrowth:
    """Burst cells that differ in their number of workers only, fewest workers first."""

    cells: tuple[TableCell, ...]


def worker_growths(analysed: AnalysedRuns) -> list[WorkerGrowth]:
    """Return one WorkerGrowth for each combination of app, video size and slots per worker.

    Invalid cells and cells without X_sat are left out. Cells whose workers have different numbers of slots are left out
    too. A combination with only one cell has no WorkerGrowth.
    """
    alike = [cell for cell in capacities(analysed) if cell.key.slots == cell.key.concurrency * cell.key.nodes]
    of_growth = lambda cell: (cell.key.size_bytes, cell.key.size_label, cell.key.app, cell.key.concurrency)  # noqa: E731
    groups = (tuple(cells) for _, cells in groupby(sorted(alike, key=of_growth), of_growth))
    ordered = (WorkerGrowth(tuple(sorted(cells, key=lambda cell: cell.key.nodes))) for cells in groups)
    return [growth for growth in ordered if len(growth.cells) > 1]


def growth_text(growth: WorkerGrowth, lang: Language) -> str:
    """Return one sentence with X_sat for each number of workers.

    The sentence also has the ratio of each X_sat to that of the fewest workers.
    """
    key = growth.cells[0].key
    points = ", ".join(_point(growth.cells, position, lang) for position in range(len(growth.cells)))
    slots = plural(key.concurrency, "slot", "slots")
    return Text(
        f"X_sat según los workers, con {slots} en cada uno y videos de {spaced(key.size_label)}: {points} videos/min.",
        f"X_sat by workers, with {slots} each and videos of {spaced(key.size_label)}: {points} videos/min.",
    ).to(lang)


def _point(cells: Sequence[TableCell], position: int, lang: Language) -> str:
    """Return one point, such as `3 workers 27.1 [26.0–28.2] (×2.68 of 1)`."""
    cell, first = cells[position], cells[0]
    bounds = "" if cell.x_sat_interval is None else f" {interval_text(cell.x_sat_interval, lang)}"
    ratio = ""
    if position and cell.x_sat and first.x_sat:
        of = Text("frente a", "of").to(lang)
        ratio = f" (×{number(cell.x_sat / first.x_sat, lang)} {of} {first.key.nodes})"
    return f"{plural(cell.key.nodes, 'worker', 'workers')} {number(cell.x_sat, lang)}{bounds}{ratio}"
