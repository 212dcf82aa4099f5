"""Facts about an app that its own Python reads."""

import sys

import pytest

from core.app_file import read_app_file
from core.app_file.worker_probe import probe_worker

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
