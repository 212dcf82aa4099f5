"""Hold the runs that a report shows, and select from them the table's cells and the best runs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property

from capacity.analysis.run_analysis import RunAnalysis
from capacity.runs.result_row import ResultRow
from capacity.table.cells import CellKey, TableCell, fill, key_of


@dataclass(frozen=True)
class AnalysedRuns:
    """All runs that a report is about: the figures of every run, and the full analysis of some runs.

    `rows` has the figures of every run, oldest first. `runs` has the full analysis of the newest runs, and of the runs
    whose figures the result table averages.
    """

    rows: tuple[ResultRow, ...]
    runs: tuple[RunAnalysis, ...]
    #: ids of the runs whose charts the page shows
    drawn: frozenset[str] = frozenset()

    @property
    def app(self) -> str | None:
        """Return the name of the app whose worker processed the newest run.

        Return None if our reference worker processed it, or if there are no runs.
        """
        return self.rows[-1].app if self.rows else None

    @cached_property
    def cells(self) -> list[TableCell]:
        """Return the cells of the result table. Each cell has its runs, and their mean figures.

        A cell is one combination of video size, slots, workers, mode, rate, load shape and app.
        """
        return fill(self._by_id[row.run_id].row if row.run_id in self._by_id else row for row in self.rows)

    @cached_property
    def analysed_cells(self) -> list[tuple[TableCell, RunAnalysis]]:
        """Return pairs of a cell of the result table and the newest analysed run of that cell.

        Cells without an analysed run are left out.
        """
        by_id = self._by_id
        newest = ((cell, [by_id[row.run_id] for row in cell.runs if row.run_id in by_id]) for cell in self.cells)
        return [(cell, runs[-1]) for cell, runs in newest if runs]

    @property
    def newest_per_cell(self) -> list[RunAnalysis]:
        """Return the newest analysed run of each cell, in the order of the result table."""
        return [run for _, run in self.analysed_cells]

    @property
    def best_of_sizes(self) -> list[RunAnalysis]:
        """Return one burst run per video size: the newest analysed run of the best cell of that size.

        The best cell has the highest X_sat among the valid cells. Without valid cells, the indicative cells are
        compared. A size with neither is left out. The runs are in the order of the result table.
        """
        best: dict[str, tuple[tuple[int, float], RunAnalysis]] = {}
        for cell, run in self.analysed_cells:
            if cell.x_sat and not cell.validity.is_invalid:
                entry = ((-cell.validity.level.rank, cell.x_sat), run)
                best[run.row.size_label] = max(best.get(run.row.size_label, entry), entry, key=lambda e: e[0])
        return [run for _, run in best.values()]

    @property
    def best(self) -> RunAnalysis | None:
        """Return the run whose figures are the answer of a report, or None if there is no such run.

        The result is one of the runs in the property `best_of_sizes`. Its video size is that of the newest analysed run
        with an X_sat. Sizes that `best_of_sizes` leaves out are skipped.
        """
        best = {run.row.size_label: run for run in self.best_of_sizes}
        newest = [run.row.size_label for run in self.runs if run.row.x_sat_per_minute]
        return next((best[size] for size in reversed(newest) if size in best), None)

    def cell_of(self, run: RunAnalysis) -> TableCell | None:
        """Return the cell of the result table whose figures include `run`.

        Return None if the table leaves out `run`. For example, it leaves out an invalid run if its cell also has a
        valid one.
        """
        return next((cell for cell in self.cells if run.row in cell.sources), None)

    def of_sizes(self, sizes: Collection[str]) -> AnalysedRuns:
        """Return a new AnalysedRuns with only the runs of these video sizes, such as `5MB`."""
        rows = tuple(row for row in self.rows if row.size_label in sizes)
        return AnalysedRuns(rows, tuple(run for run in self.runs if run.row.size_label in sizes), self.drawn)

    def of_cells(self, keys: Collection[CellKey]) -> AnalysedRuns:
        """Return a new AnalysedRuns with only the runs of the cells with these keys.

        A key is the combination that identifies a cell: size, slots, workers, mode, rate, load shape and app.
        """
        rows = tuple(row for row in self.rows if key_of(row) in keys)
        return AnalysedRuns(rows, tuple(run for run in self.runs if key_of(run.row) in keys), self.drawn)

    def run(self, run_id: str) -> RunAnalysis:
        """Return the analysis of the run with this id. Raise KeyError if that run was not analysed."""
        return self._by_id[run_id]

    @cached_property
    def _by_id(self) -> dict[str, RunAnalysis]:
        return {run.row.run_id: run for run in self.runs}
