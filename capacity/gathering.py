"""Reads the store and Prometheus and judges the runs: each by its row, those that matter with all their evidence."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from capacity import results
from capacity.archive import is_archived, kept_figures, read_archive, read_resource_file, run_folder
from capacity.evidence import Cost, RunEvidence, cost_of, gather, run_window
from capacity.recorded import RecordedRun, load_run
from capacity.resources import Resources, read_resources
from capacity.row import ResultRow
from capacity.siblings import sibling_costs, usual_canary_seconds
from capacity.table import TableCell, fill
from capacity.trust import is_trustworthy
from pipeline import promql
from pipeline.errors import EnvironmentFault
from pipeline.models import RunRow
from pipeline.settings import Settings

#: runs with all their evidence, and how many videos are held in memory for them
DETAILED_RUNS = 24
HELD_VIDEOS = 1_000_000


@dataclass(frozen=True)
class Findings:
    """Every run's row, oldest first; the evidence of the newest and of those behind the table; the table."""

    rows: tuple[ResultRow, ...]
    runs: tuple[RunEvidence, ...]

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
        for run in self.runs:
            cell = self.cell_of(run)
            if cell is not None and run.row.x_sat_per_minute and run.row.is_whole:
                entry = (cell.x_sat or 0.0, run)
                found[run.row.size_label] = max(found.get(run.row.size_label, entry), entry, key=lambda e: e[0])
        return [found[size][1] for size in dict.fromkeys(c.key.size_label for c in self.cells) if size in found]

    def cell_of(self, run: RunEvidence) -> TableCell | None:
        """Return the cell whose figures the run is part of; None for a run that better ones displaced."""
        return next((cell for cell in self.cells if run.row in cell.runs), None)

    @property
    def best(self) -> RunEvidence | None:
        """Return the best burst of the size that was measured last."""
        newest = [run.row.size_label for run in self.runs if run.row.x_sat_per_minute and run.row.is_whole]
        return next((run for run in self.best_of_sizes if run.row.size_label == newest[-1]), None)

    @property
    def behind(self) -> list[RunEvidence]:
        """Return the evidence of the newest run of each cell, in the table's order."""
        detailed = {run.row.run_id: run for run in self.runs}
        return [detailed[cell.runs[-1].run_id] for cell in self.cells if cell.runs[-1].run_id in detailed]

    def only(self, sizes: Collection[str]) -> Findings:
        """Return the findings on these sizes."""
        rows = tuple(row for row in self.rows if row.size_label in sizes)
        return Findings(rows, tuple(run for run in self.runs if run.row.size_label in sizes))

    def of(self, run_id: str) -> RunEvidence:
        """Return the evidence of one of the detailed runs."""
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
    """Judge the recorded runs; the run `wanted` is among the detailed ones in any case."""
    reader = _Reader(session)
    published = results.read_published(settings.prometheus.url)
    runs = {run.id: run for run in session.scalars(select(RunRow).order_by(RunRow.created_at, RunRow.id))}
    rows, costs = [], []
    for run in runs.values():
        recorded = reader.read(run)
        if run.id not in published:
            published[run.id] = kept_figures(run_folder(settings.results.path, run.id))
        rows.append(results.measure_recorded(recorded, published))
        costs.append(cost_of(rows[-1], recorded))
    chosen = _detailed(rows, wanted)
    judged = (
        _judge(row, reader.read(runs[row.run_id]), list(zip(rows, costs, strict=True)), runs.values(), settings)
        for row in rows
        if row.run_id in chosen
    )
    return Findings(tuple(rows), tuple(judged))


def resources_of(recorded: RecordedRun, settings: Settings) -> Resources:
    """Return the samples of the run's time: those kept with the run, else Prometheus's, else none at all."""
    folder = run_folder(settings.results.path, recorded.run.id)
    if is_archived(folder):
        return read_resource_file(folder / "resources.csv")
    return ask_resources(recorded, settings.prometheus.url)


def ask_resources(recorded: RecordedRun, prometheus_url: str) -> Resources:
    """Return Prometheus's samples of the run's time; no samples at all when it does not answer."""
    try:
        return read_resources(lambda *window: promql.query_range(prometheus_url, *window), *run_window(recorded))
    except EnvironmentFault:
        return Resources(np.empty(0))


def archived_evidence(folder: Path) -> RunEvidence:
    """Judge a run by its files alone; without others beside it there is nothing to compare it with."""
    recorded, resources = read_archive(folder)
    return gather(results.measure_recorded(recorded), recorded, resources, [])


def _detailed(rows: Sequence[ResultRow], wanted: str | None) -> set[str]:
    """Choose the wanted run, then those behind the table, then the newest, among runs that have a video."""
    behind = [run.run_id for cell in fill(rows) for run in reversed(cell.runs)]
    newest = [row.run_id for row in reversed(rows)]
    some = {row.run_id for row in rows if row.count and (row.done or row.failed or row.service_mean_seconds)}
    order = dict.fromkeys([*([wanted] if wanted else []), *behind, *newest])
    return set([run_id for run_id in order if run_id in some or run_id == wanted][:DETAILED_RUNS])


def _judge(
    row: ResultRow,
    recorded: RecordedRun,
    costs: Iterable[tuple[ResultRow, Cost]],
    runs: Iterable[RunRow],
    settings: Settings,
) -> RunEvidence:
    usual_canary = usual_canary_seconds(recorded.run, runs)
    return gather(row, recorded, resources_of(recorded, settings), sibling_costs(row, costs), usual_canary)
