"""A run of several sizes in the analysis: only videos of one size are compared with each other."""

import numpy as np
import pytest

from capacity.analysis.measured_run import measure
from capacity.diagnosis.data_quality import Problem, quality_warnings
from capacity.runs.archive_reader import read_archive
from capacity.runs.recorded_run import load_run
from capacity.runs.resource_samples import Resources
from capacity.runs.run_files import write_archive
from core.models import ExecutionRow, RunRow, VideoRow
from tests.capacity.store import add_run, run_row

#: three videos of 5 s for each of 10 s, on two slots
SECONDS = np.tile([5.0, 5.0, 5.0, 10.0], 6)
NO_SAMPLES = Resources(np.empty(0), {})


@pytest.fixture
def mixed(sessions):
    """Record a burst of a mix. The large videos cost twice the CPU of the small ones."""
    ends = np.zeros(2)
    start = np.empty(SECONDS.size)
    slot = np.empty(SECONDS.size, dtype=int)
    for k, seconds in enumerate(SECONDS):
        slot[k] = ends.argmin()
        start[k] = ends[slot[k]]
        ends[slot[k]] += seconds + 0.1
    with sessions.begin() as session:
        row = run_row(count=SECONDS.size, size_label="5MB:3+10MB:1", size_bytes=6_250_000)
        add_run(session, row, start, start + SECONDS, slot=slot)
        for k, seconds in enumerate(SECONDS):
            session.get_one(VideoRow, f"r1-v{k}").source_bytes = int(seconds * 1e6)
    return sessions


def load(sessions):
    with sessions() as session:
        return load_run(session, session.get_one(RunRow, "r1"))


def names(recorded):
    return {warning.name for warning in quality_warnings(measure(recorded).facts)}


def test_x_is_in_videos_and_in_megabytes_of_the_mean_size(mixed):
    row = measure(load(mixed)).row
    assert row.size_label == "5MB:3+10MB:1"
    assert row.megabytes_per_minute == pytest.approx(6.25 * row.x)
    assert row.service_mean_seconds == pytest.approx(6.25)


def test_a_large_video_that_costs_more_cpu_is_no_change_of_the_machine(mixed):
    assert names(load(mixed)) & {Problem.MACHINE_SPEED, Problem.SPEED_CHANGED} == set()


def test_the_differences_between_the_sizes_are_not_those_of_one_size(mixed):
    measured = measure(load(mixed))
    assert measured.row.service_cv == pytest.approx(0.354, abs=0.001)
    assert measured.facts.service_cv == pytest.approx(0, abs=1e-9)


def test_a_machine_that_becomes_slower_is_seen_through_the_mix(mixed):
    with mixed.begin() as session:
        for execution in session.query(ExecutionRow).filter(ExecutionRow.video_id > "r1-v1"):
            if int(execution.video_id.removeprefix("r1-v")) >= 12:
                execution.ffmpeg_cpu_seconds *= 1.3
    assert Problem.SPEED_CHANGED in names(load(mixed))


def test_the_archive_of_a_mix_gives_the_same_row_and_sizes(mixed, tmp_path):
    recorded = load(mixed)
    with mixed() as session:
        write_archive(session, session.get_one(RunRow, "r1"), NO_SAMPLES, tmp_path / "r1")
    archived, _ = read_archive(tmp_path / "r1")
    assert measure(archived).row == measure(recorded).row
    assert sorted(archived.source_bytes) == sorted(SECONDS * 1e6)
    assert sorted(recorded.source_bytes) == sorted(SECONDS * 1e6)
