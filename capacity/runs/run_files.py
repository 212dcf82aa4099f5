"""Archive of a run: the files in `results/runs/<run_id>/`, from which its analysis can be repeated.

`run.json` is the run's database row. `videos.csv` and `executions.csv` are its records. `resources.csv` has the samples
of CPU, disk, network and queue.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from capacity.runs.column_reader import open_rows
from capacity.runs.recorded_run import OtherWork
from capacity.runs.resource_samples import Resources
from core.models import ExecutionRow, RunRow, VideoRow
from core.size_mix import is_mix

EXECUTIONS_FILE = "executions.csv"
#: the name of the file in old archives
OLD_EXECUTIONS_FILE = "attempts.csv"
#: marker file: the archive may be incomplete or the run may still change, so it is written again
OPEN = "open"
#: columns that are the same for every video of a run, or useless after it
LEFT_OUT = frozenset({"run_id", "source_sha256", "profile", "user_id", "owner", "lease_until"})


def is_archived(folder: Path) -> bool:
    """Return True if the folder has all files of a run's archive, and the run can no longer change.

    In an archive that an older version wrote, `attempts.csv` takes the place of `executions.csv`.
    """
    names = ("run.json", "videos.csv", executions_file(folder).name, "resources.csv")
    return all((folder / name).exists() for name in names) and not (folder / OPEN).exists()


def write_archive(
    session: Session,
    run: RunRow,
    resources: Resources,
    folder: Path,
    *,
    is_settled: bool = True,
    other_work: OtherWork | None = None,
) -> None:
    """Write the archive of a run to `folder`: its database rows and its resource samples.

    Set `is_settled` to False if the rows can still change. The archive is then marked as not final. `other_work` counts
    executions on the run's nodes that belong to none of its videos.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / OPEN).touch()
    facts = {column.name: getattr(run, column.name) for column in RunRow.__table__.columns}
    if other_work is not None:
        facts["environment"] = {**run.environment, "other_work": asdict(other_work)}
    replace_json(folder / "run.json", facts)
    videos = {c.name: c for c in VideoRow.__table__.columns if c.name not in LEFT_OUT}
    _write_rows(folder / "videos.csv", session, list(videos), select(*videos.values()).where(VideoRow.run_id == run.id))
    executions = {c.name: c for c in ExecutionRow.__table__.columns if c.name != "run_id"}
    of_video: dict[str, Any] = {"uploaded_at": VideoRow.uploaded_at}
    if is_mix(run.size_label):
        of_video["source_bytes"] = VideoRow.source_bytes
    joined = select(*of_video.values(), *executions.values()).outerjoin(VideoRow, VideoRow.id == ExecutionRow.video_id)
    names = [*of_video, *executions]
    _write_rows(folder / EXECUTIONS_FILE, session, names, joined.where(ExecutionRow.run_id == run.id))
    _write_resources(folder / "resources.csv", resources)
    if is_settled:
        (folder / OPEN).unlink()


def executions_file(folder: Path) -> Path:
    """Return the path of the file in `folder` that holds the executions of an archived run.

    Its name is `executions.csv`, or `attempts.csv` in an archive that an older version wrote.
    """
    old = folder / OLD_EXECUTIONS_FILE
    return old if old.exists() and not (folder / EXECUTIONS_FILE).exists() else folder / EXECUTIONS_FILE


def _write_rows(path: Path, session: Session, names: Sequence[str], statement: Select[Any]) -> None:
    with open_rows(session, statement) as rows:
        _write_table(path, names, rows)


def _write_resources(path: Path, resources: Resources) -> None:
    columns = [resources.times, *resources.samples.values()]
    rows = (["" if np.isnan(value) else value for value in row] for row in zip(*columns, strict=True))
    _write_table(path, ["time", *resources.samples], rows)


def _write_table(path: Path, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    partial = path.with_suffix(".part")
    with partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows(rows)
    partial.replace(path)


def replace_json(path: Path, content: object) -> None:
    """Replace a JSON file atomically.

    If the disk is full or the process is killed, the old file stays intact.
    """
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.replace(path)
