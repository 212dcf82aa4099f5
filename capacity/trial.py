"""Runs one test by the same programs a user runs, and returns its row."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import func, select, update

from capacity import results
from capacity.recorded import find_run
from pipeline.database import Sessions
from pipeline.errors import AforoError, EnvironmentFault
from pipeline.models import RunRow, VideoRow
from pipeline.run import FINAL_STATUSES, Mode, RunStatus
from pipeline.settings import Settings
from pipeline.video import FINAL_STATES

POLL_SECONDS = 1.0
STUCK_SECONDS = 1800.0


class TrialFailed(AforoError):
    """A program of the trial refused or failed; its own line says why."""


@dataclass(frozen=True)
class Test:
    """What to run: a cell of the matrix with a number of videos; `note` is kept with the run."""

    size: str
    concurrency: int
    mode: Mode
    count: int
    rate_per_minute: float | None = None
    note: str = ""


Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Laboratory:
    """Where tests run: the stack of the settings."""

    settings: Settings
    sessions: Sessions

    @classmethod
    def open(cls) -> Laboratory:
        """Return the laboratory of this process's settings."""
        settings = Settings.from_process()
        return cls(settings, results.open_store(settings))

    def run(self, test: Test, progress: Progress) -> results.ResultRow:
        """Set the concurrency, inject, wait for the drain and return the row; raise TrialFailed."""
        self._set_concurrency(test.concurrency)
        self._inject(test)
        with self.sessions() as session:
            run_id = find_run(session, None).id
        self.wait(run_id, progress)
        return self.row(run_id)

    def row(self, run_id: str) -> results.ResultRow:
        """Return the settled row of a finished run."""
        with self.sessions() as session:
            return results.measure_settled(session, find_run(session, run_id), self.settings.prometheus.url)

    def wait(self, run_id: str, progress: Progress, stuck_seconds: float = STUCK_SECONDS) -> None:
        """Wait until every video of the run has ended, and close the run; raise TrialFailed when nothing moves."""
        last, moved = -1, time.monotonic()
        while True:
            ended, expected, closed = self._state(run_id)
            progress(ended, expected)
            if closed or ended >= expected:
                return
            if ended != last:
                last, moved = ended, time.monotonic()
            if time.monotonic() - moved > stuck_seconds:
                why = f"no video ended for {stuck_seconds / 60:g} min"
                raise TrialFailed("run", why, "see `make logs`", value=run_id)
            time.sleep(POLL_SECONDS)

    def abandon(self, run_id: str) -> None:
        """Mark a run whose injector died half-way as interrupted."""
        values = {"status": RunStatus.INTERRUPTED, "finished_at": time.time()}
        with self.sessions.begin() as session:
            session.execute(update(RunRow).where(RunRow.id == run_id).values(values))

    def _state(self, run_id: str) -> tuple[int, int, bool]:
        final = [state.value for state in FINAL_STATES]
        with self.sessions.begin() as session:
            run = find_run(session, run_id)
            done = select(func.count()).where(VideoRow.run_id == run_id, VideoRow.state.in_(final))
            ended = session.scalar(done) or 0
            closed = run.status in FINAL_STATUSES
            if not closed:
                run.heartbeat_at = time.time()
                if ended >= run.count:
                    run.status, run.finished_at = RunStatus.FINISHED, time.time()
            return ended, run.count, closed

    def _set_concurrency(self, concurrency: int) -> None:
        if self.settings.stack == "native":
            _program({"CONCURRENCY": str(concurrency)}, "local", "up")
        elif self.settings.stack == "aws":
            self._require_concurrency(concurrency)

    def _require_concurrency(self, concurrency: int) -> None:
        slots = results.slots_per_node(self.settings.prometheus.url)
        if slots != concurrency:
            raise EnvironmentFault(
                "worker", f"its nodes have {slots} slots", f"restart them with --concurrency {concurrency}", value="aws"
            )

    def _inject(self, test: Test) -> None:
        options = ["--count", str(test.count), "--size", test.size, "--mode", test.mode.value, "--note", test.note]
        if test.rate_per_minute is not None:
            options += ["--rate", f"{test.rate_per_minute:.4f}"]
        _program({}, "injector", *options)


def _program(variables: dict[str, str], *arguments: str) -> None:
    """Run `python -m …` without the Make options of whoever called us."""
    hidden = {"SIZE", "COUNT", "MODE", "RATE", "FILE", "RUN_ID", "CONCURRENCY"}
    environment = {key: value for key, value in os.environ.items() if key not in hidden} | variables
    command = [sys.executable, "-m", *arguments]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        last = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1].removeprefix("error: ")
        raise TrialFailed(f"python -m {arguments[0]}", last, "mend that and run again: finished cells are kept")
