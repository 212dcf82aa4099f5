"""A store of runs, videos and executions at times that the test chooses."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, delete, insert, update

from core.models import ExecutionRow, RunRow, VideoRow

RUN = {
    "status": "running",
    "mode": "burst",
    "size_label": "50MB",
    "size_bytes": 50_000_000,
    "concurrency": 2,
    "nodes": 1,
    "slots": 2,
    "profile": "full",
    "source": "generated",
    "source_sha256": "",
    "note": "",
    "environment": {},
}
VIDEO = {
    "sequence": 0,
    "task_id": "",
    "source_key": "uploads/a",
    "source_bytes": 1,
    "source_sha256": "",
    "profile": "full",
    "execution_number": 0,
}


class Store:
    """A database, and methods that write what injector and worker would write."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @property
    def url(self) -> str:
        return self.engine.url.render_as_string(hide_password=False)

    def run(self, run_id: str, at: float, count: int, **values: Any) -> None:
        self._write(
            insert(RunRow).values(RUN | {"id": run_id, "count": count, "created_at": at, "started_at": at} | values)
        )

    def change_run(self, run_id: str, **values: Any) -> None:
        self._write(update(RunRow).where(RunRow.id == run_id).values(values))

    def upload(self, video_id: str, run_id: str, at: float, **values: Any) -> None:
        times = {"uploaded_at": at, "updated_at": at, "state": "uploaded"}
        self._write(insert(VideoRow).values(VIDEO | {"id": video_id, "run_id": run_id} | times | values))

    def claim(self, video_id: str, at: float) -> None:
        """Claim a video as the worker does: set state and start, but not updated_at."""
        self._change(video_id, state="processing", started_at=at)

    def return_to_queue(self, video_id: str) -> None:
        self._change(video_id, state="uploaded")

    def finish(self, video_id: str, at: float, state: str = "done", reason: str | None = None) -> None:
        self._change(video_id, state=state, updated_at=at, reason=reason)

    def execution(self, video_id: str, run_id: str, outcome: str | None, ended_at: float | None, **values: Any) -> None:
        row = {"run_id": run_id, "video_id": video_id, "execution_number": 1, "node": "n", "slot": 1, "started_at": 0.0}
        self._write(insert(ExecutionRow).values(row | {"outcome": outcome, "ended_at": ended_at} | values))

    def delete_run(self, run_id: str) -> None:
        self._write(delete(ExecutionRow).where(ExecutionRow.run_id == run_id))
        self._write(delete(VideoRow).where(VideoRow.run_id == run_id))
        self._write(delete(RunRow).where(RunRow.id == run_id))

    def delete_video(self, video_id: str) -> None:
        self._write(delete(ExecutionRow).where(ExecutionRow.video_id == video_id))
        self._write(delete(VideoRow).where(VideoRow.id == video_id))

    def _change(self, video_id: str, **values: Any) -> None:
        self._write(update(VideoRow).where(VideoRow.id == video_id).values(values))

    def _write(self, statement: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(statement)
