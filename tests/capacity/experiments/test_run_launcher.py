"""Options and environment for the injector, and the messages of a run."""

from __future__ import annotations

import json
import time

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from capacity.__main__ import main
from capacity.analysis.run_facts import conservation
from capacity.experiments import run_launcher
from capacity.experiments.early_stop import QueuedVideos
from capacity.experiments.matrix_plan import MatrixPlan, ordered_runs
from capacity.experiments.matrix_run import MatrixRun
from capacity.experiments.run_launcher import (
    MeasurementFailed,
    RunInterrupted,
    RunLauncher,
    RunRequest,
    _environment,
    _injector_options,
    no_progress,
)
from capacity.runs.recorded_run import load_run
from core.models import ExecutionRow, RunRow, SpoolRow
from core.run import Mode, RunStatus
from core.settings import Settings
from tests.capacity.commands.test_app_runs import FILE, of_app
from tests.capacity.store import add_run, run_row, waiting


def test_the_injector_gets_rate_and_profile_of_the_requested_run():
    request = RunRequest("5MB", 2, Mode.SUSTAINED, 16, 10.0, note="n", profile="showcase")
    assert _injector_options(request) == [
        "--count", "16", "--size", "5MB", "--mode", "sustained", "--note", "n", "--concurrency", "2",
        "--yes", "--rate", "10.0000", "--profile", "showcase",
    ]  # fmt: skip


def test_a_burst_without_a_profile_leaves_rate_and_profile_to_the_injector():
    options = _injector_options(RunRequest("5MB", 2, Mode.BURST, 16))
    assert "--rate" not in options
    assert "--profile" not in options


def test_a_warm_up_is_asked_of_the_injector():
    assert _injector_options(RunRequest("5MB", 2, Mode.BURST, 16, warmup=True))[-1] == "--warmup"


def test_the_injector_gets_workers_shape_and_seed_and_no_rate_that_the_shape_gives():
    poisson = RunRequest("5MB", 2, Mode.SUSTAINED, 16, 10.0, workers=3, shape="poisson", seed=4)
    assert _injector_options(poisson)[-8:] == [
        "--workers", "3", "--shape", "poisson", "--seed", "4", "--rate", "10.0000",
    ]  # fmt: skip
    ramp = RunRequest("5MB", 2, Mode.SUSTAINED, 16, 12.0, shape="ramp:6-18")
    assert _injector_options(ramp)[-2:] == ["--shape", "ramp:6-18"]


def test_run_options_of_the_caller_do_not_reach_the_programs(monkeypatch):
    monkeypatch.setenv("PROFILE", "showcase")
    monkeypatch.setenv("SIZE", "50MB")
    monkeypatch.setenv("USER_ID", "u1")
    environment = _environment({"CONCURRENCY": "4"})
    assert ("PROFILE" in environment, "SIZE" in environment) == (False, False)
    assert (environment["USER_ID"], environment["CONCURRENCY"]) == ("u1", "4")


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


def launcher_with(queue, sessions, settings):
    launcher = RunLauncher(settings, sessions)
    launcher.__dict__["queued_videos"] = QueuedVideos(queue, "url", sessions)
    return launcher


def test_messages_are_counted_while_videos_are_open(sessions, settings):
    with sessions.begin() as session:
        add_run(session, run_row(count=3, environment={"dead_letters_before": 2}), [2.0, 3.0], [9.0, 9.5])
        session.add(waiting(2))
    launcher_with(Queue(0, 2), sessions, settings).count_messages("r1")
    with sessions() as session:
        run = session.get_one(RunRow, "r1")
        assert {k: run.environment["messages"][k] for k in ("in_queue", "dead_lettered")} == {
            "in_queue": 0,
            "dead_lettered": 0,
        }
        recorded = load_run(session, run)
    assert conservation(recorded).lost_messages == 1


def test_messages_of_a_complete_run_are_not_counted(sessions, settings):
    with sessions.begin() as session:
        add_run(session, run_row(count=2), [2.0, 3.0], [9.0, 9.5])
    launcher_with(Queue(5, 0), sessions, settings).count_messages("r1")
    with sessions() as session:
        assert "messages" not in session.get_one(RunRow, "r1").environment


def test_a_run_whose_injector_died_while_sending_is_closed_before_the_queue_is_emptied(sessions, settings):
    with sessions.begin() as session:
        add_run(session, run_row(count=3, status=RunStatus.RUNNING), [2.0, 3.0], [9.0, 9.5])
        add_run(session, run_row("r2", count=2, status=RunStatus.RUNNING), [2.0, 3.0], [9.0, 9.5])
    launcher_with(Queue(0, 0), sessions, settings).wait_for_empty_queue()
    with sessions() as session:
        statuses = [session.get_one(RunRow, run_id).status for run_id in ("r1", "r2")]
    assert statuses == ["interrupted", "running"], "r2 is sent, so its videos are waited for"


WORKERS = [{"slots": 2}]


@pytest.fixture
def app_environment(environment, tmp_path, monkeypatch):
    """Return environment variables that name an app, whose run is stuck after a second. The ends take no time."""
    path = tmp_path / "aforo.toml"
    path.write_text(FILE)
    path.chmod(0o644)
    monkeypatch.setattr(run_launcher, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(run_launcher, "wait_until_collected", lambda *arguments: True)
    monkeypatch.setattr(run_launcher, "calibration_seconds", lambda: 0.7)
    monkeypatch.setattr(run_launcher, "read_workers", lambda settings: WORKERS)
    return environment | {"AFORO_APP_FILE": str(path), "AFORO_APP_STUCK_SECONDS": "1", "AFORO_LANG": "en"}


@pytest.fixture
def app_settings(app_environment):
    return Settings.from_env(app_environment)


def record_stuck(sessions, *, ended=2, note="", **more):
    """Record an open run of the app with two slots: some of its videos have ended, and another one never ends."""
    created_at = time.time() - 100
    row = of_app(run_row(count=ended + 1, status=RunStatus.RUNNING, created_at=created_at, note=note))
    with sessions.begin() as session:
        add_run(session, row, [2.0 + k for k in range(ended)], [9.0 + k for k in range(ended)])
        row.finished_at = None
        video = waiting(ended)
        video.uploaded_at = video.sent_at = video.updated_at = created_at
        session.add(video)
        session.execute(update(ExecutionRow).values(worker="w"))
        seen = {"node": "n", "address": "h:1", "last_number": 1, "missed": 0, "read_at": 1.0}
        session.add(SpoolRow(id="w", clock_offset_seconds=0.3, round_trip_seconds=0.04, **seen))
    with sessions.begin() as session:
        for name, value in more.items():
            setattr(session.get_one(RunRow, "r1"), name, value)


def ends(sessions):
    """Return the status of the run, and what is stored only at its end."""
    with sessions() as session:
        run = session.get_one(RunRow, "r1")
        known = run.environment["app"].get("worker_clock_offsets_seconds")
        return run.status, known, run.environment.get("workers"), run.environment.get("canary_after_seconds")


CLOSED = ("interrupted", [pytest.approx(0.28), pytest.approx(0.32)], {"end": WORKERS}, 0.7)


def test_a_run_of_an_app_that_is_stuck_is_closed_with_what_is_known_after_the_time_of_the_setting(
    sessions, app_settings
):
    record_stuck(sessions)
    started = time.monotonic()
    with pytest.raises(RunInterrupted) as stuck:
        RunLauncher(app_settings, sessions).wait("r1", no_progress)
    assert str(stuck.value) == "run (r1); no video finished for 0.0166667 min; see `make logs`"
    assert 1.0 < time.monotonic() - started < 30.0
    assert ends(sessions) == CLOSED


def test_a_run_that_the_injector_has_just_closed_gets_its_end_too(sessions, app_settings):
    record_stuck(sessions, status=RunStatus.INTERRUPTED, finished_at=time.time())
    RunLauncher(app_settings, sessions).wait("r1", no_progress)
    assert ends(sessions) == CLOSED


@pytest.mark.parametrize(
    ("status", "seconds_ago"), [(RunStatus.INTERRUPTED, 3600.0), (RunStatus.FINISHED, 0.0), (RunStatus.FAILED, 0.0)]
)
def test_a_run_that_ended_long_ago_or_in_another_way_does_not_get_the_conditions_of_now(
    sessions, app_settings, status, seconds_ago
):
    record_stuck(sessions, status=status, finished_at=time.time() - seconds_ago)
    RunLauncher(app_settings, sessions).wait("r1", no_progress)
    assert ends(sessions) == (status, None, None, None)


def stuck_matrix(sessions, settings, monkeypatch, ended):
    """Carry out a matrix of one cell whose last video never ends. Return what it tells of the cell."""
    plan = MatrixPlan(("5MB",), (2,), ("burst",), count=ended + 1, repeats=1, rate_per_minute=None)
    record_stuck(sessions, ended=ended, note=ordered_runs(plan)[0].note(plan))
    for step in ("_set_workers", "_confirm_once", "wait_for_empty_queue"):
        monkeypatch.setattr(RunLauncher, step, lambda *arguments: None)
    monkeypatch.setattr(RunLauncher, "_inject", lambda *arguments: "r1")
    results = []
    MatrixRun(RunLauncher(settings, sessions), plan).run(no_progress, lambda _, result: results.append(result))
    return results


def test_a_cell_with_a_video_that_never_ends_has_a_row_with_a_lower_bound_of_s(sessions, app_settings, monkeypatch):
    (row,) = stuck_matrix(sessions, app_settings, monkeypatch, ended=2)
    assert (row.status, row.done, row.unfinished, row.s_is_lower_bound) == ("interrupted", 2, 1, True)
    assert row.s_database == pytest.approx((9.0 + 10.0 + 10.0) / 3)  # the open one: at least the longest


def test_a_cell_of_which_no_video_ends_has_failed_so_that_a_dead_worker_stops_the_matrix(
    sessions, app_settings, monkeypatch
):
    (error,) = stuck_matrix(sessions, app_settings, monkeypatch, ended=0)
    assert type(error) is MeasurementFailed
    assert ends(sessions)[0] == "interrupted"


@pytest.mark.parametrize(("options", "shown"), [((), "0.0166667"), (("--stuck-minutes", "0.02"), "0.02")])
def test_the_verb_wait_ends_with_1_and_its_line_and_its_option_comes_before_the_setting(
    sessions, app_environment, options, shown
):
    record_stuck(sessions)
    ended = CliRunner().invoke(main, ["wait", "r1", *options], env=app_environment)
    assert isinstance(ended.exception, RunInterrupted)
    assert str(ended.exception) == f"run (r1); no video finished for {shown} min; see `make logs`"
    assert ended.exception.exit_code == 1
    assert ends(sessions) == CLOSED


def test_a_stuck_run_of_our_own_worker_stays_open(sessions, settings, monkeypatch):
    monkeypatch.setattr(run_launcher, "POLL_SECONDS", 0.01)
    with sessions.begin() as session:
        add_run(session, run_row(count=3, status=RunStatus.RUNNING), [2.0, 3.0], [9.0, 9.5])
        session.add(waiting(2))
    with pytest.raises(MeasurementFailed) as stuck:
        launcher_with(Queue(1, 0), sessions, settings).wait("r1", no_progress, 0.05)
    assert type(stuck.value) is MeasurementFailed
    with sessions() as session:
        assert session.get_one(RunRow, "r1").status == "running"
