"""A run without heartbeats counts as dead."""

import pytest

from core.models import RunRow


@pytest.mark.parametrize(
    ("rate_per_minute", "silence_seconds", "is_dead"),
    [
        (None, 59, False),
        (None, 61, True),
        (10.0, 61, True),
        (0.5, 119, False),  # one video per two minutes, and no heartbeat between them
        (0.5, 239, False),
        (0.5, 241, True),
    ],
)
def test_a_run_is_dead_after_a_minute_or_two_gaps_of_its_schedule(rate_per_minute, silence_seconds, is_dead):
    run = RunRow(rate_per_minute=rate_per_minute, created_at=0.0, heartbeat_at=1000.0)
    assert run.is_dead(1000.0 + silence_seconds) is is_dead


def test_a_run_without_any_heartbeat_counts_from_its_creation():
    run = RunRow(rate_per_minute=None, created_at=1000.0, heartbeat_at=None)
    assert (run.is_dead(1059.0), run.is_dead(1061.0)) == (False, True)
