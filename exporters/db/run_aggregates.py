"""Sums over the videos and executions of each run, kept in memory.

The module `incremental_count` reads the changed rows from the database, and passes them to this module. A row that is
read twice counts once (docs/adr/0008).
"""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from core.run import FINAL_STATUSES, OWN_APP, Mode
from core.video import FINAL_STATES, VideoState
from exporters.db.tally import Execution, ExecutionTally, Group, Tally, Video


class Run(NamedTuple):
    """One run, as the database exporter reads it.

    The fields up to `validity_reasons` have the names of the columns of the SQL statement `runs_newest`.
    """

    id: str
    status: str
    mode: str
    size_label: str
    concurrency: int
    nodes: int
    slots: int
    profile: str
    expected: int
    rate_per_minute: float | None
    window_seconds: float | None
    created_at: float
    started_at: float | None
    #: Stored by the analysis: X_sat in videos per minute, its 95 % interval, and the verdicts.
    capacity: float | None
    capacity_low: float | None
    capacity_high: float | None
    stability: str | None
    bottleneck: str | None
    #: Level, and a JSON list of reason codes.
    validity: str | None
    validity_reasons: str | list[str] | None
    app: str = OWN_APP
    #: Queue that carried the tasks, '' if it was not recorded.
    queue: str = ""

    @property
    def concurrency_text(self) -> str:
        """Return the concurrency of this run as text for a label, such as `2` or `2×3`.

        `2×3` means three workers with at most two slots each.
        """
        return str(self.concurrency) if self.nodes == 1 else f"{self.concurrency}×{self.nodes}"

    @property
    def sort_key(self) -> tuple[float, str]:
        """Return creation time and id of this run. Sorted by this pair, the newest run is last."""
        return self.created_at, self.id

    @property
    def window_end(self) -> float:
        """Return the epoch time at which the test window of this run ends.

        The result is infinite for a burst, and for a run that has not started.
        """
        if self.mode == Mode.BURST or self.started_at is None or self.window_seconds is None:
            return math.inf
        return self.started_at + self.window_seconds


class OpenVideo(NamedTuple):
    """One open video as the totals count it: the id of its run, its state, and its upload time.

    `state` can be older than the state in the database. `uploaded_at` is in epoch seconds.
    """

    run_id: str
    state: str
    uploaded_at: float


@dataclass
class RunAggregates:
    """Counts and sums of videos and executions for each tracked run, and of the videos of all other runs.

    The tracked runs are the newest runs. The videos of all other runs have common sums, called the rest. Each video
    counts only under its latest known state.
    """

    runs: dict[str, Run] = field(default_factory=dict)
    tallies: dict[str, Tally] = field(default_factory=dict)
    executions: dict[str, ExecutionTally] = field(default_factory=dict)
    rest: Tally = field(default_factory=Tally)
    rest_statuses: Counter[str] = field(default_factory=Counter)
    #: Runs that the database must sum again, and True after a change that only a full count can correct.
    runs_to_recount: set[str] = field(default_factory=set)
    needs_full_count: bool = False
    #: Runs whose values have changed since the last rendering.
    changed_runs: set[str] = field(default_factory=set)
    _open: dict[str, OpenVideo] = field(default_factory=dict)
    _open_of: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _processing: set[str] = field(default_factory=set)
    _waiting: list[tuple[float, str]] = field(default_factory=list)
    _final: dict[str, tuple[str, float]] = field(default_factory=dict)
    _counted_executions: dict[int, float] = field(default_factory=dict)
    #: Runs that the database has summed since their last change.
    _summed_by_database: set[str] = field(default_factory=set)

    def apply_videos(self, videos: Iterable[Video], since: float) -> None:
        """Update the counts and sums with `videos`, the rows that have changed in the database.

        `since` is the epoch time from which the caller has read changed rows. A row that is passed twice counts once.
        If the sums may contain an unknown earlier state of a video, the video is not counted. Its run is then added to
        the field `runs_to_recount`. If the run is not tracked, the field `needs_full_count` becomes True instead.
        """
        for video in videos:
            if video.id in self._open:
                self._advance(video)
            elif video.id in self._final:
                if self._final[video.id] != (video.state, video.updated_at):
                    self._mark_for_recount(video)
            elif video.uploaded_at < since:
                self._mark_for_recount(video)
            else:
                self._count_video(video)

    def apply_executions(self, executions: Iterable[Execution]) -> None:
        """Add ended executions to the totals of their runs. An execution that is passed twice counts once.

        Executions of runs that are not tracked are ignored.
        """
        for execution in executions:
            if execution.id not in self._counted_executions and execution.run_id in self.executions:
                self._counted_executions[execution.id] = execution.ended_at
                self.executions[execution.run_id].add(execution.outcome, 1, execution.sums)
                self._mark_changed(execution.run_id)

    def set_lost(self, counts: Iterable[tuple[str, str, int]]) -> None:
        """Replace the numbers of lost executions of all tracked runs by `counts`.

        Each item of `counts` is (run id, outcome, number of executions). For a tracked run without an item, the number
        is 0. An execution is lost if its process died at an unknown time.
        """
        lost: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for run_id, outcome, count in counts:
            lost[run_id][outcome] = count
        for run_id, tally in self.executions.items():
            if (tally.lost or run_id in lost) and tally.lost != lost[run_id]:
                tally.lost = lost[run_id]
                self.changed_runs.add(run_id)

    def set_processing(self, ids: set[str]) -> None:
        """Count the open videos with these ids as `processing`, and all other open videos as `uploaded`.

        This changes only the totals in memory, not the database.
        """
        for video_id in self._processing - ids:
            self._change_state(video_id, VideoState.UPLOADED)
        for video_id in ids & self._open.keys():
            self._change_state(video_id, VideoState.PROCESSING)

    def update_runs(self, newest: list[Run], limit: int, since: float) -> None:
        """Update the set of tracked runs to `newest`, the newest runs in the database, at most `limit`.

        `since` is the epoch time from which the caller reads changed rows afterwards.

        1. A run that is no longer in `newest` is not tracked any more. Its videos are added to the rest, or dropped if
           the run was deleted.
        2. A run that was created at `since` or later is tracked from now on, and is added to the field
           `runs_to_recount`.
        3. If only a full count can separate a run's videos from the rest, the field `needs_full_count` becomes True
           instead.
        """
        counted_until = self._oldest_tracked()
        last = newest[-1].sort_key if len(newest) == limit else (-math.inf, "")
        for run_id in self.runs.keys() - {run.id for run in newest}:
            self._untrack(run_id, deleted=self.runs[run_id].sort_key > last)
        for run in newest:
            if run.id in self.runs:
                self._update(run)
            elif run.created_at >= since and run.created_at > counted_until:
                self.track(run)
                self.runs_to_recount.add(run.id)
            else:
                self.needs_full_count = True

    def track(self, run: Run) -> None:
        """Start to track `run`: keep sums for this run alone, which start at 0."""
        self.runs[run.id] = run
        self.tallies[run.id] = Tally(run.window_end)
        self.executions[run.id] = ExecutionTally()

    def replace(self, run_id: str, groups: Iterable[Group], live: Iterable[Video]) -> None:
        """Replace the video counts and sums of a run by `groups`, which the database has just computed.

        `live` has the run's open videos and its recently changed videos. `groups` already includes the videos in
        `live`. If a later query returns these videos again, they do not count twice.
        """
        for video_id in list(self._open_of.get(run_id, ())):
            self._close(video_id)
        tally = self.tallies[run_id] = Tally(self.runs[run_id].window_end)
        for group in groups:
            tally.add(group)
        self.remember(live)
        self._summed_by_database.add(run_id)
        self.changed_runs.add(run_id)
        self.runs_to_recount.discard(run_id)

    def replace_executions(
        self, run_id: str, sums: Iterable[tuple[str, int, tuple[float | None, ...]]], recent: Iterable[Execution]
    ) -> None:
        """Replace the execution counts and sums of a run by `sums`, a new result of `Reader.executions_of`.

        `recent` has the executions in `sums` that ended recently. The next query for changed rows can return them
        again. Their ids are kept, so that they are not added twice.
        """
        tally = self.executions[run_id] = ExecutionTally(lost=self.executions[run_id].lost)
        for outcome, count, seconds in sums:
            tally.add(outcome, count, seconds)
        self._counted_executions.update({execution.id: execution.ended_at for execution in recent})

    def remember(self, live: Iterable[Video]) -> None:
        """Remember that the sums already include the videos in `live`, so that they do not count twice."""
        for video in live:
            if video.state in FINAL_STATES:
                self._final[video.id] = (video.state, video.updated_at)
            else:
                self._add_open(video)

    def prune(self, since: float) -> None:
        """Forget the ids of counted videos and executions that ended before `since` (epoch seconds).

        The ids are kept so that a row that is read twice counts once. Later queries must return only rows that changed
        at `since` or later. The counts and sums do not change.
        """
        self._final = {key: row for key, row in self._final.items() if row[1] >= since}
        self._counted_executions = {
            key: ended_at for key, ended_at in self._counted_executions.items() if ended_at >= since
        }

    @property
    def due(self) -> set[str]:
        """Return the ids of the runs whose sums the database must compute again.

        These are the runs in the field `runs_to_recount`, and the ended runs that have changed since their last
        computation. A run has ended if its status is final, or if all its expected videos are final.
        """
        return self.runs_to_recount | {run_id for run_id in self.runs if self._has_just_ended(run_id)}

    @property
    def open_runs(self) -> list[str]:
        """Return the ids of all runs that have at least one open video."""
        return list(self._open_of)

    @property
    def all_videos(self) -> Tally:
        """Return the totals over the videos of all runs, such as their number in each state."""
        whole = Tally()
        for tally in (self.rest, *self.tallies.values()):
            whole.absorb(tally)
        return whole

    def states_by_queue(self, queue: str) -> dict[str, Counter[str]]:
        """Return, for each queue name, the number of videos in each state.

        A video counts for the queue that is stored with its run. If its run is not tracked or has no stored queue, the
        video counts for `queue`.
        """
        states = {queue: Counter(self.rest.states)}
        for run_id, tally in self.tallies.items():
            run = self.runs.get(run_id)
            states.setdefault((run and run.queue) or queue, Counter()).update(tally.states)
        return states

    @property
    def statuses(self) -> Counter[str]:
        """Return the number of runs by status, over all runs."""
        return self.rest_statuses + Counter(run.status for run in self.runs.values())

    @property
    def oldest_waiting(self) -> float | None:
        """Return the epoch time at which the oldest waiting video was uploaded, or None if no video waits.

        A video waits as long as its state is `uploaded`.
        """
        while self._waiting and not self._waits(self._waiting[0][1]):
            heapq.heappop(self._waiting)
        return self._waiting[0][0] if self._waiting else None

    def _oldest_tracked(self) -> float:
        """Return the creation time of the oldest tracked run, or -inf if all runs are tracked."""
        if not self.rest_statuses.total():
            return -math.inf
        return min((run.created_at for run in self.runs.values()), default=math.inf)

    def _advance(self, video: Video) -> None:
        before = self._open[video.id]
        if video.state in FINAL_STATES:
            self._close(video.id)
            self._tally_of(before.run_id).states[before.state] -= 1
            self._count_video(video)
        else:
            self._change_state(video.id, video.state)

    def _count_video(self, video: Video) -> None:
        self._tally_of(video.run_id).add_video(video)
        self._mark_changed(video.run_id)
        self.remember((video,))

    def _mark_changed(self, run_id: str) -> None:
        self._summed_by_database.discard(run_id)
        self.changed_runs.add(run_id)

    def _mark_for_recount(self, video: Video) -> None:
        """Mark the run of a row whose earlier contribution to the totals is not known.

        Such a row is a final row that changed, or a row with an old timestamp.
        """
        if video.run_id in self.tallies:
            self.runs_to_recount.add(video.run_id)
        else:
            self.needs_full_count = True
            self._final[video.id] = (video.state, video.updated_at)

    def _change_state(self, video_id: str, state: str) -> None:
        before = self._open[video_id]
        if before.state == state:
            return
        self._tally_of(before.run_id).move(before.state, state)
        self.changed_runs.add(before.run_id)
        self._open[video_id] = before._replace(state=state)
        self._record_state(video_id, state, before.uploaded_at)

    def _add_open(self, video: Video) -> None:
        self._open[video.id] = OpenVideo(video.run_id, video.state, video.uploaded_at)
        self._open_of[video.run_id].add(video.id)
        self._record_state(video.id, video.state, video.uploaded_at)

    def _record_state(self, video_id: str, state: str, uploaded_at: float) -> None:
        self._processing.discard(video_id)
        if state == VideoState.PROCESSING:
            self._processing.add(video_id)
        elif state == VideoState.UPLOADED:
            heapq.heappush(self._waiting, (uploaded_at, video_id))

    def _close(self, video_id: str) -> None:
        run_id = self._open.pop(video_id).run_id
        self._processing.discard(video_id)
        self._open_of[run_id].discard(video_id)
        if not self._open_of[run_id]:
            del self._open_of[run_id]

    def _untrack(self, run_id: str, *, deleted: bool) -> None:
        tally, run = self.tallies.pop(run_id), self.runs.pop(run_id)
        del self.executions[run_id]
        self.runs_to_recount.discard(run_id)
        self._summed_by_database.discard(run_id)
        if deleted:
            for video_id in list(self._open_of.get(run_id, ())):
                self._close(video_id)
        else:
            self.rest.absorb(tally)
            self.rest_statuses[run.status] += 1

    def _update(self, run: Run) -> None:
        if self.tallies[run.id].window_end != run.window_end:
            self.runs_to_recount.add(run.id)
        if run.status != self.runs[run.id].status:
            self._summed_by_database.discard(run.id)
        self.runs[run.id] = run

    def _has_just_ended(self, run_id: str) -> bool:
        run = self.runs[run_id]
        over = run.status in FINAL_STATUSES or self.tallies[run_id].final >= run.expected
        return over and run_id not in self._summed_by_database

    def _tally_of(self, run_id: str) -> Tally:
        return self.tallies.get(run_id, self.rest)

    def _waits(self, video_id: str) -> bool:
        return video_id in self._open and self._open[video_id].state == VideoState.UPLOADED
