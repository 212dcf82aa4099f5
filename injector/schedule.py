"""Schedule of a run: when each video is sent, in seconds after the start of the run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

SECONDS_PER_MINUTE = 60.0
#: a time that is this close counts as reached, because a sum of doubles may be a little too small
ROUNDING_SECONDS = 1e-9


@dataclass(frozen=True)
class Schedule:
    """Send times of the `count` videos of a run.

    - Burst: `rate_per_minute` is None. All videos are sent at once.
    - Fixed rate: `arrivals` is None. One video is sent every 60 / `rate_per_minute` seconds.
    - Other times: `arrivals` has the send times in seconds after the start, ascending. `rate_per_minute` is their mean
      rate.
    """

    count: int
    rate_per_minute: float | None = None
    arrivals: Sequence[float] | None = None

    def intended_seconds(self, sequence: int) -> float:
        """Return the scheduled time of a video, in seconds after the start of the run.

        `sequence` is the number of the video, from 0.
        """
        if self.arrivals is not None:
            return self.arrivals[sequence]
        return 0.0 if self.rate_per_minute is None else sequence * SECONDS_PER_MINUTE / self.rate_per_minute

    @property
    def window_seconds(self) -> float | None:
        """Return the length of the test window in seconds: number of videos × 60 / rate per minute.

        Return None for a burst, whose test window ends with its last video.
        """
        return None if self.rate_per_minute is None else self.count * SECONDS_PER_MINUTE / self.rate_per_minute

    def due(self, sent: int, elapsed_seconds: float) -> int:
        """Return how many videos are due by the schedule and not sent yet.

        `sent` is the number of videos that were sent. `elapsed_seconds` is the time since the start of the run.
        """
        if self.rate_per_minute is None:
            return self.count - sent
        if self.arrivals is not None:
            return bisect_right(self.arrivals, elapsed_seconds + ROUNDING_SECONDS) - sent
        passed = int(elapsed_seconds * self.rate_per_minute / SECONDS_PER_MINUTE + ROUNDING_SECONDS) + 1
        return max(0, min(self.count, passed) - sent)
