"""List of what a run made in the app's systems: `injected.jsonl` in the run's folder, one line per video.

A line is written before the video's message is sent, so that the list is complete after a crash. The end of a video is
read by the key in it, and `clean` deletes only what it lists.
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
    """One video of a run.

    `row` is the key of the inserted row, None without a table. `made` is a file or an s3:// address that was created
    for this video alone.
    """

    video_id: str
    task_id: str
    row: Any = None
    status: Any = None
    made: str | None = None


def append(folder: Path, videos: Iterable[InjectedVideo]) -> None:
    """Add videos to the list of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(asdict(video), ensure_ascii=False) + "\n" for video in videos]
    with (folder / FILE).open("a", encoding="utf-8") as file:
        file.writelines(lines)


def header(app_name: str) -> str:
    """Return how the copy of aforo.toml in a run's folder begins, which tells the app that the list is about."""
    return f"# app {app_name}, "


def injected(folder: Path) -> list[InjectedVideo]:
    """Return the videos of the run with this folder. A last line that is being written is left out."""
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [InjectedVideo(**json.loads(line)) for line in lines if line.endswith("\n")]
