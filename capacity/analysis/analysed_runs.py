"""Reads the store and Prometheus and judges the runs: each by its row, those that matter with all their evidence."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from capacity.analysis import result_rows
from capacity.analysis.comparable_runs import sibling_costs, usual_canary_seconds
from capacity.analysis.run_analysis import Cost, RunEvidence, cost_of, gather, run_window
from capacity.diagnosis.data_quality import is_trustworthy
from capacity.runs.archive import is_archived, kept_figures, read_archive, read_resource_file
from capacity.runs.recorded_run import RecordedRun, load_run
from capacity.runs.resource_samples import Resources, read_resources
from capacity.runs.result_row import ResultRow
from capacity.table.cells import TableCell, fill
from core import promql
from core.errors import EnvironmentFault
from core.models import RunRow
from core.results_folder import run_folder
from core.settings import Settings

#: runs with all their evidence: five of each of 16 cells and some more
JUDGED_RUNS = 96
#: those that the page draws, at some 50 kB each
DRAWN_RUNS = 24
#: how many videos are held in memory for runs other than the one asked for
HELD_VIDEOS = 1_000_000


@dataclass(frozen=True)
class Findings:
    """Every run's row, oldest first; the evidence of those behind the table and of the newest; the table."""

    rows: tuple[ResultRow, ...]
    runs: tuple[RunEvidence, ...]
    #: the runs that a page has room for
    drawn: frozenset[str] = frozenset()

    @cached_property
    def distrusted(self) -> frozenset[str]:
        """Return the runs that a trust flag speaks against."""
        return frozenset(run.row.run_id for run in self.runs if not is_trustworthy(run.flags))

    @cached_property
    def cells(self) -> list[TableCell]:
        """Return the table: the best evidence for each cell."""
        return fill(self.rows, self.distrusted)

    @property
    def best_of_sizes(self) -> list[RunEvidence]:
        """Return for each size a burst of the cell of highest nominal capacity, in the table's order.

        Cells are compared by the means of their runs: the best of single runs is the luckiest.
        """
        found: dict[str, tuple[float, RunEvidence]] = {}
        for cell, run in self.judged_cells:
            entry = (cell.x_sat or 0.0, run)
            if entry[0] and run.row.is_whole:
                found[run.row.size_label] = max(found.get(run.row.size_label, entry), entry, key=lambda e: e[0])
        return [run for _, run in found.values()]

    @cached_property
    def judged_cells(self) -> list[tuple[TableCell, RunEvidence]]:
        """Return the cells of the table, each with the evidence of the newest of its runs that were judged."""
        judged = {run.row.run_id: run for run in self.runs}
        newest = ((cell, [judged[row.run_id] for row in cell.runs if row.run_id in judged]) for cell in self.cells)
        return [(cell, runs[-1]) for cell, runs in newest if runs]

    def cell_of(self, run: RunEvidence) -> TableCell | None:
        """Return the cell whose figures the run is part of; None for a run that better ones displaced."""
        return next((cell for cell in self.cells if run.row in cell.sources), None)

    @property
    def best(self) -> RunEvidence | None:
        """Return the best burst of the size that was measured last."""
        best = {run.row.size_label: run for run in self.best_of_sizes}
        newest = [run.row.size_label for run in self.runs if run.row.x_sat_per_minute and run.row.is_whole]
        return next((best[size] for size in reversed(newest) if size in best), None)

    @property
    def behind(self) -> list[RunEvidence]:
        """Return the evidence of the newest judged run of each cell, in the table's order."""
        return [run for _, run in self.judged_cells]

    def only(self, sizes: Collection[str]) -> Findings:
        """Return the findings on these sizes."""
        rows = tuple(row for row in self.rows if row.size_label in sizes)
        return Findings(rows, tuple(run for run in self.runs if run.row.size_label in sizes), self.drawn)

    def of(self, run_id: str) -> RunEvidence:
        """Return the evidence of one of the judged runs."""
        return next(run for run in self.runs if run.row.run_id == run_id)


@dataclass
class _Reader:
    """The rows and costs of all runs, with the newest of what was read still held."""

    session: Session
    held: dict[str, RecordedRun] = field(default_factory=dict)

    def read(self, run: RunRow) -> RecordedRun:
        if run.id not in self.held:
            self.held[run.id] = load_run(self.session, run)
            self._let_go(run.id)
        return self.held[run.id]

    def _let_go(self, newest: str) -> None:
        while sum(recorded.census.injected for recorded in self.held.values()) > HELD_VIDEOS and len(self.held) > 1:
            self.held.pop(next(run_id for run_id in self.held if run_id != newest))


def gather_all(session: Session, settings: Settings, wanted: str | None = None) -> Findings:
    """Judge the recorded runs, or as many as matter; the run `wanted` is among them in any case."""
    reader = _Reader(session)
    published = result_rows.read_published(settings.prometheus.url)
    runs = {run.id: run for run in session.scalars(select(RunRow).order_by(RunRow.created_at, RunRow.id))}
    rows, costs = [], []
    for run in runs.values():
        recorded = reader.read(run)
        if run.id not in published:
            published[run.id] = kept_figures(run_folder(settings.results.path, run.id))
        rows.append(result_rows.measure_recorded(recorded, published))
        costs.append(cost_of(rows[-1], recorded))
    chosen, others = _chosen(rows, wanted), list(zip(rows, costs, strict=True))
    judged = (
        _judge(row, reader.read(runs[row.run_id]), others, runs.values(), settings)
        for row in rows
        if row.run_id in chosen
    )
    return Findings(tuple(rows), tuple(judged), frozenset(chosen[:DRAWN_RUNS]))


def resources_of(recorded: RecordedRun, settings: Settings) -> Resources:
    """Return the samples of the run's time: those kept for good, else Prometheus's, else any kept, else none."""
    folder = run_folder(settings.results.path, recorded.run.id)
    kept = folder / "resources.csv"
    if is_archived(folder):
        return read_resource_file(kept)
    asked = _ask_resources(recorded, settings.prometheus.url)
    return asked if asked.samples or not kept.exists() else read_resource_file(kept)


def _ask_resources(recorded: RecordedRun, prometheus_url: str) -> Resources:
    """Return Prometheus's samples of the run's time; no samples at all when it does not answer."""
    try:
        return read_resources(lambda *window: promql.query_range(prometheus_url, *window), *run_window(recorded))
    except EnvironmentFault:
        return Resources(np.empty(0))


def archived_evidence(folder: Path) -> RunEvidence:
    """Judge a run by its files alone; without others beside it there is nothing to compare it with."""
    recorded, resources = read_archive(folder)
    return gather(result_rows.measure_recorded(recorded), recorded, resources, [])


def _chosen(rows: Sequence[ResultRow], wanted: str | None) -> list[str]:
    """Choose the wanted run, then those behind the table, then the newest, among runs that have a video.

    Of each cell the newest comes first, then the next of each: a cell without evidence is missing from every verdict.
    """
    behind = [row for turn in zip_longest(*(reversed(cell.sources) for cell in fill(rows))) for row in turn if row]
    chosen, held = [wanted] if wanted else [], 0
    for row in {row.run_id: row for row in (*behind, *reversed(rows))}.values():
        has_video = row.count and (row.done or row.failed or row.service_mean_seconds)
        if row.run_id != wanted and has_video and held + row.count <= HELD_VIDEOS:
            chosen.append(row.run_id)
            held += row.count
    return chosen[:JUDGED_RUNS]


def _judge(
    row: ResultRow,
    recorded: RecordedRun,
    costs: Iterable[tuple[ResultRow, Cost]],
    runs: Iterable[RunRow],
    settings: Settings,
) -> RunEvidence:
    usual_canary = usual_canary_seconds(recorded.run, runs)
    return gather(row, recorded, resources_of(recorded, settings), sibling_costs(row, costs), usual_canary)
