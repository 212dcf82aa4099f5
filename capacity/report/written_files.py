"""Write the results of a report to the database and to files.

The database receives the verdicts on each run. The files are the archives of the runs, the result table and the HTML
page.
"""

from __future__ import annotations

import math
from pathlib import Path

from sqlalchemy import update
from sqlalchemy.orm import Session

from capacity.analysis.analysed_runs import AnalysedRuns
from capacity.analysis.run_analysis import RunAnalysis
from capacity.report.html_page import render_page
from capacity.report.statements import kept_up
from capacity.report.to_json import row_to_json
from capacity.runs.recorded_run import unfinished_since
from capacity.runs.run_files import is_archived, replace_json, write_archive
from capacity.runs.sessions import reading
from capacity.table.table_text import csv_text, markdown, sources
from core.database import Sessions
from core.language import Language
from core.models import RunRow
from core.results_folder import run_folder
from core.run import FINAL_STATUSES
from core.settings import Settings

#: videos that one call archives besides those of the newest run; a million take a minute
ARCHIVED_VIDEOS = 50_000
#: a run with more videos stays in the database only
LARGEST_ARCHIVED_RUN = 200_000


def write_results(sessions: Sessions, settings: Settings, analysed: AnalysedRuns, lang: Language) -> None:
    """Store verdicts in the database, and write run archives, the result table and the HTML page.

    One call archives only some of the ended runs, the newest first. Later calls archive the others. A run of more than
    200,000 videos is never archived.
    """
    with sessions.begin() as session:
        for run in analysed.runs:
            store_verdicts(session, run)
    with reading(sessions) as session:
        left = ARCHIVED_VIDEOS
        for run in reversed(analysed.runs):
            if run.row.count <= (left if left < ARCHIVED_VIDEOS else LARGEST_ARCHIVED_RUN):
                left -= archive_run(session, settings, run)
    write_pages(settings.results.path, analysed, lang, settings.plan.price_per_hour)


def file_suffix(app: str | None) -> str:
    """Return the suffix for the names of the table and page files: `-APP` for the runs of an app.

    The suffix is empty for runs of our reference worker (`app` is None).
    """
    return "" if app is None else f"-{app}"


def write_pages(folder: Path, analysed: AnalysedRuns, lang: Language, price_per_hour: float | None) -> None:
    """Write the result table and the HTML page of a report into the folder.

    The files are table.md, table.csv and report.html. For an app, each file name contains the app's name.
    `price_per_hour` is the price of one worker. Without a price, the page has no cost per 1,000 videos.
    """
    suffix = file_suffix(analysed.app)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"table{suffix}.md").write_text(
        markdown(analysed.cells, lang) + "\n" + sources(analysed.cells, lang), "utf-8"
    )
    (folder / f"table{suffix}.csv").write_text(csv_text(analysed.cells, lang), "utf-8")
    (folder / f"report{suffix}.html").write_text(render_page(analysed, lang, price_per_hour), "utf-8")


def store_verdicts(session: Session, run: RunAnalysis) -> None:
    """Write the verdicts on a run into its database row, where the database exporter reads them."""
    interval = run.row.x_sat_interval
    values = {
        "capacity_per_minute": run.row.x_sat_per_minute,
        "capacity_low_per_minute": interval.low if interval else None,
        "capacity_high_per_minute": interval.high if interval and math.isfinite(interval.high) else None,
        "stability": run.row.stability,
        "bottleneck": None if kept_up(run) else run.bottleneck.cause.value,
        "validity": run.row.validity.level.value,
        "validity_reasons": list(run.row.validity.reasons),
    }
    session.execute(update(RunRow).where(RunRow.id == run.row.run_id).values(values))


def archive_run(session: Session, settings: Settings, run: RunAnalysis) -> int:
    """Write the archive of a run that has ended. Return the number of archived videos.

    Return 0 if the run has not ended, or if its archive is final. A final archive was written after all videos and
    executions of the run had ended. `row.json` in an existing archive is always replaced.
    """
    folder, written = run_folder(settings.results.path, run.row.run_id), 0
    if run.row.status in FINAL_STATUSES and not is_archived(folder):
        row = session.get_one(RunRow, run.row.run_id)
        other_work = run.recorded.other_work
        write_archive(session, row, run.resources, folder, is_settled=_is_settled(session, run), other_work=other_work)
        written = run.row.count
    if folder.exists():
        replace_json(folder / "row.json", row_to_json(run.row, "en"))
    return written


def _is_settled(session: Session, run: RunAnalysis) -> bool:
    """Return True if no record of the run can change any more.

    Workers may finish the videos of an interrupted run much later.
    """
    counts = run.recorded.video_counts
    return not counts.waiting and not counts.in_flight and unfinished_since(session, run.row.run_id) is None
