"""Archive of a run: the files in `results/runs/<run_id>/`, from which its analysis can be repeated.

`run.json` is the run's database row. `videos.csv` and `executions.csv` are its records. `resources.csv` has the samples
of CPU, disk, network and queue.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from capacity.runs.column_reader import UNKNOWN_WORD, Array, open_rows
from capacity.runs.recorded_run import (
    EXECUTION_COLUMNS,
    VIDEO_COLUMNS,
    VOCABULARIES,
    OtherWork,
    RecordedRun,
    assemble,
)
from capacity.runs.resource_samples import Resources
from core.errors import UsageError
from core.models import ExecutionRow, RunRow, VideoRow

EXECUTIONS_FILE = "executions.csv"
#: the name of the file in old archives
OLD_EXECUTIONS_FILE = "attempts.csv"
#: marker file: the archive may be incomplete or the run may still change, so it is written again
OPEN = "open"
#: columns that are the same for every video of a run, or useless after it
LEFT_OUT = frozenset({"run_id", "source_sha256", "profile", "user_id", "owner", "lease_until"})


def is_archived(folder: Path) -> bool:
    """Return True if the folder has all files of a run's archive, and the run can no longer change.

    Archives of an older version have `attempts.csv` instead of `executions.csv`, and are read too.
    """
    names = ("run.json", "videos.csv", _executions_file(folder).name, "resources.csv")
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
    """Write the archive of a run from what is recorded now. Each file is replaced atomically.

    `is_settled` says that no record of the run can change any more. The archive is then marked as final. `other_work`
    is stored in the archive, because it comes from the rows of other runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / OPEN).touch()
    facts = {column.name: getattr(run, column.name) for column in RunRow.__table__.columns}
    if other_work is not None:
        facts["environment"] = {**run.environment, "other_work": asdict(other_work)}
    _replace(folder / "run.json", [json.dumps(facts, indent=2, ensure_ascii=False) + "\n"])
    videos = {c.name: c for c in VideoRow.__table__.columns if c.name not in LEFT_OUT}
    _write_rows(folder / "videos.csv", session, list(videos), select(*videos.values()).where(VideoRow.run_id == run.id))
    executions = {c.name: c for c in ExecutionRow.__table__.columns if c.name != "run_id"}
    uploaded = select(VideoRow.uploaded_at, *executions.values()).outerjoin(
        VideoRow, VideoRow.id == ExecutionRow.video_id
    )
    names = ["uploaded_at", *executions]
    _write_rows(folder / EXECUTIONS_FILE, session, names, uploaded.where(ExecutionRow.run_id == run.id))
    _write_resources(folder / "resources.csv", resources)
    if is_settled:
        (folder / OPEN).unlink()


def read_archive(folder: Path) -> tuple[RecordedRun, Resources]:
    """Read a run and its resource samples from its archive. Raise UsageError for a bad or missing file."""
    try:
        run = RunRow(**json.loads((folder / "run.json").read_text(encoding="utf-8")))
        videos = _columns(folder / "videos.csv", VIDEO_COLUMNS)
        executions = _columns(_executions_file(folder), EXECUTION_COLUMNS)
        other = run.environment.get("other_work")
        recorded = replace(assemble(run, videos, executions), other_work=OtherWork(**other) if other else None)
        return recorded, read_resource_file(folder / "resources.csv")
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:
        why = getattr(error, "strerror", None) or str(error) or "a file is cut short"
        raise UsageError("run folder", why, "give results/runs/RUN_ID as `report` wrote it", value=folder) from error


def _executions_file(folder: Path) -> Path:
    old = folder / OLD_EXECUTIONS_FILE
    return old if old.exists() and not (folder / EXECUTIONS_FILE).exists() else folder / EXECUTIONS_FILE


def archived_figures(folder: Path) -> tuple[float | None, float | None]:
    """Return Prometheus' X (videos per minute) and S (seconds) from the archive. None means unknown.

    The run's last report stored them in `row.json`.
    """
    try:
        row = json.loads((folder / "row.json").read_text(encoding="utf-8"))
        return row["x_per_minute"], row["s_seconds"]
    except (OSError, ValueError, KeyError, TypeError):
        return None, None


def read_resource_file(path: Path) -> Resources:
    """Read the samples of CPU, disk, network and queue from a `resources.csv`. An empty cell is unknown."""
    rows = _rows(path)
    names = next(rows)
    values = np.array([[_number(cell) for cell in row] for row in rows], dtype=np.float64).reshape(-1, len(names))
    return Resources(values[:, 0], {name: values[:, i] for i, name in enumerate(names) if i})


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


def _replace(path: Path, lines: Iterable[str]) -> None:
    partial = path.with_suffix(".part")
    partial.write_text("".join(lines), encoding="utf-8")
    partial.replace(path)


def _columns(path: Path, columns: Sequence[str]) -> list[Array]:
    rows = _rows(path)
    names = next(rows)
    cells = dict(zip(names, zip(*rows, strict=True), strict=False))
    if "node" in cells:
        # old archives have no worker, and their slots are process ids
        workers = cells.get("worker", cells["node"])
        cells["worker"] = tuple(worker or node for worker, node in zip(workers, cells["node"], strict=True))
    missing = [name for name in columns if name not in {*names, "worker"}]
    if missing:
        raise ValueError(f"{path.name} has no column {', '.join(missing)}")
    return [_as_numbers(name, cells.get(name, ())) for name in columns]


def _as_numbers(name: str, cells: Sequence[Any]) -> Array:
    """Return a column of an archive file in the form of the database query.

    Words become positions in a vocabulary, and names of workers become numbers.
    """
    if name == "worker":
        numbers = {worker: number for number, worker in enumerate(sorted(set(cells)))}
        return np.array([numbers[worker] for worker in cells], dtype=np.float64)
    if name in VOCABULARIES:
        positions = {str(word): position for position, word in enumerate(VOCABULARIES[name])}
        return np.array([positions.get(word, UNKNOWN_WORD) for word in cells], dtype=np.float64)
    return np.array([_number(cell) for cell in cells], dtype=np.float64)


def _number(cell: str) -> float:
    return float(cell) if cell else float("nan")


def _rows(path: Path) -> Iterator[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        yield from csv.reader(file)
