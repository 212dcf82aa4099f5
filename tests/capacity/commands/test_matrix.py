"""`matrix` on a store with runs of an earlier call."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from capacity.__main__ import main
from capacity.experiments.matrix_plan import MatrixPlan, PlannedRun
from core.errors import GoalMissed, UsageError
from core.models import RunRow
from core.run import RunStatus
from tests.capacity.store import burst, record_bursts, slow_down

PLAN = MatrixPlan(("5MB",), (1, 2), ("burst",), count=12, repeats=2, rate_per_minute=10.0)
MATRIX = ("matrix", "--sizes", "5MB", "--concurrencies", "1,2", "--modes", "burst", "--count", "12", "--repeats", "2")


def leave(sessions, slots, repeat, seconds=5.0, **changes):
    """Record a run with the note of the matrix."""
    run, *times = burst(slots, 12, seconds, 1e9 + 1000 * (2 * repeat + slots), f"c{slots}-{repeat}")
    run.note = PlannedRun("5MB", slots, "burst", repeat).note(PLAN)
    for name, value in changes.items():
        setattr(run, name, value)
    record_bursts(sessions, [(run, *times)])


def ask(environment, *arguments):
    return CliRunner().invoke(main, [*MATRIX, *arguments], env=environment, catch_exceptions=False)


def test_a_plan_lists_the_remaining_runs_and_does_not_change_the_run_of_a_dead_injector(environment, sessions):
    leave(sessions, 1, 1)
    leave(sessions, 2, 1, status=RunStatus.RUNNING, count=20)
    shown = ask(environment, "--plan-only", "--json")
    left = [(test["concurrency"], test["repeat"]) for test in json.loads(shown.stdout)["left"]]
    assert sorted(left) == [(1, 2), (2, 1), (2, 2)]
    with sessions() as session:
        run = session.get_one(RunRow, "c2-1")
        assert (run.status, run.heartbeat_at) == (RunStatus.RUNNING, run.created_at + 500)


def test_the_printed_table_is_the_written_one_without_the_invalid_run(environment, sessions):
    for slots in (1, 2):
        leave(sessions, slots, 1)
    leave(sessions, 1, 2, seconds=9.0)
    with sessions.begin() as session:
        slow_down(session, "c1-2")
    leave(sessions, 2, 2, seconds=5.5)
    shown = ask(environment)
    written = Path(environment["AFORO_RESULTS_PATH"], "table.md").read_text("utf-8")
    assert shown.stdout == written
    assert "- 5 MB, c=1, Burst: c1-1 (sin usar: 1)\n- 5 MB, c=2, Burst: c2-1, c2-2\n" in written


def test_the_json_has_the_rows_of_the_table_with_the_runs_as_lists(environment, sessions):
    for slots, repeat in ((1, 1), (1, 2), (2, 1), (2, 2)):
        leave(sessions, slots, repeat, seconds=5.0 + repeat / 10)
    rows = json.loads(ask(environment, "--json").stdout)["rows"]
    assert [(row["runs"], row["x_sat_runs"]) for row in rows] == [(["c1-1", "c1-2"],) * 2, (["c2-1", "c2-2"],) * 2]
    assert all(isinstance(row["validity_reasons"], list) for row in rows)
    printed = CliRunner().invoke(main, ["table", "--json"], env=environment, catch_exceptions=False)
    assert json.loads(printed.stdout)["rows"] == rows


def test_a_missed_goal_fails_a_measured_matrix_and_both_files_name_its_cell(environment, sessions, tmp_path):
    for slots in (1, 2):
        for repeat in (1, 2):
            leave(sessions, slots, repeat)
    junit, summary = tmp_path / "goals.xml", tmp_path / "goals.md"
    files = ("--junit", str(junit), "--summary", str(summary), "--lang", "en")
    with pytest.raises(GoalMissed) as missed:
        ask(environment, *files, "--fail-if", "x_sat<20")
    assert "1 of 2 missed" in str(missed.value)
    assert "5 MB · c=1 · Burst: x_sat<20 (11.76)" in str(missed.value)
    suite = ET.parse(junit).getroot()  # noqa: S314 (our own file)
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    assert [[result.tag for result in case] for case in suite] == [["failure"], []]
    assert "| `x_sat<20` | 5 MB · c=1 · Burst | 11.76 | MISSED |" in summary.read_text("utf-8")


def test_the_profile_option_names_another_matrix(environment, sessions):
    leave(sessions, 1, 1)
    shown = ask(environment, "--plan-only", "--json", "--profile", "showcase")
    plan = json.loads(shown.stdout)
    assert (plan["plan"]["profile"], len(plan["left"])) == ("showcase", 4)
    by_environment = ask(environment | {"PROFILE": "showcase"}, "--plan-only", "--json")
    assert json.loads(by_environment.stdout)["plan"] == plan["plan"]


def test_the_plan_has_a_run_of_each_number_of_workers(environment, monkeypatch):
    monkeypatch.setattr("capacity.commands.matrix.require_settable", lambda *_: None)
    shown = ask(environment, "--plan-only", "--json", "--workers", "1,2")
    left = json.loads(shown.stdout)["left"]
    assert sorted((run["workers"], run["concurrency"], run["repeat"]) for run in left) == [
        (workers, slots, repeat) for workers in (1, 2) for slots in (1, 2) for repeat in (1, 2)
    ]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--workers", "1,2"), "WORKERS (1,2); the native stack has one worker"),
        (("--workers", "0"), "WORKERS (0); it must be whole numbers of workers, 1 to 1000; give 1,2,4"),
        (("--workers", "1,,2"), "WORKERS (1,,2); it must be whole numbers of workers"),
        (("--shape", "poisson"), "SHAPE (poisson); a burst sends all at once; leave it out, or add sustained to MODES"),
        (("--modes", "sustained", "--shape", "saw"), "SHAPE (saw); there is no such shape"),
        (
            ("--modes", "sustained", "--shape", "ramp:5-30", "--rate", "9"),
            "RATE (9); SHAPE gives the rates; leave it out",
        ),
        (("--modes", "sustained", "--shape", "ramp:5-30", "--rate", "auto"), "RATE (auto); SHAPE gives the rates"),
        (("--seed", "3"), "SEED (3); only SHAPE=poisson and a mix of sizes are random; leave it out"),
        (("--sizes", "5MB:3+10MB:2"), "COUNT (12); the weights of 5MB:3+10MB:2 need a multiple of 5; give 10 or 15"),
        (("--sizes", "5MB:3+10MB:1", "--adaptive"), "ADAPTIVE (5MB:3+10MB:1); a burst that stops early would not have"),
    ],
)
def test_wrong_levels_shapes_and_mixes_are_one_line(environment, arguments, line):
    with pytest.raises(UsageError) as refusal:
        ask(environment, *arguments)
    assert str(refusal.value).startswith(line)


def test_a_shape_with_rates_gives_the_mean_rate_and_equal_mixes_are_one_cell(environment):
    arguments = ("--modes", "sustained", "--shape", "ramp:6-18", "--sizes", "5MB:3+10MB:1,10MB:2+5MB:6")
    plan = json.loads(ask(environment, "--plan-only", "--json", *arguments).stdout)["plan"]
    assert (plan["rate_per_minute"], plan["shape"], plan["sizes"]) == (12.0, "ramp:6-18", ["5MB:3+10MB:1"])
