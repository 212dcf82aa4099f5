"""All runs of a report: the rows of all runs, the analyses behind the table, and the table itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from capacity.analysis.run_analysis import RunAnalysis
from capacity.diagnosis.data_quality import is_valid
from capacity.runs.result_row import ResultRow
from capacity.table.cells import TableCell, fill


@dataclass(frozen=True)
class AnalysedRuns:
    """Rows of all runs, oldest first, and the analyses of the table's runs and of the newest runs."""

    rows: tuple[ResultRow, ...]
    runs: tuple[RunAnalysis, ...]
    #: ids of the runs whose charts the page shows
    drawn: frozenset[str] = frozenset()

    @cached_property
    def invalid(self) -> frozenset[str]:
        """Return the ids of the runs with an invalidating data-quality warning."""
        return frozenset(run.row.run_id for run in self.runs if not is_valid(run.warnings))

    @cached_property
    def cells(self) -> list[TableCell]:
        """Return the cells of the table, each with its best runs."""
        return fill(self.rows, self.invalid)

    @cached_property
    def analysed_cells(self) -> list[tuple[TableCell, RunAnalysis]]:
        """Return the table's cells with the newest analysed run of each.

        Cells without an analysed run are left out.
        """
        analysed = {run.row.run_id: run for run in self.runs}
        newest = ((cell, [analysed[row.run_id] for row in cell.runs if row.run_id in analysed]) for cell in self.cells)
        return [(cell, runs[-1]) for cell, runs in newest if runs]

    @property
    def newest_per_cell(self) -> list[RunAnalysis]:
        """Return the newest analysed run of each cell, in the table's order."""
        return [run for _, run in self.analysed_cells]

    @property
    def best_of_sizes(self) -> list[RunAnalysis]:
        """Return, per size, a burst of the cell with the highest X_sat, in the table's order.

        Cells are compared by the mean X_sat of their runs, because the highest single run is partly luck.
        """
        best: dict[str, tuple[float, RunAnalysis]] = {}
        for cell, run in self.analysed_cells:
            entry = (cell.x_sat or 0.0, run)
            if entry[0] and run.row.is_complete:
                best[run.row.size_label] = max(best.get(run.row.size_label, entry), entry, key=lambda e: e[0])
        return [run for _, run in best.values()]

    @property
    def best(self) -> RunAnalysis | None:
        """Return the best burst of the size that was measured most recently."""
        best = {run.row.size_label: run for run in self.best_of_sizes}
        newest = [run.row.size_label for run in self.runs if run.row.x_sat_per_minute and run.row.is_complete]
        return next((best[size] for size in reversed(newest) if size in best), None)

    def cell_of(self, run: RunAnalysis) -> TableCell | None:
        """Return the cell whose figures include the run.

        Return None if the cell uses better runs instead.
        """
        return next((cell for cell in self.cells if run.row in cell.sources), None)

    def of_sizes(self, sizes: Collection[str]) -> AnalysedRuns:
        """Return the runs of these sizes only."""
        rows = tuple(row for row in self.rows if row.size_label in sizes)
        return AnalysedRuns(rows, tuple(run for run in self.runs if run.row.size_label in sizes), self.drawn)

    def run(self, run_id: str) -> RunAnalysis:
        """Return the analysed run with this id."""
        return next(run for run in self.runs if run.row.run_id == run_id)
