"""Make database rows of a small run, for tests and benchmarks. A caller can change each column."""

from __future__ import annotations

from typing import Any

from core.models import RunRow, VideoRow

RUN = dict(
    id="r", status="running", mode="burst", size_label="5MB", size_bytes=5, count=1, concurrency=1, nodes=1, slots=1,
    profile="full", source="", source_sha256="", created_at=0.0,
)  # fmt: skip
VIDEO = dict(
    id="v", run_id="r", sequence=0, task_id="t", state="uploaded", source_key="k", source_bytes=5, source_sha256="",
    profile="full", uploaded_at=1.0, updated_at=1.0,
)  # fmt: skip


def run_row(**changes: Any) -> RunRow:
    """Return the row of a running burst with one video and one slot.

    `changes` sets other values for columns: `run_row(slots=4)` has four slots.
    """
    return RunRow(**RUN | changes)


def video_row(**changes: Any) -> VideoRow:
    """Return the row of an uploaded video of the run with id `r`.

    `changes` sets other values for columns: `video_row(id="w")` has the id `w`.
    """
    return VideoRow(**VIDEO | changes)
