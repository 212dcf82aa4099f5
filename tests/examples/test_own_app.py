"""The example app through every verb, as a team would use them: its own environment, its code unchanged."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from testing.emulator import ROOT
from testing.example_app import copied_example, install_aforo
from testing.native_stack import copied_stack
from testing.polling import until
from testing.ports import free_port

pytestmark = [pytest.mark.stack, pytest.mark.own_app, pytest.mark.timeout(1200)]
PYTHON = str(ROOT / ".venv/bin/python")
MATRIX = ("capacity", "matrix", "--sizes", "1MB", "--concurrencies", "1,2", "--modes", "burst", "--count", "8")
#: statuses of the runs, until the second run of the matrix is in progress
ON_THE_WAY = [[], ["preparing"], ["running"], ["finished"], ["finished", "preparing"], ["finished", "running"]]
STATUSES = "SELECT status, count(*) FROM videos WHERE id IN ({keys}) GROUP BY status"
CLEAN = ("local", "clean", "--rows")
#: X and S as anybody would ask the app's own database for them
SELECT = """
SELECT count(*) * 60.0 / ((max(julianday(updated_at)) - min(julianday(uploaded_at))) * 86400),
       avg((julianday(updated_at) - julianday(uploaded_at)) * 86400)
FROM videos WHERE status = 'done' AND id IN ({keys})"""

#: videos that ended by a moment, in epoch seconds, and the mean response time of all
SELECT_WINDOW = """
SELECT sum((julianday(updated_at) - 2440587.5) * 86400 <= {until}),
       avg((julianday(updated_at) - julianday(uploaded_at)) * 86400)
FROM videos WHERE status = 'done' AND id IN ({keys})"""


class Team:
    """A team's folder with the app, and Aforo beside it on free ports."""

    def __init__(self, folder, stack):
        self.folder, self.stack = folder, stack
        copied_example(folder, stack)

    def run(self, *arguments, **options):
        """Run `python -m …` of Aforo for as long as a busy machine needs."""
        environment = self.stack.environment | options
        command = [PYTHON, "-m", *arguments]
        return subprocess.run(
            command, cwd=self.stack.folder, env=environment, capture_output=True, text=True, timeout=500, check=False
        )

    def variant(self, name, *replacements):
        """Write another aforo.toml of the app `own-NAME`, with each (old, new) replaced. Return the options for it."""
        text = (self.folder / "aforo.toml").read_text()
        for old, new in (("own-app", f"own-{name}"), *replacements):
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        path = self.folder / f"{name}.toml"
        path.write_text(text)
        return {"AFORO_APP_FILE": str(path), "YES": "1"}

    def done(self, *steps, **options):
        """Run these commands one after the other. Return what the last one printed."""
        for step in steps:
            ended = self.run(*step, **options)
            assert ended.returncode == 0, f"{step}: {ended.stdout}{ended.stderr}"
        return ended.stdout

    def select(self, statement):
        with sqlite3.connect(self.folder / "service.db") as connection:
            return connection.execute(statement).fetchall()

    def runs(self):
        database = self.stack.folder / ".local/aforo.db"
        if not database.exists():
            return []
        with sqlite3.connect(database) as connection:
            try:
                return connection.execute("SELECT id, status FROM runs ORDER BY created_at").fetchall()
            except sqlite3.OperationalError:  # the tables are being made
                return []

    def aforo(self, statement, *values):
        with sqlite3.connect(self.stack.folder / ".local/aforo.db") as connection:
            return connection.execute(statement, values).fetchall()

    def injected(self, run_id):
        file = self.stack.folder / f"results/runs/{run_id}/injected.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def x_and_s(self, run_id):
        keys = ",".join(str(video["row"]) for video in self.injected(run_id))
        return self.select(SELECT.format(keys=keys))[0]


@pytest.fixture(scope="module")
def team(tmp_path_factory):
    for program in ("prometheus", "redis-server", "ffmpeg"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed; `make setup` installs it")
    install_aforo(tmp_path_factory.mktemp("dist"))
    team = Team(tmp_path_factory.mktemp("team") / "service", copied_stack(tmp_path_factory.mktemp("st")))
    yield team
    down = team.run("local", "down")
    assert down.returncode == 0, down.stderr


@pytest.fixture(scope="module")
def table(team):
    """Run the matrix, kill it in the middle, and run it again. Return its rows."""
    log = team.stack.folder / "matrix.log"
    with open(log, "w", encoding="utf-8") as output:
        started = subprocess.Popen(
            [PYTHON, "-m", *MATRIX],
            cwd=team.stack.folder,
            env=team.stack.environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def second_is_at_work():
        runs = team.runs()
        statuses = [status for _, status in runs]
        assert started.poll() is None and statuses in ON_THE_WAY, statuses
        # a kill between the commit of a row and its line in the list would leave that row to `clean`
        return statuses == ON_THE_WAY[-1] and len(team.injected(runs[-1][0])) == 8

    try:
        until(second_is_at_work, "the second cell's run", 400)
    finally:
        with suppress(ProcessLookupError):  # it has ended by itself, after an error
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()
        print(log.read_text())  # pytest shows it with a failure
    resumed = team.run(*MATRIX, "--json", YES="1")
    assert resumed.returncode == 0, resumed.stderr
    return {row["concurrency"]: row for row in json.loads(resumed.stdout)["rows"]}


def test_the_matrix_of_their_worker_has_x_and_s_as_a_select_on_their_table(team, table):
    assert sorted(table) == [1, 2]
    for row in table.values():
        run_id = row["runs"][0]
        x, s = team.x_and_s(run_id)
        assert row["x_per_minute"] == pytest.approx(x, rel=0.001)
        assert row["s_seconds"] == pytest.approx(s, rel=0.001)
        assert (row["app"], row["done"], row["failed"], row["duplicates"]) == ("own-app", 8, 0, 0)
        assert run_id.endswith("-own-app")


def test_x_sat_comes_from_the_recorded_executions(table):
    assert {row["x_sat_source"] for row in table.values()} == {"slots"}
    assert all(row["x_sat_low"] < row["x_sat_per_minute"] < row["x_sat_high"] for row in table.values())


def test_our_worker_never_reads_their_queue(team, table):
    command = [PYTHON, "-c", "import local.supervisor as s; print(s.processes()['worker'].pid)"]
    shown = subprocess.run(command, cwd=team.stack.folder, capture_output=True, text=True, check=True)
    words = Path(f"/proc/{int(shown.stdout)}/cmdline").read_bytes().split(b"\0")
    assert b"worker.main" in words
    environment = Path(f"/proc/{int(shown.stdout)}/environ").read_bytes().split(b"\0")
    names = {variable.split(b"=")[0] for variable in environment}
    assert not names & {b"APP", b"CONFIG_MODULE", b"LOADER", b"AFORO_APP_FILE", b"YES"}
    assert b"AFORO_INSTRUMENT" in names


def test_the_files_of_the_app_have_names_of_their_own(team, table):
    results = team.stack.folder / "results"
    assert "own-app" in (results / "table-own-app.md").read_text()
    assert (results / "report-own-app.html").exists()
    assert not (results / "table.md").exists()
    written = team.run("capacity", "document")
    assert written.returncode == 0, written.stderr
    document = (team.folder / "escenario_2_worker_throughput.md").read_text()
    assert "own-app, versión" in document
    assert "celery -A worker.main worker" in document


def test_doctor_checks_every_line_and_names_the_wrong_one(team, table):
    shown = team.run("local", "doctor")
    assert shown.returncode == 0, shown.stdout
    assert "worker.tasks.process_video, Celery 5.4.0" in shown.stdout
    assert "no redrive policy" in shown.stdout
    broken = team.folder / "broken.toml"
    broken.write_text((team.folder / "aforo.toml").read_text().replace("tasks.process_video", "tasks.process"))
    wrong = team.run("local", "doctor", AFORO_APP_FILE=str(broken))
    assert wrong.returncode == 3
    assert (
        "app.task (worker.tasks.process); the app has no such task; it has worker.tasks.process_video" in wrong.stdout
    )


def test_a_worker_that_ends_at_its_start_is_one_line_with_its_last_log_line(team, table):
    broken = team.folder / "broken.toml"
    text = (team.folder / "aforo.toml").read_text()
    broken.write_text(text.replace("--loglevel=INFO", "--loglevel=LOUD"))
    shown = team.run("local", "up", AFORO_APP_FILE=str(broken))
    assert shown.returncode == 3
    assert "error: worker; it ended at its start: " in shown.stderr
    assert "LOUD" in shown.stderr
    assert "Traceback" not in shown.stderr


def test_one_video_is_sent_from_end_to_end_and_a_failing_one_is_explained(team, table):
    shown = team.done(("local", "doctor", "--send"))
    assert "one video of own-app was processed from end to end; run " in shown
    wrong = team.variant("wrong", ('"{path}"]', '"/no/such/{key}"]'))
    failed = team.run("local", "doctor", "--send", **wrong)
    assert failed.returncode == 1, failed.stdout
    assert "error: worker.tasks.process_video (" in failed.stderr
    assert "the app ended the video as failed: " in failed.stderr
    assert "Traceback" not in failed.stderr
    team.done(CLEAN, **wrong)


def test_a_sustained_run_has_x_and_s_as_a_select_over_its_window(team, table):
    options = {"MODE": "sustained", "SIZE": "1MB", "COUNT": "8", "RATE": "20", "CONCURRENCY": "2", "YES": "1"}
    team.done(("local", "up"), ("injector", "--monitor"), ("capacity", "wait"), **options)
    row = json.loads(team.done(("capacity", "table", "--json"), MODE="sustained"))["rows"][-1]
    assert (row["mode"], row["done"]) == ("sustained", 8)
    (run_id,) = row["runs"]
    ((started, seconds),) = team.aforo("SELECT started_at, window_seconds FROM runs WHERE id = ?", run_id)
    keys = ",".join(str(video["row"]) for video in team.injected(run_id))
    ((ended, s),) = team.select(SELECT_WINDOW.format(keys=keys, until=started + seconds))
    assert row["x_per_minute"] == pytest.approx(60 * ended / seconds, rel=0.001)
    assert row["s_seconds"] == pytest.approx(s, rel=0.001)


def test_without_instrumentation_x_and_s_are_the_same_select(team, table):
    options = team.variant("plain", ("instrument = true", "instrument = false"))
    options |= {"MODE": "burst", "SIZE": "1MB", "COUNT": "6", "CONCURRENCY": "2"}
    team.done(("local", "up"), ("injector", "--monitor"), ("capacity", "wait"), **options)
    (row,) = json.loads(team.done(("capacity", "table", "--json"), **options))["rows"]
    assert (row["done"], row["x_sat_source"]) == (6, "completion_times")
    assert (row["x_per_minute"], row["s_seconds"]) == pytest.approx(team.x_and_s(row["runs"][0]), rel=0.001)
    team.done(CLEAN, **options)


PRODUCER = """
import json, sqlite3, sys
video = json.load(sys.stdin)
with sqlite3.connect("service.db") as connection:
    made = connection.execute(
        "INSERT INTO videos (owner_id, title, source_path, status, uploaded_at, updated_at) "
        "SELECT 1, 'by a script', ?, 'uploaded', now, now FROM (SELECT strftime('%Y-%m-%d %H:%M:%f', 'now') AS now)",
        [video["path"]],
    )
json.dump({"args": [made.lastrowid, video["path"]], "row": made.lastrowid}, sys.stdout)
"""


def test_a_script_of_the_team_makes_the_rows_and_arguments(team, table):
    (team.folder / "producer.py").write_text(PRODUCER)
    options = team.variant("produced", ('args = ["{row.id}", "{path}"]', 'producer = "producer.py"'))
    options |= {"MODE": "burst", "SIZE": "1MB", "COUNT": "3", "CONCURRENCY": "2"}
    team.done(("local", "up"), ("injector", "--monitor"), ("capacity", "wait"), **options)
    (row,) = json.loads(team.done(("capacity", "table", "--json"), **options))["rows"]
    assert (row["done"], row["failed"]) == (3, 0)
    assert team.select("SELECT count(*) FROM videos WHERE title = 'by a script' AND status = 'done'") == [(3,)]
    team.done(CLEAN, **options)


def test_a_restarted_worker_ends_its_tasks_first_and_no_message_is_lost(team, table):
    options = {"MODE": "burst", "SIZE": "20MB", "COUNT": "4", "CONCURRENCY": "2", "YES": "1"}
    team.done(("local", "up"), ("injector",), **options)
    busy = lambda: team.select("SELECT count(*) FROM videos WHERE status = 'processing'") == [(2,)]  # noqa: E731
    until(busy, "two tasks at work", 60)
    team.done(("local", "up"), ("capacity", "wait"), **options | {"CONCURRENCY": "1"})
    ((run_id,),) = team.aforo("SELECT id FROM runs ORDER BY created_at DESC LIMIT 1")
    outcomes = team.aforo("SELECT outcome, count(*) FROM executions WHERE run_id = ? GROUP BY outcome", run_id)
    assert outcomes == [("done", 4)]
    keys = ",".join(str(video["row"]) for video in team.injected(run_id))
    assert team.select(STATUSES.format(keys=keys)) == [("done", 4)]


def test_clean_removes_exactly_the_rows_that_runs_inserted(team, table):
    team.select("INSERT INTO videos VALUES (9000, 1, 'theirs', '/x', NULL, 'done', NULL, '2026-01-01', '2026-01-01')")
    shown = team.run("local", "clean", "--rows", YES="1")
    assert shown.returncode == 0, shown.stderr
    assert team.select("SELECT id FROM videos") == [(9000,)]


SCALE = """#!/bin/sh
# The team's own way to run its workers. Usage: scale.sh CONCURRENCY WORKERS
cd "$(dirname "$0")"
celery=.venv/bin/celery
$celery multi stopwait 2 --pidfile="$PWD/%n.pid" --logfile="$PWD/%n.log"
[ "$2" = 0 ] || AFORO_INSTRUMENT=1 AFORO_METRICS_PORT=PORTS $celery multi start "$2" -A worker.main \\
  --concurrency="$1" --pidfile="$PWD/%n.pid" --logfile="$PWD/%n.log"
"""


@pytest.fixture
def scaled(team):
    """Return an aforo.toml whose two workers are started by a script of the team."""
    first = free_port()
    script = team.folder / "scale.sh"
    script.write_text(SCALE.replace("PORTS", f"{first}-{first + 3}"))
    script.chmod(0o755)
    text = (team.folder / "aforo.toml").read_text()
    start = text.index("command =")
    lines = [
        'scale = "./scale.sh {concurrency} {workers}"',
        'restore = "./scale.sh 0 0"',
        f'metrics = ["127.0.0.1:{first}-{first + 3}"]',
    ]
    path = team.folder / "scaled.toml"
    rest = text[text.index("\n", start) :]
    path.write_text(text[:start].replace("own-app", "own-scaled") + "\n".join(lines) + rest)
    yield path
    subprocess.run([script, "0", "0"], check=True, timeout=120, capture_output=True)


def test_a_matrix_ends_with_the_restore_of_the_team(team, table, scaled):
    cells = ("--sizes", "1MB", "--concurrencies", "1", "--modes", "burst", "--count", "4", "--json")
    shown = team.done(("capacity", "matrix", *cells), AFORO_APP_FILE=str(scaled), WORKERS="1", YES="1")
    assert [row["done"] for row in json.loads(shown)["rows"]] == [4]
    assert not list(team.folder.glob("*.pid")), "`restore` has stopped the workers"


def test_two_workers_elsewhere_are_scaled_measured_together_and_restored(team, table, scaled):
    options = {"AFORO_APP_FILE": str(scaled), "CONCURRENCY": "1", "WORKERS": "2", "YES": "1"}
    steps = (
        ("local", "up"),
        ("injector", "--count", "6", "--size", "1MB", "--monitor"),
        ("capacity", "wait"),
        ("capacity", "table", "--json"),
        ("local", "restore"),
    )
    shown = {step[:2]: team.run(*step, **options) for step in steps}
    assert [(step, ended.stderr) for step, ended in shown.items() if ended.returncode != 0] == []
    rows = json.loads(shown["capacity", "table"].stdout)["rows"]
    (row,) = (row for row in rows if row["nodes"] == 2)
    assert (row["app"], row["nodes"], row["concurrency"], row["done"]) == ("own-scaled", 2, 1, 6)
    assert row["x_sat_source"] == "slots"
    assert not list(team.folder.glob("*.pid"))


def test_a_matrix_measures_each_number_of_workers_and_ends_with_the_first(team, table, scaled):
    text = scaled.read_text()
    path = team.folder / "levels.toml"
    path.write_text(text.replace('restore = "./scale.sh 0 0"\n', "").replace("own-scaled", "own-levels"))
    options = {"AFORO_APP_FILE": str(path), "YES": "1"}
    assert team.run("local", "up", CONCURRENCY="1", WORKERS="2", **options).returncode == 0
    levels = ("--sizes", "1MB", "--concurrencies", "1", "--workers", "1,2", "--modes", "burst", "--count", "6")
    shown = team.run("capacity", "matrix", *levels, "--json", "--lang", "en", **options)
    assert shown.returncode == 0, shown.stderr
    rows = json.loads(shown.stdout)["rows"]
    assert [(row["nodes"], row["concurrency"], row["done"]) for row in rows] == [(1, 1, 6), (2, 1, 6)]
    assert "-c1-w2-own-levels" in rows[1]["runs"][0]
    assert len(list(team.folder.glob("*.pid"))) == 2, "the matrix began with two workers"
    again = team.run("capacity", "matrix", *levels, "--plan-only", "--json", **options)
    assert json.loads(again.stdout)["left"] == []
