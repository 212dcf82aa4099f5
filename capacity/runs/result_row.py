"""Result row of a run: X and S as the scenario asks for them, and the figures that support them."""

from __future__ import annotations

from dataclasses import dataclass

from capacity.diagnosis.validity import Validity
from capacity.estimators.interval import Interval
from capacity.estimators.tails import Tail
from capacity.runs.conditions import Conditions
from core.run import RunStatus

#: largest relative difference of Prometheus and database; a larger one is printed, not averaged away
AGREEMENT_RATIO = 0.001


@dataclass(frozen=True)
class ResultRow:
    """Figures of one run for the result table and the report. None means unknown.

    X is in videos per minute. S is the mean response time in seconds.
    """

    run_id: str
    status: str
    mode: str
    size_label: str
    concurrency: int
    slots: int
    count: int
    rate_per_minute: float | None
    done: int
    failed: int
    duplicates: int
    #: from the recording rules; the table shows `x` and `s`
    x_per_minute: float | None
    s_seconds: float | None
    #: recomputed from the database
    x_database: float | None
    s_database: float | None
    x_sat_per_minute: float | None
    x_sat_interval: Interval | None
    #: over the done videos: start of the execution that ended the video, to its end
    service_mean_seconds: float | None
    service_cv: float | None
    stability: str | None
    conditions: Conditions = Conditions()
    nodes: int = 1
    #: slots of each worker, ascending; empty for a run that did not record them
    worker_slots: tuple[int, ...] = ()
    created_at: float = 0.0
    #: requested videos of a burst that stopped early and cancelled the rest
    #: (the name is kept for readers of old row.json)
    asked: int | None = None
    #: videos without a final state, and cancelled videos of an interrupted run
    unfinished: int = 0
    #: treatment of the first video of each slot in X_sat
    first_videos: str | None = None
    #: name of the app whose worker was measured; None is our reference worker
    app: str | None = None
    #: records from which X_sat was computed
    x_sat_source: str | None = None
    validity: Validity = Validity()
    #: megabytes (10^6 bytes) of one input video
    video_megabytes: float | None = None
    #: upload to final state, and upload to start; None for a row that did not measure them
    response: Tail | None = None
    queue_wait: Tail | None = None
    #: executions of an app's worker that left its full spool before they were read
    missed_executions: int = 0

    @property
    def x(self) -> float | None:
        """Return X, the throughput in videos per minute, from Prometheus, or else from the database."""
        return self.x_database if self.x_per_minute is None else self.x_per_minute

    @property
    def s(self) -> float | None:
        """Return S, the mean response time in seconds, from Prometheus, or else from the database.

        While some videos are unfinished, S always comes from the database, and is a lower bound of the final S.
        """
        # Prometheus leaves unfinished videos out; the database counts each with its time so far
        return self.s_database if self.s_seconds is None or self.s_is_lower_bound else self.s_seconds

    @property
    def megabytes_per_minute(self) -> float | None:
        """Return how many megabytes of input video the run processed per minute. None means unknown."""
        return None if self.x is None or self.video_megabytes is None else self.x * self.video_megabytes

    @property
    def s_is_lower_bound(self) -> bool:
        """Return True if some videos have not ended, so that S is at least the stated value."""
        return self.unfinished > 0

    @property
    def concurrency_text(self) -> str:
        """Return the slots of one node as text: `2`, or `2+5` for nodes with different slots."""
        different = len(set(self.worker_slots)) > 1
        return "+".join(map(str, self.worker_slots)) if different else str(self.concurrency)

    @property
    def cpu_count(self) -> int | None:
        """Return the number of CPU cores of each machine. None if machines differ or are unknown."""
        return self.conditions.cpu_count if isinstance(self.conditions.cpu_count, int) else None

    @property
    def is_complete(self) -> bool:
        """Return True if the run finished, all its videos are done without duplicates, and its figures agree.

        A duplicate is an execution that did no work. The figures agree unless the property `agrees` is False.
        """
        finished = self.status == RunStatus.FINISHED and self.done == self.count
        return finished and not self.failed and not self.duplicates and self.agrees is not False

    @property
    def agrees(self) -> bool | None:
        """Return True if X and S from Prometheus differ by at most 0.1 % from X and S from the database.

        Return None if a compared figure is unknown. S is not compared while some videos are unfinished.
        """
        pairs = [(self.x_per_minute, self.x_database)]
        if not self.s_is_lower_bound:
            pairs.append((self.s_seconds, self.s_database))
        if any(a is None or b is None for a, b in pairs):
            return None
        return all(_near(a, b) for a, b in pairs if a is not None and b is not None)


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= AGREEMENT_RATIO * abs(b)
