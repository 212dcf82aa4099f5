"""Effects of `instrument` on an app, and its errors."""

import string
import subprocess
import sys
from types import SimpleNamespace

import pytest
from celery import Celery
from celery.signals import celeryd_init, worker_init
from kombu import Queue
from kombu.transport.SQS import CHARS_REPLACE_TABLE

import aforo
from aforo import autoload
from aforo.telemetry import event_channel, instrument
from aforo.telemetry.instrument import KOMBU_REPLACES, _queues
from testing.emulator import ROOT

SQS = "https://sqs.eu-west-1.amazonaws.com/1"
BLOCKED = "import sys; sys.modules.update(dict.fromkeys(('boto3', 'botocore', 'pycurl', 'redis')))"


class Worker:
    """The sender of Celery's signal `worker_init`."""

    def __init__(self, app, pool_cls):
        self.app, self.pool_cls = app, pool_cls


@pytest.fixture
def app():
    yield Celery("t", broker="memory://", set_as_current=False)
    event_channel.use(None)


@pytest.fixture
def errors(caplog):
    return lambda: [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )


def test_the_worker_reports_the_queues_it_reads():
    app = Celery(broker="sqs://")
    app.conf.task_queues = (Queue("a"), Queue("b"))
    assert _queues(app) == ["a", "b"]
    app.conf.broker_transport_options = {"queue_name_prefix": "team-"}
    assert _queues(app) == ["team-a", "team-b"]


@pytest.mark.parametrize(
    ("name", "options", "in_sqs"),
    [
        ("jobs", {"predefined_queues": {"jobs": {"url": f"{SQS}/videos"}}}, "videos"),
        ("jobs", {"predefined_queues": {"team-jobs": {"url": f"{SQS}/v"}}, "queue_name_prefix": "team-"}, "v"),
        ("jobs", {"predefined_queues": {"others": {"url": f"{SQS}/videos"}}}, "jobs"),
        ("videos.high", {}, "videos-high"),
        ("videos.high", {"predefined_queues": {"videos-high": {"url": f"{SQS}/high"}}}, "high"),
    ],
)
def test_the_worker_reports_a_queue_by_its_name_in_sqs(name, options, in_sqs):
    app = Celery(broker="sqs://")
    app.conf.task_default_queue = name
    app.conf.broker_transport_options = options
    assert _queues(app) == [in_sqs]


def test_a_queue_is_renamed_for_sqs_as_kombu_does():
    assert string.punctuation.translate(KOMBU_REPLACES) == string.punctuation.translate(CHARS_REPLACE_TABLE)


def test_an_app_that_is_instrumented_twice_has_one_set_of_metrics(app):
    first = aforo.instrument(app, port=9102)
    assert first is not None
    assert aforo.instrument(app) is first
    celeryd_init.connect(autoload.instrument_worker, weak=False)
    try:
        celeryd_init.send(sender="w", instance=SimpleNamespace(app=app))
    finally:
        celeryd_init.disconnect(autoload.instrument_worker)
    assert aforo.instrument(app) is first


def test_a_wrong_setting_is_one_line_and_the_worker_runs_unmeasured(app, monkeypatch, errors):
    monkeypatch.setenv("AFORO_METRICS_PORT", "web")
    assert aforo.instrument(app) is None
    assert errors() == [
        "aforo cannot measure this worker, which runs unmeasured: "
        "AFORO_METRICS_PORT (web) is not a port or a range of ports such as 9101-9110"
    ]


def test_with_strict_a_worker_that_cannot_be_measured_ends(app, monkeypatch):
    monkeypatch.setenv("AFORO_METRICS_PORT", "web")
    monkeypatch.setenv("AFORO_STRICT", "1")
    with pytest.raises(SystemExit, match="AFORO_METRICS_PORT"):
        aforo.instrument(app)


def test_an_unsupported_pool_is_one_line_and_its_tasks_are_not_counted(app, errors):
    class Pool:
        """A pool class of another package."""

    metrics = aforo.instrument(app)
    worker_init.send(sender=Worker(app, Pool))
    assert errors() == [
        f"aforo cannot measure this worker, which runs unmeasured: the pool {__name__} is none of prefork, threads "
        "and solo"
    ]
    assert metrics.channel is None


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
def test_the_pools_of_celery_are_supported(pool, errors):
    instrument._require_known_pool(pool)
    assert errors() == []


def test_the_package_imports_nothing_until_a_function_is_used():
    completed = python("import sys, aforo; print(any(m in sys.modules for m in ('celery', 'prometheus_client')))")
    assert (completed.stdout, completed.stderr) == ("False\n", "")


def test_telemetry_needs_no_package_of_an_extra():
    completed = python(f"{BLOCKED}; import aforo; print(aforo.instrument.__name__, aforo.stage.__name__)")
    assert (completed.stdout, completed.stderr) == ("instrument stage\n", "")


def test_the_entry_point_imports_no_telemetry_and_connects_only_when_instrumenting_is_on():
    code = (
        "import sys, aforo.autoload; from celery.signals import celeryd_init; "
        "print('aforo.telemetry' in sys.modules, bool(celeryd_init.receivers))"
    )
    assert python(code).stdout == "False False\n"
    assert python(code, AFORO_INSTRUMENT="0").stdout == "False False\n"
    assert python(code, AFORO_INSTRUMENT="1").stdout == "False True\n"
