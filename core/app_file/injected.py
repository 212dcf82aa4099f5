"""`injected.jsonl`: list of the videos that one run sent to the app under test, one line per video.

Each line holds the key of the video's row in the app's table. `make clean APP=…` deletes only rows and files of the
listed videos.
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

    `row` is the key of the inserted database row, and `status` its status. Both are None if the app has no table.
    `made` is the path or s3:// address of an input file that was created for this video alone, else None.
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
    """Return the text by which `make clean APP=…` finds the runs of the app `app_name`: `# app NAME, `.

    A run writes this text at the beginning of its copy of the app's aforo.toml.
    """
    return f"# app {app_name}, "


def injected(folder: Path) -> list[InjectedVideo]:
    """Return the videos that `injected.jsonl` in the run folder `folder` lists. Ignore an incomplete line."""
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [InjectedVideo(**json.loads(line)) for line in lines if line.endswith("\n")]
