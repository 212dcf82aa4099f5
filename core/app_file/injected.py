"""`injected.jsonl`: what one run created in the systems of the app under test, one line per video.

A line is written before the video's message is sent, so the list is complete even after a crash. The state of a video
is read by the row key in its line. `clean` deletes only what the list contains.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

FILE = "injected.jsonl"


@dataclass(frozen=True)
class InjectedVideo:
    """One video that a run sent to the app under test.

    `row` is the key of the inserted row, or None without a table. `status` is the status in that row. `made` is a file
    or an s3:// address that was created for this video alone.
    """

    video_id: str
    task_id: str
    row: Any = None
    status: Any = None
    made: str | None = None


def append(folder: Path, videos: Iterable[InjectedVideo]) -> None:
    """Add videos to the `injected.jsonl` in the run folder `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(asdict(video), ensure_ascii=False) + "\n" for video in videos]
    with (folder / FILE).open("a", encoding="utf-8") as file:
        file.writelines(lines)


def header(app_name: str) -> str:
    """Return the first characters of the copy of aforo.toml that a run keeps in its folder.

    They name the app. `clean` recognises the runs of an app by them.
    """
    return f"# app {app_name}, "


def injected(folder: Path) -> list[InjectedVideo]:
    """Return the videos that the run with this folder has sent. Ignore a last line still being written."""
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [InjectedVideo(**json.loads(line)) for line in lines if line.endswith("\n")]
