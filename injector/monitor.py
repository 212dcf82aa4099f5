"""Live progress of a run in the terminal, until every video has ended."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from sqlalchemy import func, select, update

from pipeline.database import Sessions
from pipeline.models import RunRow, VideoRow
from pipeline.video import FINAL_STATES

POLL_SECONDS = 1.0


def follow(sessions: Sessions, run_id: str) -> None:
    """Show videos by state once a second; a line every ten percent where there is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task(run_id, total=None)
        while True:
            counts, expected = _counts(sessions, run_id)
            ended = sum(counts.get(state, 0) for state in FINAL_STATES)
            progress.update(bar, total=expected, completed=ended, description=_line(run_id, counts))
            if ended >= expected:
                return
            time.sleep(POLL_SECONDS)


def _counts(sessions: Sessions, run_id: str) -> tuple[dict[str, int], int]:
    by_state = (
        select(VideoRow.state, func.count().label("videos")).where(VideoRow.run_id == run_id).group_by(VideoRow.state)
    )
    with sessions.begin() as session:
        session.execute(update(RunRow).where(RunRow.id == run_id).values(heartbeat_at=time.time()))
        expected = session.scalar(select(RunRow.count).where(RunRow.id == run_id)) or 0
        return {row.state: row.videos for row in session.execute(by_state)}, expected


def _line(run_id: str, counts: dict[str, int]) -> str:
    parts = [f"{counts[state]} {state}" for state in ("uploaded", "processing", "failed") if counts.get(state)]
    return " · ".join([run_id, *parts])
