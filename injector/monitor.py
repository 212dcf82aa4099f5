"""Show the progress of a run in the terminal until every video has ended."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from sqlalchemy import func, select, update
from sqlalchemy.exc import SQLAlchemyError

from core.collected import wait_until_collected
from core.database import Sessions
from core.errors import RunFailed
from core.language import DEFAULT_LANGUAGE, STATE_NAMES, Language, Text
from core.lost_videos import LossWatch, require_no_loss
from core.models import RunRow, VideoRow
from core.run import RunStatus
from core.stuck_watch import StuckWatch
from core.video import FINAL_STATES, VideoState

POLL_SECONDS = 1.0
#: first warning after this time without a video in processing, then after twice the time, and so on
FIRST_WARNING_SECONDS = 30.0
#: so that time left, queue and slots fit 80 columns
BAR_WIDTH = 8
TIME_LEFT = Text("quedan", "left")
ENDED = Text("terminados {}", "{} ended")
IN_QUEUE = Text("{} en cola", "{} in queue")
BUSY = Text("slots {}", "slots {}")
ENDED_EARLY = {RunStatus.INTERRUPTED, RunStatus.FAILED}


@dataclass(frozen=True)
class RunProgress:
    """Progress of a run at one moment.

    `counts` has the number of videos in each state. `expected` is the number of videos of the run. `slots` is the
    number of slots, or None if unknown.
    """

    counts: Mapping[str, int]
    expected: int
    status: str = RunStatus.RUNNING
    slots: int | None = None

    @property
    def ended(self) -> int:
        """Return the number of videos of the run that are done or failed."""
        return sum(self.counts.get(state, 0) for state in FINAL_STATES)


def follow(
    sessions: Sessions,
    run_id: str,
    losses: LossWatch | None = None,
    stuck_seconds: float = math.inf,
    lang: Language = DEFAULT_LANGUAGE,
) -> None:
    """Show how many videos of a run are in each state, once per second, until all have ended.

    The heartbeat of the run is also written once per second. When all videos have ended, wait up to 10 s until the
    collector has stored their executions. Raise RunFailed if `losses` detects lost videos, or if the run is interrupted
    or fails. If no video changes its state for `stuck_seconds`, record the run as interrupted and return.
    """
    watch = StuckWatch(stuck_seconds)
    with Display(run_id, lang) as display:
        while True:
            progress = _run_progress(sessions, run_id, display.say)
            if progress is not None:
                display.show(progress)
                if progress.ended >= progress.expected:
                    wait_until_collected(sessions, run_id)
                    return
                watch.update(progress.counts)
                if watch.is_stuck:
                    missing = progress.expected - progress.ended
                    unknown = f"{missing} videos never ended, and whether the queue lost them is unknown"
                    display.say(f"note: nothing changed for {stuck_seconds:.0f} s; {unknown}")
                    _interrupt(sessions, run_id)
                    return
                if progress.status in ENDED_EARLY:
                    missing = progress.expected - progress.ended
                    why = f"it was ended with {missing} of {progress.expected} videos open"
                    raise RunFailed("run", why, "see `make logs`, then inject again", value=run_id)
                if losses is not None:
                    require_no_loss(losses, sessions, run_id)
            time.sleep(POLL_SECONDS)


class StallWarning:
    """Warn the user while no worker processes a video of the run. `say` prints a line of text."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._last: Mapping[str, int] = {}
        self._unchanged_since, self._limit_seconds = clock(), FIRST_WARNING_SECONDS

    def update(self, counts: Mapping[str, int]) -> None:
        """Print a warning if no worker has processed a video of the run for 30 s, 60 s, 120 s and so on.

        Call this method at short intervals. `counts` has the current number of videos in each state. If a number
        changes or a video is in state processing, the time starts from 0 again.
        """
        if counts != self._last or counts.get(VideoState.PROCESSING):
            self._last, self._unchanged_since, self._limit_seconds = counts, self._clock(), FIRST_WARNING_SECONDS
        elif self._clock() - self._unchanged_since >= self._limit_seconds:
            self._say(
                f"note: no worker has taken a video for {self._limit_seconds:.0f} s "
                f"({counts.get(VideoState.UPLOADED, 0)} wait): it may be down, "
                "busy with other messages, or rejected by SQS; see `make status` and `make logs`"
            )
            self._limit_seconds *= 2


class Display:
    """Progress bar of a run, with the number of videos in the queue, the busy slots and the time left.

    The output is standard error, unless `console` is given. If the output is no terminal, the display prints one line
    per ten percent instead. Use the object as a context manager.
    """

    def __init__(self, name: str, lang: Language = DEFAULT_LANGUAGE, console: Console | None = None) -> None:
        columns = (
            BarColumn(bar_width=BAR_WIDTH),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn(TIME_LEFT.to(lang)),
            TimeRemainingColumn(),
            TextColumn("· {task.description}"),
        )
        self._name, self._lang, self._tenth, self._last_note = name, lang, 0, ""
        console = console or Console(stderr=True)
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._bar = self._progress.add_task("", total=None)
        self._stall_warning = StallWarning(self.say)

    def __enter__(self) -> Display:
        if not self._progress.disable:
            self._progress.console.print(self._name, markup=False, highlight=False)
        self._progress.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, progress: RunProgress) -> None:
        """Update the progress bar with the current progress of the run.

        Also print a warning if no worker has processed a video for a while: see StallWarning.
        """
        line = _line(progress, self._lang)
        self._progress.update(self._bar, total=progress.expected, completed=progress.ended, description=line)
        tenth = 10 * progress.ended // progress.expected if progress.expected else 10
        if self._progress.disable and tenth > self._tenth:
            ended = ENDED.to(self._lang).format(f"{progress.ended}/{progress.expected}")
            click.echo(" · ".join(filter(None, (f"{self._name}: {ended}", line))), err=True)
        self._tenth = max(tenth, self._tenth)
        self._stall_warning.update(progress.counts)

    def say(self, line: str) -> None:
        """Print a line above the progress bar, unless it repeats the previous line."""
        if line != self._last_note:
            self._last_note = line
            self._progress.console.print(line, markup=False, soft_wrap=True)


def _run_progress(sessions: Sessions, run_id: str, say: Callable[[str], None]) -> RunProgress | None:
    """Return the progress of the run. While the database does not answer, print a note and return None."""
    by_state = (
        select(VideoRow.state, func.count().label("videos")).where(VideoRow.run_id == run_id).group_by(VideoRow.state)
    )
    try:
        with sessions.begin() as session:
            session.execute(update(RunRow).where(RunRow.id == run_id).values(heartbeat_at=time.time()))
            run = session.get_one(RunRow, run_id)
            counts = {row.state: row.videos for row in session.execute(by_state)}
            return RunProgress(counts, run.count, run.status, run.slots)
    except SQLAlchemyError as error:
        say(f"note: the database does not answer ({type(error).__name__}); the videos continue")
        return None


def _interrupt(sessions: Sessions, run_id: str) -> None:
    values = {"status": RunStatus.INTERRUPTED, "finished_at": time.time()}
    with sessions.begin() as session:
        session.execute(update(RunRow).where(RunRow.id == run_id).values(values))


def _line(progress: RunProgress, lang: Language) -> str:
    """Return the videos in the queue, the busy slots, and the failed videos."""
    waiting, busy, failed = (
        progress.counts.get(state, 0) for state in (VideoState.UPLOADED, VideoState.PROCESSING, VideoState.FAILED)
    )
    slots = "" if progress.slots is None else f"/{progress.slots}"
    parts = (
        (waiting, IN_QUEUE.to(lang).format(waiting)),
        (busy, BUSY.to(lang).format(f"{busy}{slots}")),
        (failed, f"{failed} {STATE_NAMES[VideoState.FAILED].to(lang)}"),
    )
    return " · ".join(text for count, text in parts if count)
