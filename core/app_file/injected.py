"""Lists of what one run made in the systems of the app under test. `make clean APP=…` removes nothing else.

`injected.jsonl` has one line per video that was sent, with the key of its row in the app's table. `inputs.txt` has the
path or s3:// address of each input file, one per line.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.app_file.sections import AppFile

FILE = "injected.jsonl"
INPUTS_FILE = "inputs.txt"


@dataclass(frozen=True)
class InjectedVideo:
    """One video that a run sent to the app under test.

    `row` is the key of the inserted database row, and `status` the status with which it was inserted. Both are None if
    the app has no table.
    `made` is the path or s3:// address of an input file that was created for this video alone, else None.
    """

    video_id: str
    task_id: str
    row: Any = None
    status: Any = None
    made: str | None = None


def start_list(folder: Path, app: AppFile, inputs: Iterable[str]) -> None:
    """Write the list of the input files that a run will make, `inputs.txt`, into its run folder `folder`.

    `inputs` has the paths or s3:// addresses of these files. A copy of the app's aforo.toml without passwords is
    written into the same folder, which is created if it does not exist.
    """
    folder.mkdir(parents=True, exist_ok=True)
    first_line = f"{header(app.name)}sha256 of the original: {app.sha256}\n"
    (folder / app.path.name).write_text(first_line + app.redacted, encoding="utf-8")
    (folder / INPUTS_FILE).write_text("".join(f"{address}\n" for address in inputs), encoding="utf-8")


def listed_inputs(folder: Path) -> list[str]:
    """Return the paths or s3:// addresses that `inputs.txt` in the run folder `folder` lists.

    Return an empty list if there is no such file.
    """
    file = folder / INPUTS_FILE
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


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
    """Return the videos that `injected.jsonl` in the run folder `folder` lists.

    Ignore an incomplete line. Return an empty list if there is no such file.
    """
    try:
        lines = (folder / FILE).read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [InjectedVideo(**json.loads(line)) for line in lines if line.endswith("\n")]
