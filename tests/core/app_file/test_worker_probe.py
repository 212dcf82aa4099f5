"""Facts about an app that its own Python reads."""

import sys

import pytest

from core.app_file import read_app_file
from core.app_file.worker_probe import WorkerFacts, probe_worker, require_task

FILE = """\
[app]
name = "theirs"
task = "their_app.process"
args = ["{{path}}"]
queue = "{queue}"
[worker]
python = "{python}"
command = "celery -A their_app worker --concurrency={{concurrency}}"
[input]
folder = "."
"""
MODULE = """\
from celery import Celery
app = Celery("their_app", broker="sqs://")
app.conf.broker_transport_options = {options}
@app.task(acks_late=True)
def process(path): ...
"""
URL = "https://sqs.eu-west-1.amazonaws.com/1/"


@pytest.mark.parametrize(
    ("options", "queue", "routing_key"),
    [
        ({}, "videos", "videos"),
        ({"queue_name_prefix": "team-"}, "team-videos", "videos"),
        ({"queue_name_prefix": "team."}, "team-videos", "videos"),
        ({"predefined_queues": {"jobs": {"url": f"{URL}videos"}}}, "videos", "jobs"),
        ({"queue_name_prefix": "team-", "predefined_queues": {"team-jobs": {"url": f"{URL}v"}}}, "v", "jobs"),
    ],
)
def test_the_name_of_the_queue_in_celery_is_read_from_the_app(tmp_path, options, queue, routing_key):
    file = tmp_path / "aforo.toml"
    file.write_text(FILE.format(queue=queue, python=sys.executable))
    file.chmod(0o644)
    (tmp_path / "their_app.py").write_text(MODULE.format(options=options))
    facts = probe_worker(read_app_file(file))
    assert facts.error is None
    assert facts.routing_key == routing_key
    assert (facts.tasks, facts.acks_late) == (("their_app.process",), True)


@pytest.mark.parametrize(
    ("started", "routing_key"),
    [
        ('scale = "true"\napp = "their_app"', "jobs"),
        ('command = "./start {concurrency}"\napp = "their_app"', "jobs"),
        ('command = "celery -A their_app worker -c {concurrency}"\napp = "not.that"', "jobs"),
        ('scale = "true"', None),
    ],
)
def test_an_app_that_no_command_names_is_imported_by_the_name_in_the_file(tmp_path, started, routing_key):
    file = tmp_path / "aforo.toml"
    command = 'command = "celery -A their_app worker --concurrency={concurrency}"'
    file.write_text(FILE.format(queue="videos", python=sys.executable).replace(command, started))
    file.chmod(0o644)
    options = {"predefined_queues": {"jobs": {"url": f"{URL}videos"}}}
    (tmp_path / "their_app.py").write_text(MODULE.format(options=options))
    facts = probe_worker(read_app_file(file))
    assert (facts.error, facts.routing_key) == (None, routing_key)
    assert facts.acks_late is (None if routing_key is None else True)


@pytest.mark.parametrize("option", ["-I more_tasks", "--include=more_tasks"])
def test_tasks_of_modules_that_the_command_includes_are_known(tmp_path, option):
    file = tmp_path / "aforo.toml"
    text = FILE.format(queue="videos", python=sys.executable)
    file.write_text(text.replace(" worker ", f" worker {option} ").replace("their_app.process", "more_tasks.encode"))
    file.chmod(0o644)
    (tmp_path / "their_app.py").write_text(MODULE.format(options={}))
    (tmp_path / "more_tasks.py").write_text("from their_app import app\n@app.task\ndef encode(path): ...\n")
    app = read_app_file(file)
    facts = probe_worker(app)
    assert facts.tasks == ("more_tasks.encode", "their_app.process")
    require_task(app, facts)


def test_a_worker_of_another_machine_is_not_asked_for_its_task(team):
    app = read_app_file(team('command = "celery -A app.main worker --concurrency={concurrency}"', 'scale = "./scale"'))
    require_task(app, WorkerFacts())
    require_task(app, WorkerFacts(error="No module named celery"))
