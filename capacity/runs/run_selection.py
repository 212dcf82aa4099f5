"""Select recorded runs by size, mode, slots, workers, rate and date."""

from __future__ import annotations

from dataclasses import dataclass

from core.models import RunRow
from core.run import RunStatus

#: runs that may still change
OPEN = frozenset({RunStatus.PREPARING, RunStatus.RUNNING})


@dataclass(frozen=True)
class RunSelection:
    """Filter for recorded runs that have ended, by size, mode, slots, workers, rate and time.

    A field that is None does not filter. `concurrency` is the number of slots of one worker. Runs that were created
    before `since` (epoch seconds) are left out.
    """

    size_label: str | None = None
    mode: str | None = None
    concurrency: int | None = None
    nodes: int | None = None
    rate_per_minute: float | None = None
    since: float | None = None

    @classmethod
    def like(cls, run: RunRow, since: float | None = None) -> RunSelection:
        """Return a filter for runs with the same size, mode, slots, workers and rate as `run`.

        Runs that were created before `since` (epoch seconds) are left out.
        """
        return cls(run.size_label, run.mode, run.concurrency, run.nodes, run.rate_per_minute, since)

    def has(self, run: RunRow) -> bool:
        """Return True if the run has ended and matches this filter."""
        pairs = (
            (self.size_label, run.size_label),
            (self.mode, run.mode),
            (self.concurrency, run.concurrency),
            (self.nodes, run.nodes),
            (self.rate_per_minute, run.rate_per_minute),
        )
        is_alike = all(expected is None or expected == value for expected, value in pairs)
        return is_alike and run.status not in OPEN and (self.since is None or run.created_at >= self.since)
