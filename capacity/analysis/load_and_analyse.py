"""Load runs from the database, Prometheus or an archive, and analyse those that a report shows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import numpy as np
from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from capacity.analysis.analysed_runs import AnalysedRuns
from capacity.analysis.baseline_costs import VideoCost, comparable_costs, usual_calibration_seconds, video_cost
from capacity.analysis.measured_run import UNKNOWN_FIGURES, MeasuredRun, ScenarioFigures, measure
from capacity.analysis.recording_rules import FiguresByRun, read_figures
from capacity.analysis.run_analysis import RunAnalysis, analyse
from capacity.analysis.run_windows import run_window
from capacity.runs.archive_reader import archived_figures, read_archive, read_resource_file
from capacity.runs.recorded_run import RecordedRun, find_run, load_run
from capacity.runs.resource_samples import Resources, read_resources
from capacity.runs.result_row import ResultRow
from capacity.runs.run_files import is_archived
from capacity.runs.sessions import open_store, reading
from capacity.table.cells import fill
from core import promql
from core.errors import EnvironmentFault, UsageError
from core.models import RunRow
from core.results_folder import run_folder
from core.run import WARM_UP, app_name, queue_of_run
from core.settings import Settings

#: most runs that one report analyses: five of each of 16 cells and some more
ANALYSED_RUNS = 96
#: most runs that the page draws, at some 50 kB each
DRAWN_RUNS = 24
#: most videos in memory, without those of the requested run
HELD_VIDEOS = 1_000_000


def load_rows(settings: Settings, run_ids: Sequence[str] | None = None) -> list[ResultRow]:
    """Load runs from the database, and return one ResultRow (figures and their validity) per run.

    The rows are in the order of `run_ids`. None loads all runs that the function `runs_of` returns, oldest first. X and
    S of the recording rules are read from Prometheus, and stay unknown if Prometheus does not answer. Raise UsageError
    for an unknown id.
    """
    figures = read_figures(settings.prometheus.url)
    with reading(open_store(settings)) as session:
        if run_ids is None:
            runs = runs_of(session, settings)
        else:
            runs = [find_run(session, run_id.strip()) for run_id in run_ids]
        return [measure(load_run(session, run), figures.get(run.id, UNKNOWN_FIGURES)).row for run in runs]


def analyse_runs(session: Session, settings: Settings, run_ids: Sequence[str]) -> list[RunAnalysis]:
    """Analyse each of these runs, and return the analyses in the order of `run_ids`.

    The bottleneck of a run is found without other runs. Only its CPU calibration is compared with that of all runs on
    the same machine. Raise UsageError for an unknown id.
    """
    loader = _Loader(session, settings, read_figures(settings.prometheus.url))
    runs = list(session.scalars(select(RunRow)))
    return [loader.analyse(find_run(session, run_id), [], runs) for run_id in run_ids]


def runs_of(session: Session, settings: Settings, run_id: str | None = None) -> list[RunRow]:
    """Return the database rows of all runs of one app or of our reference worker, oldest first.

    The app is that of the run `run_id`. Without `run_id`, the app is that of the settings. Warm-up runs other than
    `run_id` are left out. Raise UsageError if `run_id` is unknown.
    """
    app = settings.app.name if settings.app else None
    if run_id is not None:
        app = app_name(find_run(session, run_id).environment)
    selected = select(RunRow).where(or_(RunRow.note != WARM_UP, RunRow.id == run_id))
    every = session.scalars(selected.order_by(RunRow.created_at, RunRow.id))
    return [run for run in every if app_name(run.environment) == app]


def load_and_analyse(session: Session, settings: Settings, run_id: str | None = None) -> AnalysedRuns:
    """Load all runs of one app or of our reference worker, and analyse some of them for a report.

    At most ANALYSED_RUNS are analysed: first the run `run_id`, then the runs whose figures are in the result table,
    then the newest other runs. A run without an ended video is not analysed, and neither is a run that would bring the
    analysed videos above HELD_VIDEOS. The run `run_id` is analysed in any case. The function `runs_of` selects the
    loaded runs.
    """
    runs = {run.id: run for run in runs_of(session, settings, run_id)}
    loader = _Loader(session, settings, read_figures(settings.prometheus.url))
    rows, costs = [], []
    for run in runs.values():
        measured = loader.load(run)
        rows.append(measured.row)
        costs.append((measured.row, video_cost(measured)))
    chosen = _choose(rows, run_id)
    analysed = (loader.analyse(runs[row.run_id], costs, runs.values()) for row in rows if row.run_id in chosen)
    return AnalysedRuns(tuple(rows), tuple(analysed), frozenset(chosen[:DRAWN_RUNS]))


def analyse_archives(folder: Path) -> AnalysedRuns:
    """Analyse all runs whose archives are in `folder`, and compare them with each other.

    X and S of the recording rules come from each `row.json`. Raise UsageError if there is no archive in the folder, or
    if a file is damaged.
    """
    folders = sorted(file.parent for file in folder.glob("*/run.json"))
    if not folders:
        raise UsageError("folder", "it has no archived run", "give the folder results/runs", value=str(folder))
    archives = [(read_archive(each), ScenarioFigures(*archived_figures(each))) for each in folders]
    archives.sort(key=lambda archive: archive[0][0].run.created_at)
    measured = [(measure(recorded, figures), resources) for (recorded, resources), figures in archives]
    rows, runs = [run.row for run, _ in measured], [run.recorded.run for run, _ in measured]
    costs = [(run.row, video_cost(run)) for run, _ in measured]
    analysed = (
        analyse(each, resources, comparable_costs(each.row, costs), usual_calibration_seconds(each.recorded.run, runs))
        for each, resources in measured
    )
    return AnalysedRuns(tuple(rows), tuple(analysed), frozenset(row.run_id for row in rows[-DRAWN_RUNS:]))


def analyse_archive(folder: Path) -> RunAnalysis:
    """Analyse a run from the files in its archive folder, without comparing it with other runs.

    X and S of the recording rules stay unknown. X and S are computed from the archived records instead.
    """
    recorded, resources = read_archive(folder)
    return analyse(measure(recorded), resources)


def load_resources(recorded: RecordedRun, settings: Settings) -> Resources:
    """Load the CPU, disk, network and queue samples that were taken during the run.

    The samples come from the run's archive if it is final, else from Prometheus, else from an unfinished archive.
    Without any source, the result has no samples.
    """
    folder = run_folder(settings.results.path, recorded.run.id)
    file = folder / "resources.csv"
    if is_archived(folder):
        return read_resource_file(file)
    queried = _query_resources(recorded, settings.prometheus.url)
    return queried if queried.samples or not file.exists() else read_resource_file(file)


@dataclass
class _Loader:
    """Loader of measured runs. It caches the newest loaded runs in memory."""

    session: Session
    settings: Settings
    figures: FiguresByRun
    held: dict[str, MeasuredRun] = field(default_factory=dict)

    def load(self, run: RunRow) -> MeasuredRun:
        if run.id not in self.held:
            self.held[run.id] = measure(load_run(self.session, run), self._figures(run.id))
            self._release(newest=run.id)
        return self.held[run.id]

    def analyse(self, run: RunRow, costs: Iterable[tuple[ResultRow, VideoCost]], runs: Iterable[RunRow]) -> RunAnalysis:
        measured = self.load(run)
        resources = load_resources(measured.recorded, self.settings)
        usual_seconds = usual_calibration_seconds(run, runs)
        return analyse(measured, resources, comparable_costs(measured.row, costs), usual_seconds)

    def _figures(self, run_id: str) -> ScenarioFigures:
        """Return X and S of the recording rules.

        When Prometheus no longer has the values, return those of the last report.
        """
        if run_id in self.figures:
            return self.figures[run_id]
        return ScenarioFigures(*archived_figures(run_folder(self.settings.results.path, run_id)))

    def _release(self, newest: str) -> None:
        while self._held_videos() > HELD_VIDEOS and len(self.held) > 1:
            self.held.pop(next(run_id for run_id in self.held if run_id != newest))

    def _held_videos(self) -> int:
        return sum(measured.recorded.video_counts.injected for measured in self.held.values())


def _query_resources(recorded: RecordedRun, prometheus_url: str) -> Resources:
    """Return Prometheus' samples of the run's time window.

    Return no samples when Prometheus does not answer.
    """
    try:
        queue = queue_of_run(recorded.run.environment)
        return read_resources(lambda *window: promql.query_range(prometheus_url, *window), *run_window(recorded), queue)
    except EnvironmentFault:
        return Resources(np.empty(0))


def _choose(rows: Sequence[ResultRow], run_id: str | None) -> list[str]:
    """Choose the runs to analyse, among runs that have a video.

    The requested run comes first, then the runs behind the table, then the newest runs. Among the newest runs, the
    newest run of each cell comes first. A cell without an analysed run would be missing from every verdict.
    """
    behind = [row for turn in zip_longest(*(reversed(cell.sources) for cell in fill(rows))) for row in turn if row]
    chosen, videos = [run_id] if run_id else [], 0
    for row in {row.run_id: row for row in (*behind, *reversed(rows))}.values():
        has_video = row.count and (row.done or row.failed or row.service_mean_seconds)
        if row.run_id != run_id and has_video and videos + row.count <= HELD_VIDEOS:
            chosen.append(row.run_id)
            videos += row.count
    return chosen[:ANALYSED_RUNS]
