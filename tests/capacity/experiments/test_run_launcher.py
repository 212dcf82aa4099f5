"""Options for the injector, the wait for the end of a run, and the messages of a run."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from itertools import pairwise

import pytest
from click.testing import CliRunner
from sqlalchemy import select, update

from capacity.__main__ import main
from capacity.analysis.run_facts import conservation
from capacity.experiments import run_launcher, worker_levels
from capacity.experiments.early_stop import QueuedVideos
from capacity.experiments.matrix_plan import MatrixPlan
from capacity.experiments.matrix_run import MatrixRun
from capacity.experiments.run_launcher import RunInterrupted, RunLauncher, RunRequest, no_progress
from capacity.experiments.run_programs import MeasurementFailed
from capacity.runs.recorded_run import load_run
from core.models import ExecutionRow, RunRow, SpoolRow
from core.run import Mode, RunStatus
from core.settings import Settings
from tests.capacity.commands.test_app_runs import FILE, of_app
from tests.capacity.store import add_run, run_row, waiting


def test_the_injector_gets_rate_and_profile_of_the_requested_run():
    request = RunRequest("5MB", 2, Mode.SUSTAINED, 16, 10.0, note="n", profile="showcase")
    assert request.injector_options() == [
        "--count", "16", "--size", "5MB", "--mode", "sustained", "--note", "n", "--concurrency", "2",
        "--yes", "--rate", "10.0000", "--profile", "showcase",
    ]  # fmt: skip


def test_a_burst_without_a_profile_leaves_rate_and_profile_to_the_injector():
    options = RunRequest("5MB", 2, Mode.BURST, 16).injector_options()
    assert "--rate" not in options
    assert "--profile" not in options


def test_a_warm_up_is_asked_of_the_injector():
    assert RunRequest("5MB", 2, Mode.BURST, 16, warmup=True).injector_options()[-1] == "--warmup"


def test_the_injector_gets_workers_shape_and_seed_and_no_rate_that_the_shape_gives():
    poisson = RunRequest("5MB", 2, Mode.SUSTAINED, 16, 10.0, workers=3, shape="poisson", seed=4)
    assert poisson.injector_options()[-8:] == [
        "--workers", "3", "--shape", "poisson", "--seed", "4", "--rate", "10.0000",
    ]  # fmt: skip
    ramp = RunRequest("5MB", 2, Mode.SUSTAINED, 16, 12.0, shape="ramp:6-18")
    assert ramp.injector_options()[-2:] == ["--shape", "ramp:6-18"]


class Queue:
    """The attributes of a queue and of its dead-letter queue."""

    def __init__(self, visible, dead):
        self.depths = {"url": visible, "dead-url": dead}

    def get_queue_url(self, QueueName, **_owner):  # noqa: N803 (boto3's names)
        return {"QueueUrl": "dead-url" if QueueName == "dead" else "url"}

    def get_queue_attributes(self, QueueUrl, **_names):  # noqa: N803
        policy = json.dumps({"deadLetterTargetArn": "arn:aws:sqs:here:1:dead", "maxReceiveCount": 5})
        counts = {"ApproximateNumberOfMessages": self.depths[QueueUrl], "ApproximateNumberOfMessagesNotVisible": 0}
        more = {"RedrivePolicy": policy} if QueueUrl == "url" else {}
        return {"Attributes": counts | {"VisibilityTimeout": 60} | more}


class Clock:
    """A clock that advances only by `sleep`."""

    now = 0.0

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def launcher_with(sessions, clock):
    """Return a function that makes a launcher whose waits take no time."""

    def make(queue, settings, **more):
        opened = QueuedVideos(queue, "url", sessions)
        return RunLauncher(settings, sessions, opened_queue=opened, clock=clock, sleep=clock.sleep, **more)

    return make


def test_messages_are_counted_while_videos_are_open(sessions, settings, launcher_with):
    with sessions.begin() as session:
        add_run(session, run_row(count=3, environment={"dead_letters_before": 2}), [2.0, 3.0], [9.0, 9.5])
        session.add(waiting(2))
    launcher_with(Queue(0, 2), settings).count_messages("r1")
    with sessions() as session:
        run = session.get_one(RunRow, "r1")
        assert {k: run.environment["messages"][k] for k in ("in_queue", "dead_lettered")} == {
            "in_queue": 0,
            "dead_lettered": 0,
        }
        recorded = load_run(session, run)
    assert conservation(recorded).lost_messages == 1


def test_messages_of_a_complete_run_are_not_counted(sessions, settings, launcher_with):
    with sessions.begin() as session:
        add_run(session, run_row(count=2), [2.0, 3.0], [9.0, 9.5])
    launcher_with(Queue(5, 0), settings).count_messages("r1")
    with sessions() as session:
        assert "messages" not in session.get_one(RunRow, "r1").environment


def test_a_run_whose_injector_died_while_sending_is_closed_before_the_queue_is_emptied(
    sessions, settings, launcher_with
):
    with sessions.begin() as session:
        add_run(session, run_row(count=3, status=RunStatus.RUNNING), [2.0, 3.0], [9.0, 9.5])
        add_run(session, run_row("r2", count=2, status=RunStatus.RUNNING), [2.0, 3.0], [9.0, 9.5])
    launcher_with(Queue(0, 0), settings).wait_for_empty_queue()
    with sessions() as session:
        statuses = [session.get_one(RunRow, run_id).status for run_id in ("r1", "r2")]
    assert statuses == ["interrupted", "running"], "r2 is sent, so its videos are waited for"


WORKERS = [{"slots": 2}]


@pytest.fixture
def app_environment(environment, tmp_path, monkeypatch):
    """Return environment variables that name an app, whose run is stuck after a minute. The ends take no time."""
    path = tmp_path / "aforo.toml"
    path.write_text(FILE)
    path.chmod(0o644)
    monkeypatch.setattr(run_launcher, "wait_until_collected", lambda *arguments: True)
    monkeypatch.setattr(run_launcher, "calibration_seconds", lambda: 0.7)
    monkeypatch.setattr(run_launcher, "read_workers", lambda settings: WORKERS)
    return environment | {"AFORO_APP_FILE": str(path), "AFORO_APP_STUCK_SECONDS": "60", "AFORO_LANG": "en"}


@pytest.fixture
def app_settings(app_environment):
    return Settings.from_env(app_environment)


def record_stuck(sessions, *, ended=2, run_id="r1", note="", **more):
    """Record an open run of the app with two slots: some of its videos have ended, and another one never ends."""
    created_at = time.time() - 100
    row = of_app(run_row(run_id, count=ended + 1, status=RunStatus.RUNNING, created_at=created_at, note=note))
    with sessions.begin() as session:
        add_run(session, row, [2.0 + k for k in range(ended)], [9.0 + k for k in range(ended)])
        row.finished_at = None
        video = waiting(ended, run_id)
        video.uploaded_at = video.sent_at = video.updated_at = created_at
        session.add(video)
        session.execute(update(ExecutionRow).values(worker="w"))
        seen = {"node": "n", "address": "h:1", "last_number": 1, "missed": 0, "read_at": 1.0}
        session.add(SpoolRow(id="w", clock_offset_seconds=0.3, round_trip_seconds=0.04, **seen))
    with sessions.begin() as session:
        for name, value in more.items():
            setattr(session.get_one(RunRow, run_id), name, value)


def ends(sessions):
    """Return the status of the only run, and what is stored only at its end."""
    with sessions() as session:
        run = session.scalars(select(RunRow)).one()
        known = run.environment["app"].get("worker_clock_offsets_seconds")
        return run.status, known, run.environment.get("workers"), run.environment.get("canary_after_seconds")


CLOSED = ("interrupted", [pytest.approx(0.28), pytest.approx(0.32)], {"end": WORKERS}, 0.7)


def test_a_run_of_an_app_that_is_stuck_is_closed_with_what_is_known_after_the_time_of_the_setting(
    sessions, app_settings, launcher_with, clock
):
    record_stuck(sessions)
    with pytest.raises(RunInterrupted) as stuck:
        launcher_with(Queue(0, 0), app_settings).wait("r1", no_progress)
    assert str(stuck.value) == "run (r1); no video finished for 1 min; see `make logs`"
    assert clock.now == 60.0
    assert ends(sessions) == CLOSED


def test_a_run_that_the_injector_has_just_closed_gets_its_end_too(sessions, app_settings, launcher_with):
    record_stuck(sessions, status=RunStatus.INTERRUPTED, finished_at=time.time())
    launcher_with(Queue(0, 0), app_settings).wait("r1", no_progress)
    assert ends(sessions) == CLOSED


@pytest.mark.parametrize(
    ("status", "seconds_ago"), [(RunStatus.INTERRUPTED, 3600.0), (RunStatus.FINISHED, 0.0), (RunStatus.FAILED, 0.0)]
)
def test_a_run_that_ended_long_ago_or_in_another_way_does_not_get_the_conditions_of_now(
    sessions, app_settings, launcher_with, status, seconds_ago
):
    record_stuck(sessions, status=status, finished_at=time.time() - seconds_ago)
    launcher_with(Queue(0, 0), app_settings).wait("r1", no_progress)
    assert ends(sessions) == (status, None, None, None)


class Programs:
    """The programs of a run: the workers are up, and the injector has sent a run whose last video never ends."""

    def __init__(self, sessions, ended):
        self.sessions, self.ended = sessions, ended

    def run(self, _variables, *_arguments):
        pass

    def inject(self, options, _while_running):
        named = dict(pairwise(options))
        record_stuck(self.sessions, ended=self.ended, run_id=named["--run-id"], note=named["--note"])


@pytest.fixture
def stuck_matrix(sessions, app_settings, launcher_with, monkeypatch):
    """Return a function that carries out a matrix of one cell whose last video never ends, and returns its results."""
    monkeypatch.setattr(worker_levels, "app_records", lambda *_: WORKERS)

    def carry_out(ended):
        plan = MatrixPlan(("5MB",), (2,), ("burst",), count=ended + 1, repeats=1, rate_per_minute=None)
        programs, results = Programs(sessions, ended), []
        launcher = launcher_with(Queue(0, 0), app_settings, programs=programs, confirmed={"videos"})
        MatrixRun(launcher, plan).run(no_progress, lambda _, result: results.append(result))
        return results

    return carry_out


def test_a_cell_with_a_video_that_never_ends_has_a_row_with_a_lower_bound_of_s(stuck_matrix):
    (row,) = stuck_matrix(ended=2)
    assert (row.status, row.done, row.unfinished, row.s_is_lower_bound) == ("interrupted", 2, 1, True)
    assert row.s_database == pytest.approx((9.0 + 10.0 + 10.0) / 3)  # the open one: at least the longest


def test_a_cell_of_which_no_video_ends_has_failed_so_that_a_dead_worker_stops_the_matrix(sessions, stuck_matrix):
    (error,) = stuck_matrix(ended=0)
    assert type(error) is MeasurementFailed
    assert ends(sessions)[0] == "interrupted"


@pytest.mark.parametrize(("options", "shown"), [((), "1"), (("--stuck-minutes", "2"), "2")])
def test_the_verb_wait_ends_with_1_and_its_line_and_its_option_comes_before_the_setting(
    sessions, app_environment, clock, monkeypatch, options, shown
):
    record_stuck(sessions)
    opened = RunLauncher.open
    monkeypatch.setattr(RunLauncher, "open", lambda lang: replace(opened(lang), clock=clock, sleep=clock.sleep))
    ended = CliRunner().invoke(main, ["wait", "r1", *options], env=app_environment)
    assert isinstance(ended.exception, RunInterrupted)
    assert str(ended.exception) == f"run (r1); no video finished for {shown} min; see `make logs`"
    assert ended.exception.exit_code == 1
    assert ends(sessions) == CLOSED


def test_a_stuck_run_of_our_own_worker_stays_open(sessions, settings, launcher_with):
    with sessions.begin() as session:
        add_run(session, run_row(count=3, status=RunStatus.RUNNING), [2.0, 3.0], [9.0, 9.5])
        session.add(waiting(2))
    with pytest.raises(MeasurementFailed) as stuck:
        launcher_with(Queue(1, 0), settings).wait("r1", no_progress, 60.0)
    assert type(stuck.value) is MeasurementFailed
    with sessions() as session:
        assert session.get_one(RunRow, "r1").status == "running"
