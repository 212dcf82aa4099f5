"""Every verb of the analysis on the runs of an app that is not ours, beside a run of the reference worker."""

import json
import sys
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from sqlalchemy import select, update

from capacity.__main__ import main
from capacity.runs.run_files import write_archive
from core.errors import RunFailed, UsageError
from core.models import ExecutionRow, RunRow
from core.run import Mode
from core.settings import Settings
from tests.capacity.store import NO_SERVER, add_run, burst, open_store, resources_of, run_row

FACTS = {"name": "mi-app", "version": "unknown", "file": "/x/aforo.toml", "sha256": "0" * 64, "task": "app.process",
         "queue": "videos", "started_by": "celery -A app worker", "instrumented": True, "acks_late": True}  # fmt: skip
FILE = """\
[app]
name = "mi-app"
task = "app.process"
args = ["{path}"]
queue = "videos"
[worker]
python = "/bin/true"
command = "celery -A app worker --concurrency={concurrency}"
[input]
folder = "."
"""


def of_app(row, missed=0, **facts):
    row.environment = {**row.environment, "app": FACTS | facts}
    row.profile, row.executions_missed = "mi-app", missed
    return row


def record(sessions, settings, row, start, end, slot=None, uploaded=None):
    with sessions.begin() as session:
        add_run(session, row, start, end, slot=slot, uploaded=uploaded)
    with sessions.begin() as session:
        if row.profile == "mi-app":
            unknown = {name: None for name in vars(ExecutionRow) if name.endswith("_seconds")}
            known = {"worker": "spool", "cpu_seconds": 4.0, "transcode_seconds": 4.0}
            session.execute(update(ExecutionRow).where(ExecutionRow.run_id == row.id).values(unknown | known))
        run = session.get_one(RunRow, row.id)
        write_archive(session, run, resources_of(run, 90, 1.2), settings.results.path / "runs" / row.id)


@pytest.fixture
def store(tmp_path):
    """Return the sessions and the settings of a store, and a function that runs a verb with the app's file."""
    path = tmp_path / "aforo.toml"
    path.write_text(FILE)
    path.chmod(0o644)
    environment = {
        "AFORO_DATABASE_URL": f"sqlite:///{tmp_path}/store.db",
        "AFORO_RESULTS_PATH": str(tmp_path / "results"),
        "AFORO_PROMETHEUS_URL": NO_SERVER,
        "AFORO_GRAFANA_URL": NO_SERVER,
    }
    sessions, settings = open_store(tmp_path / "store.db"), Settings.from_env(environment)
    with_app = environment | {"AFORO_APP_FILE": str(path), "AFORO_LANG": "en"}
    return sessions, settings, lambda *words: CliRunner().invoke(main, words, env=with_app, catch_exceptions=False)


@pytest.fixture
def verb(store):
    sessions, settings, run = store
    bursts = (("b1", 1, 5.0), ("b2", 2, 5.2), ("b4", 4, 10.4), ("b2b", 2, 5.25), ("b2c", 2, 5.3), ("b2d", 2, 5.35))
    for number, (name, slots, seconds) in enumerate(bursts):
        row, start, end, slot = burst(slots, 16, seconds, 1e9 + 1000 * number, name)
        record(sessions, settings, of_app(row), start, end, slot)
    row, start, end, slot = burst(2, 16, 1.0, 1e9 + 7000, "ours")
    record(sessions, settings, row, start, end, slot)
    arrivals = [6.0 * k for k in range(60)]
    sustained = run_row("s2", count=60, mode=Mode.SUSTAINED, created_at=1e9 + 8000, rate=10.0, window_seconds=360.0)
    starts = [at + 0.5 for at in arrivals]
    record(sessions, settings, of_app(sustained), starts, [at + 5 for at in starts], uploaded=arrivals)
    return run


def test_the_table_has_the_runs_of_the_app_and_no_other(verb):
    rows = json.loads(verb("table", "--json").stdout)["rows"]
    assert [(row["app"], row["concurrency"], row["mode"]) for row in rows] == [
        ("mi-app", 1, "burst"),
        ("mi-app", 2, "burst"),
        ("mi-app", 4, "burst"),
        ("mi-app", 2, "sustained"),
    ]


def test_report_shows_the_known_stage_alone_and_how_to_measure_the_limits(verb, tmp_path):
    shown = verb("report", "b2")
    assert shown.exit_code == 0
    text = " ".join(shown.stdout.split())
    assert "stages ffmpeg 4.000 s · UNMEASURED 1.184 s" in text
    assert "0.000 s" not in text
    assert "unknown; `python -m aforo measure-limits` where the worker runs measures it" in text
    assert (tmp_path / "results/report-mi-app.html").exists()


def test_compare_usl_and_plan_work_on_the_runs_of_an_app(verb):
    compared = json.loads(verb("compare", "b2,b2b", "b2c,b2d", "--json").stdout)["comparison"]
    assert compared["gate"] != "not_comparable", compared
    assert compared["ratio"] == pytest.approx((5.225 + 0.1) / (5.325 + 0.1), rel=0.005)
    fitted = json.loads(verb("usl", "--runs", "b1,b2,b4", "--json").stdout)
    assert len(fitted["efficiency"]) == 3
    assert fitted["bound"]["per_slot"] == pytest.approx(60 / 5.1, rel=0.02)
    planned = json.loads(verb("plan", "--demand", "30/min", "--runs", "b2", "--json").stdout)
    assert planned["demand"]["service_seconds"] == pytest.approx(5.2, rel=0.02)
    assert planned["demand"]["slots_per_worker"] == 2


def test_the_document_stands_beside_the_file_and_repeats_with_it(verb, tmp_path):
    assert verb("document").exit_code == 0
    text = (tmp_path / "escenario_2_worker_throughput.md").read_text()
    assert "mi-app, versión desconocida, tarea `app.process`, cola `videos`" in text
    assert "make matrix APP=ruta/aforo.toml SIZES=5MB CONCURRENCY=1,2,4" in text
    assert "make document APP=ruta/aforo.toml\n" in text


def test_a_folder_without_archived_runs_gives_no_document(verb, tmp_path):
    with pytest.raises(UsageError, match=r"it has no archived run; give the folder results/runs$") as caught:
        verb("document", "--runs", str(tmp_path))
    assert caught.value.exit_code == 2


def test_a_search_leaves_the_encoding_to_the_app_and_restores_its_workers(store, monkeypatch):
    calls = []

    class Launcher:
        settings = SimpleNamespace(app=SimpleNamespace(name="mi-app"))

        def run(self, request, _progress):
            calls.append((request.size, request.concurrency, request.mode, request.profile))
            raise RunFailed("run", "the worker is gone", "start it")

        def restore(self):
            calls.append("restored")

    search = sys.modules["capacity.commands.search"]  # the package holds the command of the same name
    monkeypatch.setattr(search.RunLauncher, "open", lambda *_args, **_options: Launcher())
    shown = CliRunner().invoke(main, ["search", "--size", "1MB", "--concurrency", "2"], env={"AFORO_LANG": "en"})
    assert isinstance(shown.exception, RunFailed)
    assert calls == [("1MB", 2, Mode.BURST, None), "restored"]


def test_900_of_1000_executions_lost_stand_in_table_and_report(store):
    sessions, settings, run = store
    row, start, end, slot = burst(2, 1000, 0.1, 1e9, "b2")
    record(sessions, settings, of_app(row, missed=900), start, end, slot)
    with sessions.begin() as session:
        for execution in session.scalars(select(ExecutionRow).order_by(ExecutionRow.started_at).limit(900)):
            session.delete(execution)
    (shown,) = json.loads(run("table", "--json").stdout)["rows"]
    assert (shown["done"], shown["validity"], shown["validity_reasons"]) == (1000, "invalid", ["missed_executions"])
    assert "; 900 executions lost;" in run("table").stdout
    assert "900 executions lost" in " ".join(run("report", "b2").stdout.split())


@pytest.mark.parametrize(("has_one", "warned"), [(False, True), (True, False), (None, False)])
def test_a_queue_without_a_dead_letter_queue_is_a_warning_and_lowers_no_validity(store, has_one, warned):
    sessions, settings, run = store
    row, start, end, slot = burst(2, 16, 5.0, 1e9, "w2")
    record(sessions, settings, of_app(row, dead_letter_queue=has_one), start, end, slot)
    output = run("report", "w2").output
    assert ("it has no dead-letter queue" in output) is warned
    assert "validity" in output
    assert "INVALID" not in output
