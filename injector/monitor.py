"""Live progress of a run in the terminal, until every video has ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from sqlalchemy import func, select, update
from sqlalchemy.exc import SQLAlchemyError

from core.database import Sessions
from core.errors import RunFailed
from core.models import RunRow, VideoRow
from core.run import RunStatus
from core.settings import Settings
from core.video import FINAL_STATES, VideoState
from injector.own_videos import OwnVideos, read_own_videos

POLL_SECONDS = 1.0
#: after so long without a video being worked on we say so, then after twice as long, and so on
FIRST_PATIENCE_SECONDS = 30.0
BROKEN_OFF = {RunStatus.INTERRUPTED, RunStatus.FAILED}


@dataclass(frozen=True)
class Standing:
    """Where a run stands: videos by state, how many it has in all, and its status."""

    counts: Mapping[str, int]
    expected: int
    status: str = RunStatus.RUNNING

    @property
    def ended(self) -> int:
        """Return how many are done or failed."""
        return sum(self.counts.get(state, 0) for state in FINAL_STATES)


def follow(sessions: Sessions, run_id: str) -> None:
    """Show the run's videos by state once a second; raise RunFailed when somebody ends the run before its videos."""
    with Display(run_id) as display:
        while True:
            standing = _standing(sessions, run_id, display.say)
            if standing is not None:
                display.show(standing)
                if standing.ended >= standing.expected:
                    return
                if standing.status in BROKEN_OFF:
                    missing = standing.expected - standing.ended
                    why = f"it was ended with {missing} of {standing.expected} videos open"
                    raise RunFailed("run", why, "see `make logs`, then inject again", value=run_id)
            time.sleep(POLL_SECONDS)


def follow_own(settings: Settings, count: int, before: OwnVideos, started: float) -> None:
    """Show what their own table says since `before`, and X and S at the end; `started` is of the monotonic clock."""
    with Display("your videos") as display:
        while True:
            now = read_own_videos(settings)
            if now is None:
                display.say("note: the database exporter does not answer")
            else:
                come = now.since(before)
                display.show(Standing(come.by_state, count))
                if come.ended >= count:
                    break
            time.sleep(POLL_SECONDS)
    click.echo(_own_figures(come, time.monotonic() - started))


def _own_figures(come: OwnVideos, seconds: float) -> str:
    """Return what can be said of their videos: the end is known to a second or so, the cycle times exactly."""
    done, failed = come.by_state[VideoState.DONE], come.by_state[VideoState.FAILED]
    mean = f", S = {come.cycle_seconds / done:.3f} s" if done else ""
    return f"{done} done, {failed} failed in {seconds:.0f} s: X ≈ {60 * done / seconds:.3g} videos/min{mean}"


class Patience:
    """Tells of a run nobody works on, so that silence is no riddle."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._last: Mapping[str, int] = {}
        self._still_since, self._limit_seconds = clock(), FIRST_PATIENCE_SECONDS

    def look(self, counts: Mapping[str, int]) -> None:
        """Take the counts of now."""
        if counts != self._last or counts.get(VideoState.PROCESSING):
            self._last, self._still_since, self._limit_seconds = counts, self._clock(), FIRST_PATIENCE_SECONDS
        elif self._clock() - self._still_since >= self._limit_seconds:
            self._say(
                f"note: no worker has taken a video for {self._limit_seconds:.0f} s "
                f"({counts.get(VideoState.UPLOADED, 0)} wait); is one running? see `make status` and `make logs`"
            )
            self._limit_seconds *= 2


class Display:
    """A progress bar; where there is no terminal, a line every ten percent."""

    def __init__(self, name: str) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        self._name, self._tenth, self._said = name, 0, ""
        self._progress = Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty())
        self._bar = self._progress.add_task(name, total=None)
        self._patience = Patience(self.say)

    def __enter__(self) -> Display:
        self._progress.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, standing: Standing) -> None:
        """Show how far the run is."""
        line = _line(self._name, standing.counts)
        self._progress.update(self._bar, total=standing.expected, completed=standing.ended, description=line)
        tenth = 10 * standing.ended // standing.expected if standing.expected else 10
        if self._progress.disable and tenth > self._tenth:
            click.echo(f"{line}: {standing.ended}/{standing.expected} ended", err=True)
        self._tenth = max(tenth, self._tenth)
        self._patience.look(standing.counts)

    def say(self, line: str) -> None:
        """Print a remark above the bar, once in a row."""
        if line != self._said:
            self._said = line
            self._progress.console.print(line, markup=False, soft_wrap=True)


def _standing(sessions: Sessions, run_id: str, say: Callable[[str], None]) -> Standing | None:
    """Return where the run stands; None, with a remark, while the database is away."""
    by_state = (
        select(VideoRow.state, func.count().label("videos")).where(VideoRow.run_id == run_id).group_by(VideoRow.state)
    )
    try:
        with sessions.begin() as session:
            session.execute(update(RunRow).where(RunRow.id == run_id).values(heartbeat_at=time.time()))
            run = session.get_one(RunRow, run_id)
            counts = {row.state: row.videos for row in session.execute(by_state)}
            return Standing(counts, run.count, run.status)
    except SQLAlchemyError as error:
        say(f"note: the database does not answer ({type(error).__name__}); the videos go on")
        return None


def _line(name: str, counts: Mapping[str, int]) -> str:
    shown = (VideoState.UPLOADED, VideoState.PROCESSING, VideoState.FAILED)
    return " · ".join([name, *(f"{counts[state]} {state}" for state in shown if counts.get(state))])
