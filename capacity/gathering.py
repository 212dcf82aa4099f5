"""Reads the store and Prometheus, and judges every run: the newest in detail, the others by their row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from capacity import results
from capacity.evidence import Cost, RunEvidence, cost_of, gather, run_window
from capacity.recorded import RecordedRun, load_run
from capacity.resources import Resources, read_resources
from capacity.results import ResultRow
from pipeline import promql
from pipeline.errors import EnvironmentFault
from pipeline.models import RunRow

DETAILED_RUNS = 24


@dataclass(frozen=True)
class Findings:
    """Every run's row, oldest first, and the evidence of the newest ones."""

    rows: tuple[ResultRow, ...]
    runs: tuple[RunEvidence, ...]

    @property
    def best(self) -> RunEvidence | None:
        """Return the finished burst of highest nominal capacity; None when none has one."""
        known = [r for r in self.runs if r.row.x_sat_per_minute is not None and r.row.status == "finished"]
        return max(known, key=lambda r: r.row.x_sat_per_minute or 0.0, default=None)


def gather_all(session: Session, prometheus_url: str) -> Findings:
    """Judge the recorded runs."""
    runs = session.scalars(select(RunRow).order_by(RunRow.created_at)).all()
    rows, loaded = [], []
    for position, run in enumerate(runs):
        recorded = load_run(session, run)
        rows.append(results.measure_recorded(recorded, lambda rule: promql.single(prometheus_url, rule)))
        if position >= len(runs) - DETAILED_RUNS and recorded.uploaded_at.size:
            loaded.append((rows[-1], recorded))
    costs = [(row, recorded.run.profile, cost_of(row, recorded)) for row, recorded in loaded]
    return Findings(tuple(rows), tuple(_judge(pair, costs, prometheus_url) for pair in loaded))


def _judge(
    pair: tuple[ResultRow, RecordedRun], costs: Sequence[tuple[ResultRow, str, Cost]], prometheus_url: str
) -> RunEvidence:
    row, recorded = pair
    peers = [cost for other, profile, cost in costs if profile == recorded.run.profile and _alike(row, other)]
    return gather(row, recorded, resources_of(recorded, prometheus_url), peers)


def _alike(row: ResultRow, other: ResultRow) -> bool:
    return other.mode == "burst" and other.size_label == row.size_label and other.status == "finished"


def resources_of(recorded: RecordedRun, prometheus_url: str) -> Resources:
    """Return the samples of the run's window; no samples at all when Prometheus does not answer."""
    try:
        return read_resources(lambda *window: promql.query_range(prometheus_url, *window), *run_window(recorded))
    except EnvironmentFault:
        return Resources(np.empty(0))
