"""Numbers of workers of a matrix or search, with an app's file and with the workers in Prometheus."""

from types import SimpleNamespace

import pytest

from capacity.experiments import worker_levels
from capacity.experiments.run_launcher import RunLauncher, RunRequest
from capacity.experiments.worker_levels import (
    WorkerLevel,
    level_of_app,
    require_fixed_slots,
    require_settable,
    require_up,
)
from core.errors import EnvironmentFault, UsageError
from core.run import Mode


def settings(stack="native", app=None):
    prometheus = SimpleNamespace(url="http://127.0.0.1:9")
    return SimpleNamespace(stack=stack, app=app, prometheus=prometheus, queue=SimpleNamespace(name="videos"))


class Programs:
    """The programs of a run, which are only noted."""

    def __init__(self):
        self.ran = []

    def run(self, variables, *arguments):
        self.ran.append((variables, arguments))


def team(**changes):
    worker = dict(command=None, scale="./scale {concurrency} {workers}", restore=None, instrument=True) | changes
    return SimpleNamespace(
        name="team", worker=SimpleNamespace(**worker), place=lambda key: f"aforo.toml, line 9: {key}"
    )


@pytest.mark.parametrize(
    ("stack", "app", "line"),
    [
        ("native", None, "WORKERS (1,2); the native stack has one worker; leave it out, or add STACK=compose"),
        (
            "aws",
            None,
            "WORKERS (1,2); Aforo does not start workers on other machines; leave it out: those that run are",
        ),
        (
            "native",
            team(command="celery"),
            "WORKERS (1,2); worker.command starts one worker; use worker.scale for several",
        ),
        (
            "native",
            team(scale="./up {concurrency}"),
            "WORKERS (1,2); aforo.toml, line 9: worker.scale has no {workers}; ",
        ),
    ],
)
def test_a_number_of_workers_that_cannot_be_set_is_refused_in_one_line(stack, app, line):
    with pytest.raises(UsageError) as refusal:
        require_settable(settings(stack, app), (1, 2))
    assert str(refusal.value).startswith(line)


def test_one_worker_and_those_that_can_be_scaled_are_allowed():
    for stack, app, levels in (("native", None, (1,)), ("native", None, (None,)), ("compose", None, (1, 2, 3)),
                               ("native", team(), (1, 2)), ("aws", None, (None,))):  # fmt: skip
        require_settable(settings(stack, app), levels)


@pytest.mark.parametrize(
    ("slots", "why"),
    [
        ([2, 2, 2], "worker (compose); 3 are up, with 2 slots; run `make up STACK=compose CONCURRENCY=2 WORKERS=2`"),
        ([2], "worker (compose); 1 is up, with 2 slots"),
        ([2, 4], "worker (compose); 2 are up, with 2 and 4 slots"),
        ([], "worker (compose); none is up"),
    ],
)
def test_a_run_starts_only_with_the_workers_it_was_asked_for(monkeypatch, slots, why):
    monkeypatch.setattr(
        worker_levels, "records_in_prometheus", lambda _url, _queue: [{"slots": each} for each in slots]
    )
    with pytest.raises(EnvironmentFault) as refusal:
        require_up(settings("compose"), 2, 2)
    assert str(refusal.value).startswith(why)


def test_without_a_number_any_number_of_equal_workers_will_do(monkeypatch):
    monkeypatch.setattr(worker_levels, "records_in_prometheus", lambda _url, _queue: [{"slots": 2}] * 3)
    require_up(settings("aws"), 2, None)
    require_up(settings("compose"), 2, 3)


@pytest.mark.parametrize(
    ("app", "slots", "level"),
    [
        (team(), [2, 2], WorkerLevel(2, 2)),
        (team(), [2, 4], None),
        (team(), [], None),
        (team(restore="./restore"), [2, 2], None),
        (team(instrument=False), [2, 2], None),
    ],
)
def test_the_workers_at_the_start_are_known_where_scale_can_set_them_again(monkeypatch, app, slots, level):
    monkeypatch.setattr(worker_levels, "app_slots", lambda _settings, _app: slots)
    assert level_of_app(settings(app=app), app) == level


def test_a_matrix_ends_with_the_workers_it_began_with(monkeypatch):
    programs, slots = Programs(), [1, 1]
    monkeypatch.setattr(worker_levels, "app_slots", lambda _settings, _app: slots)
    monkeypatch.setattr(worker_levels, "app_records", lambda _settings, _app: [{"slots": each} for each in slots])
    app = team()
    launcher = RunLauncher(
        settings(app=app), None, level_before=level_of_app(settings(app=app), app), programs=programs
    )
    launcher._set_workers(RunRequest("5MB", 4, Mode.BURST, 8, workers=3))
    slots[:] = [4, 4, 4]
    launcher.restore()
    up = ("local", "up")
    assert programs.ran == [({"CONCURRENCY": "4", "WORKERS": "3"}, up), ({"CONCURRENCY": "1", "WORKERS": "2"}, up)]
    slots[:] = [1, 1]
    launcher.restore()
    assert len(programs.ran) == 2


def test_a_worker_that_changes_its_slots_is_no_level(monkeypatch):
    records = [{"slots": 1}, {"slots": 1, "autoscale": "3,1"}]
    monkeypatch.setattr(worker_levels, "app_records", lambda _settings, _app: records)
    with pytest.raises(
        EnvironmentFault, match=r"--autoscale \(3,1\); the worker changes its slots during a run; start"
    ):
        require_fixed_slots(settings(), team())
    require_fixed_slots(settings(), team(instrument=False))


def test_the_restore_line_of_an_app_comes_before_its_scale_line():
    programs = Programs()
    RunLauncher(settings(app=team(restore="./restore")), None, programs=programs).restore()
    assert programs.ran == [({}, ("local", "restore"))]
