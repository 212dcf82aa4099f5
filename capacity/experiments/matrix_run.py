"""Carry out the runs of a matrix. Resume after an interruption, and go on after a failed run."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from sqlalchemy import select

from capacity.analysis.load_and_analyse import load_rows
from capacity.experiments.matrix_plan import (
    AUTOMATIC_SHARE,
    MatrixPlan,
    PlannedRun,
    Prediction,
    measured_services,
    ordered_runs,
    predict,
    total,
)
from capacity.experiments.run_launcher import Progress, RunInterrupted, RunLauncher, RunRequest, no_progress
from capacity.runs.result_row import ResultRow
from capacity.runs.sessions import reading
from core.errors import AforoError, EnvironmentFault, RunFailed
from core.ffmpeg.profiles import recorded_name
from core.models import RunRow
from core.run import Mode, RunStatus
from core.size_mix import parse_sizes

#: this many failed runs in a row mean that the stack is broken, not the cell
FAILURES_IN_A_ROW = 2


class NoRate(EnvironmentFault):
    """Error: the rate of a sustained run is unknown, because no burst of its cell gave a valid X_sat.

    A matrix stops after two failed runs in a row. A run with this error does not count as one of these two.
    """


@dataclass
class MatrixRun:
    """A matrix being carried out: its plan, rows of its finished runs, and errors of its failed runs."""

    launcher: RunLauncher
    plan: MatrixPlan
    rows: dict[PlannedRun, ResultRow] = field(default_factory=dict)
    errors: dict[PlannedRun, str] = field(default_factory=dict)
    _others: list[ResultRow] = field(default_factory=list)

    def resume(self) -> None:
        """Wait for runs of this matrix that are still in progress, then load its finished runs.

        An earlier process, which was interrupted, can have left such a run in progress.
        """
        for planned in ordered_runs(self.plan):
            run_id = self._newest_run(planned)
            if run_id is not None and self.launcher.adopt(run_id):
                with suppress(RunInterrupted):
                    self.launcher.wait(run_id, no_progress, adaptive=self.plan.adaptive and planned.mode == Mode.BURST)
        self.load_finished()

    def load_finished(self) -> None:
        """Load the finished runs of this matrix. Do not wait for a run in progress."""
        self._others = load_rows(self.launcher.settings)
        finished = {row.run_id: row for row in self._others if row.status == RunStatus.FINISHED}
        newest = {planned: self._newest_run(planned) for planned in ordered_runs(self.plan)}
        self.rows = {planned: finished[run_id] for planned, run_id in newest.items() if run_id in finished}

    def remaining(self) -> list[PlannedRun]:
        """Return the runs that have neither finished nor failed, in the order of the plan."""
        return [run for run in ordered_runs(self.plan) if run not in self.rows and run not in self.errors]

    def predict(self, planned: PlannedRun) -> Prediction:
        """Predict the duration of one run from the service times of all recorded runs."""
        rows = [*self._others, *self.rows.values()]
        services = measured_services((row.size_label, row.slots, row.service_mean_seconds) for row in rows)
        return predict(self.plan, planned, services, os.cpu_count() or 1)

    def remaining_time(self) -> Prediction:
        """Return the predicted duration of all remaining runs together."""
        return total([self.predict(planned) for planned in self.remaining()])

    def run(self, progress: Progress, on_result: Callable[[PlannedRun, ResultRow | AforoError], None]) -> None:
        """Carry out the remaining runs. After each run, call `on_result` with its result row or its error.

        During a run, `progress` is called with the numbers of finished and of expected videos. Raise RunFailed after
        two failed runs in a row.
        """
        in_a_row = 0
        for planned in self.remaining():
            try:
                self.rows[planned] = self.launcher.run(self._request(planned), progress)
                in_a_row = 0
                on_result(planned, self.rows[planned])
            except AforoError as error:
                self.errors[planned] = str(error)
                in_a_row += not isinstance(error, NoRate)
                on_result(planned, error)
            if in_a_row >= FAILURES_IN_A_ROW:
                why = f"{in_a_row} runs failed in a row"
                raise RunFailed("matrix", why, "fix the stack (`make doctor`) and run it again", value=self.plan.name)

    def _request(self, planned: PlannedRun) -> RunRequest:
        plan, burst = self.plan, planned.mode == Mode.BURST
        rate = None if burst else plan.rate_per_minute or self._automatic_rate(planned)
        return RunRequest(
            size=planned.size,
            concurrency=planned.concurrency,
            mode=Mode(planned.mode),
            count=plan.videos(planned.mode),
            rate_per_minute=rate,
            note=planned.note(plan),
            adaptive=plan.adaptive and burst,
            profile=plan.profile,
            warmup=plan.warmup,
            workers=planned.workers,
            shape=None if burst else plan.shape,
            seed=plan.seed_of(planned),
        )

    def _automatic_rate(self, planned: PlannedRun) -> float:
        """Return the automatic rate of a sustained run, in videos per minute.

        The first repeat of a cell gets 0.8 × the X_sat of the cell's burst. Further repeats get the rate of the first,
        so that repeats are comparable.
        """
        same = [run for run in self.rows if replace(run, repeat=planned.repeat) == planned]
        if same and (rate := self.rows[same[0]].rate_per_minute):
            return rate
        burst = self._burst_of(planned) if Mode.BURST in self.plan.modes else self._earlier_burst(planned)
        if burst is None or burst.x_sat_per_minute is None or burst.validity.is_invalid:
            remedy = "use more COUNT, measure bursts too, or give a rate"
            raise NoRate("RATE", "no valid burst of this cell has an X_sat", remedy, value="auto")
        return AUTOMATIC_SHARE * burst.x_sat_per_minute

    def _burst_of(self, planned: PlannedRun) -> ResultRow | None:
        return self.rows.get(replace(planned, mode=Mode.BURST.value))

    def _earlier_burst(self, planned: PlannedRun) -> ResultRow | None:
        """Return the newest complete burst of the cell, for a plan that has no bursts itself."""
        cell = parse_sizes(planned.size).label, planned.concurrency, recorded_name(self.plan.profile)
        usable = (row for row in reversed(self._others) if row.is_complete and not row.validity.is_invalid)
        complete = (row for row in usable if row.x_sat_per_minute)
        of_cell = (r for r in complete if (r.size_label, r.concurrency, r.conditions.profile) == cell)
        return next((r for r in of_cell if planned.workers in {None, r.nodes}), None)

    def _newest_run(self, planned: PlannedRun) -> str | None:
        """Return the newest run of an earlier call for the planned one, with its number of workers."""
        newest = select(RunRow.id).where(RunRow.note == planned.note(self.plan)).order_by(RunRow.created_at.desc())
        if planned.workers is not None:
            newest = newest.where(RunRow.nodes == planned.workers)
        with reading(self.launcher.sessions) as session:
            return session.scalars(newest.limit(1)).first()
