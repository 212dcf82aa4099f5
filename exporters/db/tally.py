"""Exact sums over videos and executions.

The order in which rows are added does not change a sum (docs/adr/0003). The sums are exact below 2**31 s (68 years),
for times from 2004 to 2038.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from core.video import Outcome, Stage, VideoState


class Video(NamedTuple):
    """One video, as the SQL statements `videos_changed` and `videos_live` return it.

    The fields have the names of the columns. `state` is a state of Aforo, or `other`. Times are in epoch seconds.
    """

    id: str
    run_id: str
    state: str
    reason: str | None
    uploaded_at: float
    started_at: float | None
    updated_at: float
    intended_at: float | None


class Group(NamedTuple):
    """Videos with the same state and failure reason: their number, and sums over them.

    The sums of response time, queue wait and service time are in seconds, or None if no video has the value.
    `in_window` is the number of these videos whose last update is not after the end of the test window. The fields have
    the names of the columns of the SQL statement `videos_of_run`.
    """

    state: str
    reason: str | None
    videos: int
    in_window: int
    response_seconds: float | None
    queue_wait_seconds: float | None
    service_seconds: float | None
    first_upload: float | None
    last_update: float | None
    max_lateness: float | None


@dataclass
class Tally:
    """Counts of videos by state and by failure reason, and sums over the done videos, in seconds.

    The sums are those of response time, queue wait and service time, for one run or several. `window_end` is the end of
    the test window in epoch seconds, or infinite for a burst. `in_window` is the number of videos that became done no
    later than `window_end`.
    """

    window_end: float = math.inf
    states: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    in_window: int = 0
    response_seconds: float = 0.0
    queue_wait_seconds: float = 0.0
    service_seconds: float = 0.0
    first_upload: float | None = None
    last_done: float | None = None
    max_lateness: float | None = None

    @property
    def final(self) -> int:
        """Return the number of videos in this tally that are done or failed."""
        return self.states[VideoState.DONE] + self.states[VideoState.FAILED]

    def add(self, group: Group) -> None:
        """Add the videos of a group to the counts and sums of this tally."""
        self.states[group.state] += group.videos
        self.first_upload = smaller(self.first_upload, group.first_upload)
        self.max_lateness = larger(self.max_lateness, group.max_lateness)
        if group.state == VideoState.DONE:
            self._add_done(group)
        elif group.state == VideoState.FAILED and group.reason:
            self.reasons[group.reason] += group.videos

    def add_video(self, video: Video) -> None:
        """Add one video to the counts and sums of this tally."""
        self.add(group_of(video, self.window_end))

    def move(self, old: str, new: str) -> None:
        """Count one open video under the state `new` instead of `old`.

        The sums do not change, because they include only done videos.
        """
        self.states[old] -= 1
        self.states[new] += 1

    def absorb(self, other: Tally) -> None:
        """Add the counts and sums of another tally to this tally.

        `first_upload` becomes the earlier, and `last_done` the later time of the two tallies. The field `max_lateness`
        does not change.
        """
        # Counter.update takes five times longer, and a scrape does this 200 times
        for state, count in other.states.items():
            self.states[state] += count
        for reason, count in other.reasons.items():
            self.reasons[reason] += count
        self.in_window += other.in_window
        self.response_seconds += other.response_seconds
        self.queue_wait_seconds += other.queue_wait_seconds
        self.service_seconds += other.service_seconds
        self.first_upload = smaller(self.first_upload, other.first_upload)
        self.last_done = larger(self.last_done, other.last_done)

    def _add_done(self, group: Group) -> None:
        self.in_window += group.in_window
        self.response_seconds += group.response_seconds or 0.0
        self.queue_wait_seconds += group.queue_wait_seconds or 0.0
        self.service_seconds += group.service_seconds or 0.0
        self.last_done = larger(self.last_done, group.last_update)


class Execution(NamedTuple):
    """One ended execution, as the database returns it.

    `sums` has the seconds of each stage in the order of `core.video.Stage`, then the CPU seconds of ffmpeg. A value is
    None if it was not recorded.
    """

    id: int
    run_id: str
    outcome: str
    ended_at: float
    sums: tuple[float | None, ...]


@dataclass
class ExecutionTally:
    """Number of executions of one run by outcome, and sums over the executions with outcome done.

    `lost` counts the executions whose process died at an unknown time. `outcomes` counts the others. `sums` has the
    seconds of each stage in the order of `core.video.Stage`, then the CPU seconds of ffmpeg. A sum is None if no
    execution recorded the value.
    """

    outcomes: Counter[str] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    sums: list[float | None] = field(default_factory=lambda: [None] * (len(Stage) + 1))

    def add(self, outcome: str, executions: int, sums: tuple[float | None, ...]) -> None:
        """Add `executions` ended executions with the same outcome to this tally.

        `sums` has their total seconds in each stage, then their total CPU seconds of ffmpeg. `sums` is ignored unless
        the outcome is done.
        """
        self.outcomes[outcome] += executions
        if outcome == Outcome.DONE:
            self.sums = [total(before, more) for before, more in zip(self.sums, sums, strict=True)]


def group_of(video: Video, window_end: float) -> Group:
    """Return the Group that holds only this video.

    `window_end` is the end of the run's test window in epoch seconds. The Group's field `in_window` is 1 if the last
    update of the video is not after `window_end`, and 0 otherwise.
    """
    up, start, end = video.uploaded_at, video.started_at, video.updated_at
    wait, service = (None, None) if start is None else (start - up, end - start)
    lateness = None if video.intended_at is None else up - video.intended_at
    inside = int(end <= window_end)
    return Group(video.state, video.reason, 1, inside, end - up, wait, service, up, end, lateness)


def smaller(one: float | None, other: float | None) -> float | None:
    """Return the smaller of two numbers. If one of them is None (unknown), return the other one.

    The result is None if both are None.
    """
    return other if one is None else one if other is None else min(one, other)


def larger(one: float | None, other: float | None) -> float | None:
    """Return the larger of two numbers. If one of them is None (unknown), return the other one.

    The result is None if both are None.
    """
    return other if one is None else one if other is None else max(one, other)


def total(one: float | None, other: float | None) -> float | None:
    """Return the sum of two numbers. If one of them is None (unknown), return the other one.

    The result is None if both are None.
    """
    return other if one is None else one if other is None else one + other
