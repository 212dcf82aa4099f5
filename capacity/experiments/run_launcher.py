"""Carry out one run with the same command-line programs that a user would run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NoReturn

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from capacity.analysis import recording_rules
from capacity.analysis.analysed_runs import AnalysedRuns
from capacity.analysis.load_and_analyse import load_and_analyse
from capacity.experiments.app_close import close_app_run
from capacity.experiments.early_stop import QueuedVideos, knows_enough
from capacity.experiments.run_programs import MeasurementFailed, RunPrograms
from capacity.experiments.worker_levels import WorkerLevel, level_of_app, require_fixed_slots, require_up
from capacity.report.written_files import write_results
from capacity.runs.recorded_run import find_run, load_own_records, unfinished_since
from capacity.runs.result_row import ResultRow
from capacity.runs.sessions import open_store, reading
from core import aws, sqs_queue
from core.app_confirmation import Target, confirm
from core.collected import wait_until_collected
from core.cpu_calibration import calibration_seconds
from core.database import Sessions
from core.errors import EnvironmentFault, RunFailed
from core.ffmpeg.profiles import is_profile
from core.language import DEFAULT_LANGUAGE, Language
from core.lost_videos import LossWatch, look_at, require_no_loss
from core.models import RunRow, VideoRow
from core.run import FINAL_STATUSES, STUCK_SECONDS, Mode, RunStatus, has_constant_rate, new_run_id
from core.settings import Settings
from core.size_mix import parse_sizes
from core.stuck_watch import StuckWatch
from core.user_files import require_usable_folder
from core.video import FINAL_STATES, VideoState
from core.worker_conditions import read_workers

POLL_SECONDS = 1.0
#: messages that stay in an app's queue for this long are not of our runs
OTHERS_SECONDS = 60.0
#: the workers' conditions now are still those of the end of a run that was closed at most this long ago
JUST_ENDED_SECONDS = 60.0


class RunInterrupted(MeasurementFailed):
    """Error: some videos of an app's run have ended, and then none for too long.

    The run is closed as interrupted. Its result row says what is known.
    """


@dataclass(frozen=True)
class RunRequest:
    """Options of a run to carry out.

    - `concurrency`: number of slots of each worker.
    - `count`: number of videos.
    - `note`: text to store with the run.
    - `adaptive`: true to stop a burst when its X_sat is known precisely enough.
    - `profile`: None means the injector's default.
    - `workers`: number of workers to start. None means the workers that already run.
    """

    size: str
    concurrency: int
    mode: Mode
    count: int
    rate_per_minute: float | None = None
    note: str = ""
    adaptive: bool = False
    profile: str | None = None
    warmup: bool = False
    workers: int | None = None
    shape: str | None = None
    #: of random arrivals and of the order of a mix
    seed: int | None = None

    def injector_options(self) -> list[str]:
        """Return the options of this run for the injector's command line."""
        options = ["--count", str(self.count), "--size", self.size, "--mode", self.mode.value]
        options += ["--note", self.note, "--concurrency", str(self.concurrency), "--yes"]
        if self.workers is not None:
            options += ["--workers", str(self.workers)]
        if self.shape is not None:
            options += ["--shape", self.shape]
        if self.seed is not None:
            options += ["--seed", str(self.seed)]
        if self.rate_per_minute is not None and has_constant_rate(self.shape):
            options += ["--rate", f"{self.rate_per_minute:.4f}"]
        if is_profile(self.profile):
            options += ["--profile", self.profile]
        if self.warmup:
            options += ["--warmup"]
        return options


#: called with the number of finished and of expected videos
Progress = Callable[[int, int], None]


def no_progress(_finished: int, _expected: int) -> None:
    """Do nothing, for callers that do not show the progress of a run."""


@dataclass(frozen=True)
class RunLauncher:
    """Carries out runs on the queue, the database and the workers that the settings name."""

    settings: Settings
    sessions: Sessions
    lang: Language = DEFAULT_LANGUAGE
    #: send to an app's queue without asking
    assume_yes: bool = False
    #: workers of an app before the first run, if `restore` can start them again
    level_before: WorkerLevel | None = None
    #: queues of apps to which the user has agreed to send
    confirmed: set[str] = field(default_factory=set)
    #: the queue, if it is open already
    opened_queue: QueuedVideos | None = None
    programs: RunPrograms = field(default_factory=RunPrograms)
    #: monotonic seconds
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def open(cls, lang: Language = DEFAULT_LANGUAGE, *, assume_yes: bool = False) -> RunLauncher:
        """Return a launcher for the settings of this process.

        With `assume_yes`, the user is not asked before videos are sent to an app's queue. Raise EnvironmentFault if the
        results folder is not writable.
        """
        settings = Settings.from_process()
        require_usable_folder("results folder", settings.results.path, "AFORO_RESULTS_PATH")
        before = None if settings.app is None else level_of_app(settings, settings.app)
        return cls(settings, open_store(settings), lang, assume_yes, before)

    def run(self, request: RunRequest, progress: Progress) -> ResultRow:
        """Carry out one run and return its result row.

        The run has four steps: start or check the workers, wait for an empty queue, send the videos, and wait until all
        are done or failed. `progress` is called with the numbers of finished and of expected videos. If an app never
        ends some of the videos, the row is of an interrupted run. Raise MeasurementFailed if it ends none of them.
        """
        self._set_workers(request)
        self.wait_for_empty_queue()
        self._confirm_once(request.count)
        run_id = self._inject(request, progress)
        with suppress(RunInterrupted):
            self.wait(run_id, progress, adaptive=request.adaptive)
        return self._analyse_finished_run(run_id)

    def analyse(self, run_id: str | None = None) -> AnalysedRuns:
        """Analyse recorded runs, and store their verdicts. Write the result table and the report.

        Return the analysed runs. At most 96 runs are analysed, always including the run with the id `run_id`.
        """
        with reading(self.sessions) as session:
            analysed = load_and_analyse(session, self.settings, run_id)
        write_results(self.sessions, self.settings, analysed, self.lang)
        return analysed

    def wait(
        self, run_id: str, progress: Progress, stuck_seconds: float | None = None, *, adaptive: bool = False
    ) -> None:
        """Wait until every video of the run is done or failed, then store the conditions of the workers.

        `progress` is called with the numbers of finished and of expected videos. With `adaptive`, queued videos are
        cancelled when X_sat is known precisely enough. Raise MeasurementFailed if no video ends for `stuck_seconds`.
        Without it, that is 1800 s, and for an app the setting `AFORO_APP_STUCK_SECONDS`. The run of an app is then
        closed as interrupted, and the error is RunInterrupted if some of its videos have ended. Raise RunFailed if an
        open video has no message in SQS.

        If the injector has just closed the run of an app as interrupted, store the conditions and return.
        """
        if stuck_seconds is None:
            stuck_seconds = STUCK_SECONDS if self.settings.app is None else self.settings.app_stuck_seconds
        watch = StuckWatch(stuck_seconds, self.clock)
        losses: LossWatch | None = None
        while True:
            finished, expected, closed = self._state(run_id)
            progress(finished, expected)
            if closed:
                return self._store_end_if_just_interrupted(run_id)
            if finished >= expected:
                return self._store_end(run_id)
            if watch.update(finished) and adaptive and self._knows_enough(run_id):
                adaptive = self.queued_videos.cancel({run_id}) > 0
            if watch.is_stuck:
                self._fail_stuck_run(run_id, finished, stuck_seconds)
            losses = losses or self._loss_watch(run_id)  # here, because a finished run needs no queue
            self._require_no_loss(losses, run_id)
            self.sleep(POLL_SECONDS)

    def adopt(self, run_id: str) -> bool:
        """Wait until the injector has sent all videos of a run that an earlier process started.

        Return False if the run failed or was interrupted, and True otherwise. If the injector died while sending, mark
        the run as interrupted.
        """
        while True:
            with reading(self.sessions) as session:
                run = find_run(session, run_id)
                if run.status in FINAL_STATUSES:
                    return run.status == RunStatus.FINISHED
                if self._is_sent(session, run):
                    return True
                is_dead = run.is_dead(time.time())
            if is_dead:
                self._close(run_id, RunStatus.INTERRUPTED)
                return False
            self.sleep(POLL_SECONDS)

    def wait_for_empty_queue(self, stuck_seconds: float = STUCK_SECONDS) -> None:
        """Cancel the queued videos of interrupted and failed runs, then wait until the queue is empty.

        Raise MeasurementFailed if the number of messages stays the same for `stuck_seconds`. For an app, no video is
        cancelled and no error is raised. The wait then also ends if the number of messages has not fallen for 60 s.
        """
        self._close_dead_runs()
        if self.settings.app is not None:
            return self._wait_for_app_queue()
        self._cancel_orphans()
        watch = StuckWatch(stuck_seconds, self.clock)
        while (left := self.messages()) > 0:
            watch.update(left)
            if watch.is_stuck:
                why = f"{left} messages of earlier work remain in it"
                raise MeasurementFailed("queue", why, "see `make logs`, or purge it", value=self.settings.queue.name)
            self.sleep(POLL_SECONDS)

    def restore(self) -> None:
        """Bring an app's workers back to the state that they had before the first run.

        The command `worker.restore` of the app's aforo.toml is run. Without this command, `worker.scale` sets the
        earlier numbers of workers and slots.
        """
        app, before = self.settings.app, self.level_before
        if app is None:
            return
        if before is None:
            self.programs.run({}, "local", "restore")
        elif level_of_app(self.settings, app) != before:
            self.programs.run({"CONCURRENCY": str(before.concurrency), "WORKERS": str(before.workers)}, "local", "up")

    def count_messages(self, run_id: str) -> None:
        """Count the messages in SQS and store the numbers with the run, if the run has open videos.

        Call this before the analysis reads the videos. Nothing is stored for an app, or if SQS does not answer.
        """
        if self.settings.app is not None:
            return  # its task may be acknowledged before it runs: a missing message is then no lost video
        open_videos = select(func.count()).where(VideoRow.run_id == run_id, VideoRow.state.not_in(FINAL_STATES))
        with reading(self.sessions) as session:
            if not session.scalar(open_videos):
                return
        # count first: a video that ends between reading its row and the count would look lost
        at = time.time()
        try:
            in_queue, dead = self.messages(), self._dead_letters()
        except EnvironmentFault:
            return
        with self.sessions.begin() as session:
            run = session.get_one(RunRow, run_id)
            gained = max(0, dead - run.environment.get("dead_letters_before", 0))
            counted = {"in_queue": in_queue, "dead_lettered": gained, "at": at}
            run.environment = {**run.environment, "messages": counted}

    def messages(self) -> int:
        """Return the approximate number of messages in the queue, as SQS reports it."""
        return sqs_queue.read_attributes(self.queued_videos.client, self.queued_videos.queue_url).total

    @cached_property
    def queued_videos(self) -> QueuedVideos:
        """Return the `QueuedVideos` of the configured queue, which can cancel the videos that wait in it."""
        if self.opened_queue is not None:
            return self.opened_queue
        client = aws.client(self.settings, "sqs")
        return QueuedVideos(client, sqs_queue.find_queue(client, self.settings.queue.name), self.sessions)

    def _analyse_finished_run(self, run_id: str) -> ResultRow:
        """Analyse a finished run as soon as its figures agree in Prometheus and in the database. Return its result row.

        Other recorded runs are analysed too. The verdicts on all analysed runs are stored in the database.
        """
        with reading(self.sessions) as session:
            recording_rules.wait_settled(session, find_run(session, run_id), self.settings.prometheus.url)
        return self.analyse(run_id).run(run_id).row

    def _wait_for_app_queue(self) -> None:
        """Wait until an app's queue is empty, or no longer becomes emptier: the rest is work of somebody else.

        Nothing is received or deleted there.
        """
        least, watch = math.inf, StuckWatch(OTHERS_SECONDS, self.clock)
        while (left := self.messages()) > 0 and not watch.is_stuck:
            least = min(left, least)
            watch.update(least)
            self.sleep(POLL_SECONDS)

    def _confirm_once(self, videos: int) -> None:
        app = self.settings.app
        if app is not None and app.queue not in self.confirmed:
            confirm(Target.read(self.settings, app), videos, assume_yes=self.assume_yes)
            self.confirmed.add(app.queue)

    def _loss_watch(self, run_id: str) -> LossWatch | None:
        if self.settings.app is not None:  # a foreign app has no claims, and may acknowledge before its work
            return None
        videos = self.queued_videos
        look = partial(look_at, videos.client, videos.queue_url, self.sessions, run_id)
        return LossWatch(look, self.settings.queue.visibility_timeout_seconds, self.clock)

    def _require_no_loss(self, losses: LossWatch | None, run_id: str) -> None:
        if losses is None:
            return
        try:
            require_no_loss(losses, self.sessions, run_id)
        except RunFailed:
            self._close(run_id, RunStatus.FAILED)
            raise

    @staticmethod
    def _is_sent(session: Session, run: RunRow) -> bool:
        sent = select(func.count()).where(VideoRow.run_id == run.id, VideoRow.sent_at.is_not(None))
        return session.scalar(sent) == run.count

    def _close_dead_runs(self) -> None:
        """Close the runs whose injector was killed while sending, so that their queued videos are cancelled."""
        with reading(self.sessions) as session:
            active = list(session.scalars(select(RunRow).where(RunRow.status.not_in(FINAL_STATUSES))))
            dead = [run.id for run in active if run.is_dead(time.time()) and not self._is_sent(session, run)]
        for run_id in dead:
            self._close(run_id, RunStatus.INTERRUPTED)

    def _cancel_orphans(self) -> None:
        orphaned = select(VideoRow.run_id).join(RunRow).where(VideoRow.state == VideoState.UPLOADED)
        of_ended_runs = orphaned.where(RunRow.status.in_([RunStatus.INTERRUPTED, RunStatus.FAILED])).distinct()
        with reading(self.sessions) as session:
            run_ids = set(session.scalars(of_ended_runs))
        if run_ids and self.messages():
            self.queued_videos.cancel(run_ids)

    def _dead_letters(self) -> int:
        client = self.queued_videos.client
        return sqs_queue.dead_letter_depth(client, sqs_queue.read_attributes(client, self.queued_videos.queue_url))

    def _knows_enough(self, run_id: str) -> bool:
        with reading(self.sessions) as session:
            recorded = load_own_records(session, find_run(session, run_id))
            until = unfinished_since(session, run_id)
        return knows_enough(recorded.executions, recorded.run.slots, until)

    def _close(self, run_id: str, status: RunStatus) -> None:
        values = {"status": status, "finished_at": time.time()}
        with self.sessions.begin() as session:
            session.execute(update(RunRow).where(RunRow.id == run_id).values(values))

    def _state(self, run_id: str) -> tuple[int, int, bool]:
        with self.sessions.begin() as session:
            run = find_run(session, run_id)
            finished = self._finished_videos(session, run_id)
            closed = run.status in FINAL_STATUSES
            if not closed:
                run.heartbeat_at = time.time()
                if finished >= run.count:
                    run.status, run.finished_at = RunStatus.FINISHED, time.time()
            return finished, run.count, closed

    def _fail_stuck_run(self, run_id: str, finished: int, stuck_seconds: float) -> NoReturn:
        """Raise the error of a run of which no video has finished for `stuck_seconds`.

        The run of an app is closed as interrupted before. `finished` is the number of its finished videos.
        """
        why, error = f"no video finished for {stuck_seconds / 60:g} min", MeasurementFailed
        if self.settings.app is not None:
            self._close(run_id, RunStatus.INTERRUPTED)
            self._store_end(run_id)
            error = RunInterrupted if finished else MeasurementFailed
        raise error("run", why, "see `make logs`", value=run_id)

    def _store_end_if_just_interrupted(self, run_id: str) -> None:
        """Store the end of an app's run that the injector has just closed as interrupted."""
        if self.settings.app is not None and self._is_just_interrupted(run_id):
            self._store_end(run_id)

    def _is_just_interrupted(self, run_id: str) -> bool:
        with reading(self.sessions) as session:
            run = find_run(session, run_id)
            age_seconds = time.time() - (run.finished_at or 0.0)
            return run.status == RunStatus.INTERRUPTED and age_seconds < JUST_ENDED_SECONDS

    def _store_end(self, run_id: str) -> None:
        """Store what is known only when a run has ended: what an app's worker did, and the workers' conditions."""
        wait_until_collected(self.sessions, run_id)
        if self.settings.app is not None:
            close_app_run(self.sessions, run_id)
        self._store_end_conditions(run_id)

    def _store_end_conditions(self, run_id: str) -> None:
        """Store the workers' conditions as they are now, and repeat the CPU calibration of the injector.

        Both detect a change since the start of the run. The workers are idle now, unless a video never ended.
        """
        app = self.settings.app
        workers = [] if app is not None and not app.worker.instrument else read_workers(self.settings)
        is_here = self.settings.stack != "aws" and (app is None or app.worker.command is not None)
        # the key keeps the old name of the CPU calibration, for readers of old runs
        calibration = {"canary_after_seconds": calibration_seconds()} if is_here else {}
        with self.sessions.begin() as session:
            run = find_run(session, run_id)
            both = {**run.environment.get("workers", {}), **({"end": workers} if workers else {})}
            run.environment = {**run.environment, **calibration, "workers": both}

    def _set_workers(self, request: RunRequest) -> None:
        """Start the requested workers, or check that they are up where this program cannot start them."""
        if self.settings.stack == "native" or self.settings.app is not None:
            profile = {"PROFILE": request.profile} if is_profile(request.profile) else {}
            workers = {} if request.workers is None else {"WORKERS": str(request.workers)}
            self.programs.run({"CONCURRENCY": str(request.concurrency), **workers, **profile}, "local", "up")
            if self.settings.app is not None:
                require_fixed_slots(self.settings, self.settings.app)
        else:
            require_up(self.settings, request.concurrency, request.workers)

    def _inject(self, request: RunRequest, progress: Progress) -> str:
        """Run the injector as a user would, and show its progress. Return the id of the run."""
        app = self.settings.app
        name, nodes = None if app is None else app.name, request.workers or 1
        run_id = new_run_id(request.mode, parse_sizes(request.size).label, request.concurrency, name, nodes=nodes)
        options = [*request.injector_options(), "--run-id", run_id]
        self.programs.inject(options, lambda: self._show_finished(run_id, request.count, progress))
        return run_id

    def _show_finished(self, run_id: str, expected: int, progress: Progress) -> None:
        with reading(self.sessions) as session:
            progress(self._finished_videos(session, run_id), expected)
        self.sleep(POLL_SECONDS / 5)

    @staticmethod
    def _finished_videos(session: Session, run_id: str) -> int:
        final = [state.value for state in FINAL_STATES]
        finished = select(func.count()).where(VideoRow.run_id == run_id, VideoRow.state.in_(final))
        return session.scalar(finished) or 0
