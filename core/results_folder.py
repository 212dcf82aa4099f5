"""Find and write the files in the results folder: one folder per run, and the log files of task ids."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path


def run_folder(results: Path, run_id: str) -> Path:
    """Return the folder that holds the files of the run `run_id`."""
    return results / "runs" / run_id


def archived_runs(results: Path) -> list[Path]:
    """Return the folders of all archived runs, sorted by run id. A generated run id begins with the time.

    A run is archived as soon as its folder has a `run.json`.
    """
    return sorted(file.parent for file in (results / "runs").glob("*/run.json"))


def write_run_file(results: Path, run_id: str, facts: Mapping[str, object]) -> Path:
    """Write the facts of a run to `results/runs/<run_id>/run.json`. Return the folder of the run.

    The folder is created if it does not exist. An earlier `run.json` is overwritten.
    """
    folder = run_folder(results, run_id)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return folder


def new_tasks_log(results: Path) -> Path:
    """Return the path for a new log of the task ids that a run sends.

    The scenario prescribes the file name, which has the current time (UTC). The folder `results` is created if it does
    not exist. The log file is not created.
    """
    results.mkdir(parents=True, exist_ok=True)
    return results / f"worker_tasks_{datetime.now(UTC):%Y%m%d_%H%M%S}.log"
