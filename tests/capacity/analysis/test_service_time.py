"""Service time of a run: one definition in the report, its JSON, the document and on the boards."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from sqlalchemy import select

from capacity.__main__ import main
from capacity.analysis.baseline_costs import video_cost
from capacity.analysis.measured_run import measure
from capacity.analysis.run_analysis import analyse
from capacity.report.statements import facts
from capacity.runs.recorded_run import load_run
from capacity.runs.resource_samples import Resources
from capacity.runs.sessions import reading
from core.database import open_engine
from core.models import ExecutionRow, RunRow, VideoRow
from core.video import Outcome, Reason, VideoState
from tests.capacity.store import add_run, run_row
from tests.exporters.sources import Exporter
from tests.exporters.store import Store

STARTS = np.repeat(4.2 * np.arange(6), 2)


@pytest.fixture
def run(sessions):
    """Record twelve videos of 4 s on two slots, of which the last one failed after 0.1 s. Two have a first try of 9 s.

    The tries were superseded and retried. A retry starts the video again.
    """
    with sessions.begin() as session:
        add_run(session, run_row(count=12), STARTS, STARTS + 4, slot=[0, 1] * 6)
        for k, outcome in enumerate((Outcome.SUPERSEDED, Outcome.RETRIED)):
            session.add(ExecutionRow(run_id="r1", video_id=f"r1-v{k}", execution_number=2, node="mesa", slot=k,
                                     started_at=1100.0, ended_at=1109.0, outcome=outcome, fetch_seconds=8.0,
                                     ffmpeg_cpu_seconds=8.0))  # fmt: skip
        video = session.get_one(VideoRow, "r1-v11")
        video.state, video.reason, video.updated_at = VideoState.FAILED, Reason.NOT_MEDIA, video.started_at + 0.1
        failed = session.scalars(select(ExecutionRow).where(ExecutionRow.video_id == "r1-v11")).one()
        failed.outcome, failed.ended_at = Outcome.FAILED, failed.started_at + 0.1
        failed.fetch_seconds, failed.ffmpeg_cpu_seconds = 8.0, 8.0
    return sessions


def analysed(sessions):
    with reading(sessions) as session:
        return analyse(measure(load_run(session, session.get_one(RunRow, "r1"))), Resources(np.empty(0)))


def test_failed_and_repeated_executions_are_not_in_the_mean(run):
    analysis = analysed(run)
    assert (analysis.service.count, analysis.row.service_mean_seconds) == (11, pytest.approx(4.0))
    assert analysis.row.service_cv == pytest.approx(0.0, abs=1e-9)
    shown = {name.en: value for name, value in facts(analysis, "en")}
    assert shown["service"].startswith("mean 4.00 s")


def test_queue_wait_and_service_add_up_to_s(run):
    analysis = analysed(run)
    assert analysis.parts.wait_seconds + analysis.row.service_mean_seconds == pytest.approx(analysis.row.s)


def test_the_report_and_the_boards_have_the_same_mean(run, tmp_path):
    samples = Exporter(Store(open_engine(f"sqlite:///{tmp_path}/store.db"))).samples()
    on_boards = (
        samples['aforo_run_total_service_seconds{run_id="r1"}'] / samples['aforo_run_videos{run_id="r1",state="done"}']
    )
    assert analysed(run).row.service_mean_seconds == pytest.approx(on_boards, rel=1e-12)


def test_the_costs_of_a_video_are_those_of_the_executions_that_ended_one(run):
    cost = video_cost(analysed(run))
    assert cost.stage_seconds["download"] == pytest.approx(0.05 * 4)
    assert cost.ffmpeg_cpu_seconds == pytest.approx(0.8 * 4)


def test_the_json_of_a_report_has_the_mean_under_its_key(run, environment):
    shown = CliRunner().invoke(main, ["report", "r1", "--json"], env=environment)
    values = json.loads(shown.stdout)
    means = (values["service_mean_seconds"], values["service"]["mean_seconds"], values["parts"]["service_seconds"])
    assert means == (pytest.approx(4.0),) * 3
