"""Counts of a foreign app's videos by state, read from the database exporter.

The settings AFORO_EXPORTER_VIDEOS_* describe the app's table to that exporter.
"""

from __future__ import annotations

from dataclasses import dataclass

from core import promql
from core.errors import EnvironmentFault
from core.settings import Settings
from core.video import FINAL_STATES, VideoState


@dataclass(frozen=True)
class OwnVideos:
    """Counts of all videos in the foreign table by state, and the total response time of the done videos."""

    by_state: dict[str, int]
    response_seconds: float

    def since(self, before: OwnVideos) -> OwnVideos:
        """Return the values of the videos since `before`: the present values minus the earlier ones."""
        states = {state.value: self.by_state.get(state, 0) - before.by_state.get(state, 0) for state in VideoState}
        return OwnVideos(states, self.response_seconds - before.response_seconds)

    @property
    def ended(self) -> int:
        """Return the number of videos that are done or failed."""
        return sum(self.by_state.get(state, 0) for state in FINAL_STATES)


def require_own_videos(settings: Settings) -> OwnVideos:
    """Return the present values of the database exporter. Raise EnvironmentFault if it has none."""
    now = read_own_videos(settings)
    if now is None:
        raise EnvironmentFault(
            "database exporter",
            "it has no metrics of your videos, so their end cannot be observed",
            "leave --monitor out, or run `python -m exporters db` with AFORO_DATABASE_URL and AFORO_EXPORTER_VIDEOS_*",
            value=f"{settings.exporters.host}:{settings.exporters.db_port}",
        )
    return now


def read_own_videos(settings: Settings) -> OwnVideos | None:
    """Return the present values of the database exporter.

    Return None if the exporter does not answer or cannot read the table.
    """
    families = promql.scrape(settings.exporters.host, settings.exporters.db_port) or {}
    videos, responses = families.get("aforo_videos"), families.get("aforo_videos_total_response_seconds")
    if not videos or not responses:
        return None
    return OwnVideos({sample.labels["state"]: int(sample.value) for sample in videos}, responses[0].value)
