"""What their own table says of their videos, as the database exporter reads it (AFORO_EXPORTER_VIDEOS_*)."""

from __future__ import annotations

from dataclasses import dataclass

from core import promql
from core.errors import EnvironmentFault
from core.settings import Settings
from core.video import FINAL_STATES, VideoState


@dataclass(frozen=True)
class OwnVideos:
    """All videos of their table by state, and the sum of the cycle times of those that are done."""

    by_state: dict[str, int]
    cycle_seconds: float

    def since(self, before: OwnVideos) -> OwnVideos:
        """Return what has come since `before`."""
        states = {state.value: self.by_state.get(state, 0) - before.by_state.get(state, 0) for state in VideoState}
        return OwnVideos(states, self.cycle_seconds - before.cycle_seconds)

    @property
    def ended(self) -> int:
        """Return how many are done or failed."""
        return sum(self.by_state.get(state, 0) for state in FINAL_STATES)


def require_own_videos(settings: Settings) -> OwnVideos:
    """Return what the exporter says now; raise EnvironmentFault when it says nothing."""
    now = read_own_videos(settings)
    if now is None:
        raise EnvironmentFault(
            "database exporter",
            "it does not tell of your videos, so when they end is unknown",
            "leave --monitor out, or set AFORO_DATABASE_URL and "
            " AFORO_EXPORTER_VIDEOS_* and run `python -m exporters db`",
            value=f"{settings.exporters.host}:{settings.exporters.db_port}",
        )
    return now


def read_own_videos(settings: Settings) -> OwnVideos | None:
    """Return what the exporter says now; None when it does not answer or cannot read the table."""
    families = promql.scrape(settings.exporters.host, settings.exporters.db_port) or {}
    videos, cycles = families.get("aforo_videos"), families.get("aforo_videos_total_response_seconds")
    if not videos or not cycles:
        return None
    return OwnVideos({sample.labels["state"]: int(sample.value) for sample in videos}, cycles[0].value)
