"""A matrix being carried out: what is done is found again, a test that fails does not stop the others."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import select

from capacity.analysis.result_rows import load_rows, reading
from capacity.experiments.matrix_plan import (
    AUTOMATIC_SHARE,
    Plan,
    PlannedTest,
    Prediction,
    known_services,
    ordered,
    predict,
    total,
)
from capacity.experiments.test_runner import Laboratory, Progress, Test, silent
from capacity.runs.result_row import ResultRow
from core.errors import AforoError, EnvironmentFault, RunFailed
from core.models import RunRow
from core.run import Mode, RunStatus
from core.size import parse_size, size_label

#: so many tests failing one after the other say that the stack is ill, not the cell
FAILURES_IN_A_ROW = 2


class NoRate(EnvironmentFault):
    """A test waits for a capacity that was not found; it says nothing against the stack."""


@dataclass
class Campaign:
    """A plan with the rows of the tests that are done and the faults of those that could not be run."""

    laboratory: Laboratory
    plan: Plan
    rows: dict[PlannedTest, ResultRow] = field(default_factory=dict)
    faults: dict[PlannedTest, str] = field(default_factory=dict)
    _others: list[ResultRow] = field(default_factory=list)

    def resume(self) -> None:
        """Find what an earlier call did: finished runs count, a run still being worked on is waited for."""
        for test in ordered(self.plan):
            run_id = self._newest_run(test)
            if run_id is not None and self.laboratory.adopt(run_id):
                self.laboratory.wait(run_id, silent, adaptive=self.plan.adaptive and test.mode == Mode.BURST)
        self.look()

    def look(self) -> None:
        """Find what an earlier call finished, without touching what is still being worked on."""
        self._others = load_rows()
        finished = {row.run_id: row for row in self._others if row.status == RunStatus.FINISHED}
        newest = {test: self._newest_run(test) for test in ordered(self.plan)}
        self.rows = {test: finished[run_id] for test, run_id in newest.items() if run_id in finished}

    def left(self) -> list[PlannedTest]:
        """Return the tests that are still to be run, in order."""
        return [test for test in ordered(self.plan) if test not in self.rows and test not in self.faults]

    def predict(self, test: PlannedTest) -> Prediction:
        """Return how long a test will take, by what has been measured here so far."""
        rows = [*self._others, *self.rows.values()]
        known = known_services((row.size_label, row.slots, row.service_mean_seconds) for row in rows)
        return predict(self.plan, test, known, os.cpu_count() or 1)

    def remaining(self) -> Prediction:
        """Return how long all that is left will take."""
        return total([self.predict(test) for test in self.left()])

    def run(self, progress: Progress, told: Callable[[PlannedTest, ResultRow | AforoError], None]) -> None:
        """Run what is left and tell of each; raise RunFailed when tests fail one after the other."""
        in_a_row = 0
        for test in self.left():
            try:
                self.rows[test] = self.laboratory.run(self._test(test), progress)
                in_a_row = 0
                told(test, self.rows[test])
            except AforoError as fault:
                self.faults[test] = str(fault)
                in_a_row += not isinstance(fault, NoRate)
                told(test, fault)
            if in_a_row >= FAILURES_IN_A_ROW:
                why = f"{in_a_row} tests failed one after the other"
                raise RunFailed("matrix", why, "mend the stack (`make doctor`) and run it again", value=self.plan.name)

    def _test(self, test: PlannedTest) -> Test:
        plan, burst = self.plan, test.mode == Mode.BURST
        rate = None if burst else plan.rate_per_minute or self._automatic_rate(test)
        return Test(
            size=test.size,
            concurrency=test.concurrency,
            mode=Mode(test.mode),
            count=plan.videos(test.mode),
            rate_per_minute=rate,
            note=test.note(plan),
            adaptive=plan.adaptive and burst,
        )

    def _automatic_rate(self, test: PlannedTest) -> float:
        """Return the rate of the cell's first repeat, for repeats to be comparable, else 0.8 of its burst's X_sat."""
        same = [t for t in self.rows if (t.size, t.concurrency, t.mode) == (test.size, test.concurrency, test.mode)]
        if same and (rate := self.rows[same[0]].rate_per_minute):
            return rate
        burst = self._burst_of(test) if Mode.BURST in self.plan.modes else self._earlier_burst(test)
        if burst is None or burst.x_sat_per_minute is None:
            remedy = "use more COUNT, measure bursts too, or give a rate"
            raise NoRate("RATE", "no burst of this cell has an X_sat", remedy, value="auto")
        return AUTOMATIC_SHARE * burst.x_sat_per_minute

    def _burst_of(self, test: PlannedTest) -> ResultRow | None:
        return self.rows.get(PlannedTest(test.size, test.concurrency, Mode.BURST.value, test.repeat))

    def _earlier_burst(self, test: PlannedTest) -> ResultRow | None:
        """Return the newest whole burst of the cell, for a plan that has none of its own."""
        cell = size_label(parse_size(test.size)), test.concurrency, self.plan.profile
        whole = (row for row in reversed(self._others) if row.is_whole and row.x_sat_per_minute)
        return next((r for r in whole if (r.size_label, r.concurrency, r.conditions.profile) == cell), None)

    def _newest_run(self, test: PlannedTest) -> str | None:
        newest = select(RunRow.id).where(RunRow.note == test.note(self.plan)).order_by(RunRow.created_at.desc())
        with reading(self.laboratory.sessions) as session:
            return session.scalars(newest.limit(1)).first()
