"""Runs one test by the same programs a user runs, and returns its row."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from sqlalchemy import func, select, update

from capacity.analysis import result_rows
from capacity.analysis.analysed_runs import Findings, gather_all
from capacity.experiments.early_stop import Withdrawal
from capacity.experiments.rate_search import knows_enough
from capacity.report.written_files import publish
from capacity.runs.recorded_run import find_run, load_run, unfinished_since
from capacity.runs.result_row import ResultRow
from core import aws, sqs_queue
from core.cpu_calibration import calibration_seconds
from core.database import Sessions
from core.errors import AforoError, EnvironmentFault
from core.language import DEFAULT_LANGUAGE, Language
from core.models import RunRow, VideoRow
from core.run import FINAL_STATUSES, Mode, RunStatus, new_run_id
from core.run_options import RUN_OPTIONS
from core.settings import Settings
from core.size import parse_size, size_label
from core.video import FINAL_STATES, VideoState

POLL_SECONDS = 1.0
STUCK_SECONDS = 1800.0
INJECTOR_END_SECONDS = 30.0


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
    adaptive: bool = False


#: called with the videos that have ended and those that are expected
Progress = Callable[[int, int], None]


def silent(_ended: int, _expected: int) -> None:
    """Show no progress."""


@dataclass(frozen=True)
class Laboratory:
    """Where tests run: the stack of the settings."""

    settings: Settings
    sessions: Sessions
    lang: Language = DEFAULT_LANGUAGE

    @classmethod
    def open(cls, lang: Language = DEFAULT_LANGUAGE) -> Laboratory:
        """Return the laboratory of this process's settings."""
        settings = Settings.from_process()
        return cls(settings, result_rows.open_store(settings), lang)

    def run(self, test: Test, progress: Progress) -> ResultRow:
        """Set the concurrency, let the queue fall quiet, inject, wait for the drain and return the row."""
        self._set_concurrency(test.concurrency)
        self.quieten()
        run_id = self._inject(test, progress)
        self.wait(run_id, progress, adaptive=test.adaptive)
        return self.row(run_id)

    def row(self, run_id: str) -> ResultRow:
        """Return the settled row of a finished run, its verdicts stored, table and report written."""
        with result_rows.reading(self.sessions) as session:
            result_rows.wait_settled(session, find_run(session, run_id), self.settings.prometheus.url)
        return self.judge(run_id).of(run_id).row

    def judge(self, wanted: str | None = None) -> Findings:
        """Judge what is recorded, the run `wanted` in any case, and write verdicts, table and report."""
        with result_rows.reading(self.sessions) as session:
            findings = gather_all(session, self.settings, wanted)
        publish(self.sessions, self.settings, findings, self.lang)
        return findings

    def wait(
        self, run_id: str, progress: Progress, stuck_seconds: float = STUCK_SECONDS, *, adaptive: bool = False
    ) -> None:
        """Wait until every video of the run has ended, and close the run; raise TrialFailed when nothing moves.

        `adaptive` takes the waiting videos back as soon as the ended ones tell the capacity well enough.
        """
        last, moved = -1, time.monotonic()
        while True:
            ended, expected, closed = self._state(run_id)
            progress(ended, expected)
            if closed:
                return
            if ended >= expected:
                return self._note_canary(run_id)
            if ended != last:
                last, moved = ended, time.monotonic()
                if adaptive and self._knows_enough(run_id):
                    adaptive = self.withdrawal.take_back({run_id}) > 0
            if time.monotonic() - moved > stuck_seconds:
                why = f"no video ended for {stuck_seconds / 60:g} min"
                raise TrialFailed("run", why, "see `make logs`", value=run_id)
            time.sleep(POLL_SECONDS)

    def adopt(self, run_id: str) -> bool:
        """Say whether an earlier call's run is good to wait for; one whose injector died half-way is closed."""
        while True:
            with result_rows.reading(self.sessions) as session:
                run = find_run(session, run_id)
                if run.status in FINAL_STATUSES:
                    return run.status == RunStatus.FINISHED
                sent = select(func.count()).where(VideoRow.run_id == run_id, VideoRow.sent_at.is_not(None))
                if session.scalar(sent) == run.count:
                    return True
                is_dead = run.is_dead(time.time())
            if is_dead:
                self._close(run_id)
                return False
            time.sleep(POLL_SECONDS)

    def quieten(self, stuck_seconds: float = STUCK_SECONDS) -> None:
        """Take back what interrupted runs left in the queue, and wait until nothing waits or is in work."""
        self._withdraw_orphans()
        last, moved = -1, time.monotonic()
        while (left := self._messages()) > 0:
            if left != last:
                last, moved = left, time.monotonic()
            if time.monotonic() - moved > stuck_seconds:
                why = f"{left} messages of earlier work do not drain"
                raise TrialFailed("queue", why, "see `make logs`, or purge it", value=self.settings.queue.name)
            time.sleep(POLL_SECONDS)

    @cached_property
    def withdrawal(self) -> Withdrawal:
        """Return what takes waiting videos back from the queue of the settings."""
        client = aws.client(self.settings, "sqs")
        return Withdrawal(client, sqs_queue.find_queue(client, self.settings.queue.name), self.sessions)

    def _withdraw_orphans(self) -> None:
        orphaned = select(VideoRow.run_id).join(RunRow).where(VideoRow.state == VideoState.UPLOADED)
        ended = orphaned.where(RunRow.status.in_([RunStatus.INTERRUPTED, RunStatus.FAILED])).distinct()
        with result_rows.reading(self.sessions) as session:
            run_ids = set(session.scalars(ended))
        if run_ids and self._messages():
            self.withdrawal.take_back(run_ids)

    def _messages(self) -> int:
        return sqs_queue.read_attributes(self.withdrawal.client, self.withdrawal.queue_url).total

    def _knows_enough(self, run_id: str) -> bool:
        with result_rows.reading(self.sessions) as session:
            recorded = load_run(session, find_run(session, run_id))
            until = unfinished_since(session, run_id)
        return knows_enough(recorded.executions, recorded.run.slots, until)

    def _close(self, run_id: str) -> None:
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

    def _note_canary(self, run_id: str) -> None:
        """Time the injector's canary again, now that the workers are idle: a machine that changed meanwhile shows."""
        if self.settings.stack == "aws":
            return
        seconds = calibration_seconds()
        with self.sessions.begin() as session:
            run = find_run(session, run_id)
            run.environment = {**run.environment, "canary_after_seconds": seconds}

    def _set_concurrency(self, concurrency: int) -> None:
        if self.settings.stack == "native":
            _program({"CONCURRENCY": str(concurrency)}, "local", "up")
        else:
            self._require_concurrency(concurrency)

    def _require_concurrency(self, concurrency: int) -> None:
        slots = result_rows.slots_per_node(self.settings.prometheus.url)
        if slots != concurrency:
            remedy = f"restart them with --concurrency {concurrency}"
            if self.settings.stack == "compose":
                remedy = f"run `make up STACK=compose CONCURRENCY={concurrency}`, then this again"
            raise EnvironmentFault("worker", f"its nodes have {slots} slots", remedy, value=self.settings.stack)

    def _inject(self, test: Test, progress: Progress) -> str:
        """Inject as a user would, showing progress meanwhile; return the id of the run."""
        run_id = new_run_id(test.mode, size_label(parse_size(test.size)), test.concurrency)
        options = ["--count", str(test.count), "--size", test.size, "--mode", test.mode.value, "--note", test.note]
        if test.rate_per_minute is not None:
            options += ["--rate", f"{test.rate_per_minute:.4f}"]
        with tempfile.TemporaryFile("w+") as talk:
            injector = subprocess.Popen(_command("injector", *options, "--run-id", run_id), env=_environment({}),
                                        stdout=subprocess.DEVNULL, stderr=talk)  # fmt: skip
            try:
                while injector.poll() is None:
                    progress(*self._ended_so_far(run_id, test.count))
                    time.sleep(POLL_SECONDS / 5)
            finally:
                _end(injector)
            talk.seek(0)
            _check("injector", injector.returncode, talk.read())
        return run_id

    def _ended_so_far(self, run_id: str, count: int) -> tuple[int, int]:
        final = [state.value for state in FINAL_STATES]
        with result_rows.reading(self.sessions) as session:
            done = select(func.count()).where(VideoRow.run_id == run_id, VideoRow.state.in_(final))
            return session.scalar(done) or 0, count


def _program(variables: dict[str, str], *arguments: str) -> None:
    ended = subprocess.run(
        _command(*arguments), env=_environment(variables), capture_output=True, text=True, check=False
    )
    _check(arguments[0], ended.returncode, ended.stderr)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", *arguments]


def _environment(variables: dict[str, str]) -> dict[str, str]:
    """Return our environment without the options that differ from test to test. User and profile are the caller's."""
    hidden = RUN_OPTIONS - {"USER_ID", "PROFILE"}
    return {key: value for key, value in os.environ.items() if key not in hidden} | variables


def _end(process: subprocess.Popen[bytes]) -> None:
    """Let an injector that we leave behind mark its run as interrupted."""
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        process.wait(INJECTOR_END_SECONDS)


def _check(program: str, code: int, talk: str) -> None:
    if code != 0:
        last = (talk.strip().splitlines() or ["it said nothing"])[-1].removeprefix("error: ")
        raise TrialFailed(f"python -m {program}", last, "mend that and run again: finished cells are kept")
