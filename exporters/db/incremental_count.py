"""Count all rows of the database once, and afterwards only the rows that have changed.

docs/adr/0008 explains why the counts stay correct.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from exporters.db.reader import Reader
from exporters.db.run_aggregates import RunAggregates


@dataclass
class IncrementalCount:
    """Sums over all runs and videos, kept up to date by reading only the rows that have changed.

    Call the method `build` first. Afterwards the sums include every change up to the time in the field `read_at`, in
    epoch seconds of the exporter's clock.
    """

    runs: int
    overlap_seconds: float
    read_at: float
    aggregates: RunAggregates = field(default_factory=RunAggregates)
    rows_read: Counter[str] = field(default_factory=Counter)

    @property
    def since(self) -> float:
        """Return the epoch time from which the next refresh reads changed rows.

        The result is the field `read_at` minus the field `overlap_seconds`. A row that is committed after the last
        reading can have a timestamp before that reading.
        """
        return self.read_at - self.overlap_seconds

    def build(self, reader: Reader) -> None:
        """Make a full count: fill the empty counts from the database. Call this once, on a new object.

        All runs and videos are counted, and the executions of the tracked runs. `reader` reads a snapshot of the
        database. The caller must open the snapshot after the time in the field `read_at`. The sums then include every
        change before that time.
        """
        for run in reader.newest_runs(self.runs):
            self.aggregates.track(run)
        tracked = list(self.aggregates.runs)
        for group in reader.groups_of_rest(tracked):
            self.aggregates.rest.add(group)
        self.aggregates.rest_statuses.update(dict(reader.statuses_of_rest(tracked)))
        for run_id in tracked:
            self._recount(reader, run_id)
        self.aggregates.remember(
            video for video in reader.live_videos(self.since) if video.run_id not in self.aggregates.runs
        )
        self._read_unstamped(reader)

    def refresh(self, reader: Reader, now: float) -> None:
        """Update the sums by the database rows that have changed since the last reading.

        `now` is the epoch time just before the snapshot of `reader` was opened. Afterwards the sums include every
        change up to `now`.
        """
        since = self.since
        self.aggregates.update_runs(reader.newest_runs(self.runs), self.runs, since)
        changed = list(reader.changed_videos(since))
        self.rows_read["videos"] += len(changed)
        self.aggregates.apply_videos(changed, since)
        if reader.table.has_runs:
            ended = reader.changed_executions(since)
            self.rows_read["executions"] += len(ended)
            self.aggregates.apply_executions(ended)
        for run_id in self.aggregates.due:
            self._recount(reader, run_id)
        self._read_unstamped(reader)
        self.read_at = max(self.read_at, now)
        self.aggregates.prune(self.since)

    def _recount(self, reader: Reader, run_id: str) -> None:
        window_end = self.aggregates.runs[run_id].window_end
        groups, live = reader.groups_of(run_id, window_end), reader.live_videos_of(run_id, self.since)
        self.aggregates.replace(run_id, groups, live)
        self.aggregates.replace_executions(
            run_id, reader.executions_of(run_id), reader.recent_executions_of(run_id, self.since)
        )

    def _read_unstamped(self, reader: Reader) -> None:
        """Read the changes without a timestamp: claims, returned videos, executions whose process died."""
        if reader.table.has_runs:
            self.aggregates.set_processing(reader.processing(self.aggregates.open_runs))
            self.aggregates.set_lost(reader.lost_executions())


def difference(current: RunAggregates, recounted: RunAggregates) -> int:
    """Return how many videos `current` counts under a wrong state.

    `recounted` is a full count of the same moment, and is taken as correct. `current` has too many videos in some
    states, and too few in others. The result is the larger of these two totals.
    """
    one, other = current.all_videos.states, recounted.all_videos.states
    more = sum((one - other).values())
    fewer = sum((other - one).values())
    return max(more, fewer)
