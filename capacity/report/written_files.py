"""What an analysis leaves behind: verdicts in the run's row, files under results/, the table and the report."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import update
from sqlalchemy.orm import Session

from capacity.analysis.analysed_runs import AnalysedRuns
from capacity.analysis.result_rows import reading
from capacity.analysis.run_analysis import RunAnalysis
from capacity.report.page import render_page
from capacity.report.statements import kept_up
from capacity.report.to_json import to_json
from capacity.runs.archive import is_archived, run_folder, write_archive
from capacity.runs.recorded_run import unfinished_since
from capacity.table.table_text import csv_text, markdown, sources
from core.database import Sessions
from core.language import Language
from core.models import RunRow
from core.run import FINAL_STATUSES
from core.settings import Settings


@dataclass(frozen=True)
class Published:
    """Where things were written."""

    report: Path
    table: Path


#: videos whose files one call writes beside those of the run that was asked for: a million take a minute
KEPT_VIDEOS = 50_000
#: a run of more stays in the database alone
LARGEST_KEPT_RUN = 200_000


def publish(sessions: Sessions, settings: Settings, analysed: AnalysedRuns, lang: Language) -> Published:
    """Store every verdict, keep the files of finished runs, and write table and report anew."""
    with sessions.begin() as session:
        for run in analysed.runs:
            store_verdicts(session, run)
    with reading(sessions) as session:
        left = KEPT_VIDEOS
        for run in reversed(analysed.runs):
            if run.row.count <= (left if left < KEPT_VIDEOS else LARGEST_KEPT_RUN):
                left -= keep_run(session, settings, run)
    return write_pages(settings.results.path, analysed, lang)


def write_pages(folder: Path, analysed: AnalysedRuns, lang: Language) -> Published:
    """Write table and report."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "table.md").write_text(markdown(analysed.cells, lang) + "\n" + sources(analysed.cells, lang), "utf-8")
    (folder / "table.csv").write_text(csv_text(analysed.cells), "utf-8")
    (folder / "report.html").write_text(render_page(analysed, lang), "utf-8")
    return Published(folder / "report.html", folder / "table.md")


def store_verdicts(session: Session, run: RunAnalysis) -> None:
    """Write what the analysis says of a run into its row, from which the database exporter publishes it."""
    interval = run.row.x_sat_interval
    values = {
        "capacity_per_minute": run.row.x_sat_per_minute,
        "capacity_low_per_minute": interval.low if interval else None,
        "capacity_high_per_minute": interval.high if interval and math.isfinite(interval.high) else None,
        "stability": run.row.stability,
        "bottleneck": None if kept_up(run) else run.bottleneck.cause.value,
    }
    session.execute(update(RunRow).where(RunRow.id == run.row.run_id).values(values))


def keep_run(session: Session, settings: Settings, run: RunAnalysis) -> int:
    """Write the files of a run that is over, again while videos of it are open; return the videos written."""
    folder, written = run_folder(settings.results.path, run.row.run_id), 0
    if run.row.status in FINAL_STATUSES and not is_archived(folder):
        row = session.get_one(RunRow, run.row.run_id)
        write_archive(session, row, run.resources, folder, is_settled=_is_settled(session, run))
        written = run.row.count
    if folder.exists():
        (folder / "row.json").write_text(json.dumps(to_json(run.row, "en"), indent=2) + "\n", "utf-8")
    return written


def _is_settled(session: Session, run: RunAnalysis) -> bool:
    """Say whether nothing of the run can change: an interrupted run's videos may be worked on long after."""
    census = run.recorded.video_counts
    return not census.waiting and not census.in_flight and unfinished_since(session, run.row.run_id) is None
