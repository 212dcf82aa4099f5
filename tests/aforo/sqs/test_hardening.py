"""`harden`: each app has its own observer and policy. Apps that cannot be served are refused."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import namedtuple

import kombu
import pytest
from celery import Celery

from aforo.sqs import MessagePolicy, UnsupportedApp, harden, hardening
from aforo.sqs.connection import FailedPoll
from aforo.sqs.observer import PollResult, SilentObserver
from testing.messages import b64, envelope, protocol_1

QUEUE, URL = "q", "http://sqs.test/1/q"


class Counts(SilentObserver):
    def __init__(self):
        self.polls, self.invalid = [], []

    def polled(self, result):
        self.polls.append(result)

    def invalid_message(self, reason):
        self.invalid.append(reason)


def app_with(**conf):
    options = {"region": "us-east-1", "predefined_queues": {QUEUE: {"url": URL}}}
    app = Celery("x", broker="sqs://k:s@sqs.test:4100", set_as_current=False)
    app.conf.update(**{"broker_transport_options": options, **conf})
    return app


def channel_of(app):
    return app.connection_for_read().channel()


def test_two_apps_of_a_process_have_their_own_observer_and_policy(monkeypatch):
    apps, observers = [app_with(), app_with()], [Counts(), Counts()]
    policies = MessagePolicy(tasks={"tiny.work"}, largest_body_bytes=10), MessagePolicy(tasks=())
    for app, observer, policy in zip(apps, observers, policies, strict=True):
        harden(app, observer, policy)
    channels = [channel_of(app) for app in apps]
    channels[0]._on_messages_ready(URL, QUEUE, FailedPoll(PollResult.DENIED, "denied"))
    assert [observer.polls for observer in observers] == [["denied"], []]

    entry = {"ReceiptHandle": "h", "Body": b64(json.dumps(envelope()))}
    for channel in channels:
        monkeypatch.setattr(channel._dead_letters, "move", lambda *_message: True)
        monkeypatch.setitem(channel.connection._callbacks, QUEUE, lambda _message: None)
        channel._on_messages_ready(URL, QUEUE, {"Messages": [entry]})
    assert [observer.invalid for observer in observers] == [["too_large"], ["unknown_task"]]


def test_two_apps_never_share_a_pooled_connection():
    apps = [app_with(), app_with()]
    for app in apps:
        harden(app)
    assert kombu.pools.connections[apps[0].connection()] is not kombu.pools.connections[apps[1].connection()]


@pytest.mark.parametrize(
    "changes",
    [
        {"headers__task": "other"},
        {"headers__compression": "application/x-gzip"},
        {"headers__timelimit": [1.5, None]},
        {"headers__eta": "2100-01-01T00:00:00+00:00"},
        {"headers__shadow": "another name"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_without_a_policy_what_celery_accepts_is_accepted(changes):
    app = app_with(task_compression="gzip")
    harden(app)
    policy = channel_of(app)._hardening.policy
    assert policy.invalid_reason(json.dumps(envelope(**changes))) is None


def test_without_a_policy_a_serializer_that_the_app_accepts_is_left_to_celery():
    pickled = {"content-type": "application/x-python-serialize", "content-encoding": "binary", "body": "gAQ="}
    body = json.dumps(envelope() | pickled)
    for accepted, reason in ((["json"], "bad_content_type"), (["json", "pickle"], None)):
        app = app_with(accept_content=accepted, task_serializer=accepted[-1])
        harden(app)
        assert channel_of(app)._hardening.policy.invalid_reason(body) == reason


@pytest.mark.parametrize("countdown", [None, 3600])
def test_without_a_policy_what_celery_sends_in_protocol_1_is_accepted_and_its_countdown_is_known(countdown):
    app = app_with(task_protocol=1)
    sent = app.amqp.create_task_message("i", "tiny.work", ["x"], {}, countdown=countdown)
    body = json.dumps(envelope(headers=sent.headers, body=b64(json.dumps(sent.body))))
    harden(app)
    call = channel_of(app)._hardening.policy.accept(body)
    assert (call.task, call.args, call.kwargs) == ("tiny.work", ["x"], {})
    assert call.due_at == (countdown and pytest.approx(time.time() + countdown, abs=60))


def test_a_policy_of_an_app_refuses_protocol_1_unless_it_says_otherwise():
    for policy, reason in ((MessagePolicy(), "bad_headers"), (MessagePolicy(allows_protocol_1=True), None)):
        app = app_with()
        harden(app, policy=policy)
        assert channel_of(app)._hardening.policy.invalid_reason(json.dumps(protocol_1())) == reason


def test_a_body_as_large_as_sqs_accepts_is_read():
    policy, smaller = MessagePolicy(), MessagePolicy(largest_body_bytes=2**20 - 1)
    body = json.dumps(envelope())
    body += " " * (2**20 - len(body))
    assert policy.invalid_reason(body) is None
    assert policy.invalid_reason(body + " ") == "too_large"
    assert smaller.invalid_reason(body) == "too_large"


@pytest.mark.parametrize(
    ("conf", "text"),
    [
        (
            {"accept_content": ["json", "pickle"]},
            "accept_content (application/x-python-serialize); the message policy refuses that type; use 'json'",
        ),
        (
            {"task_serializer": "yaml"},
            "task_serializer (application/x-yaml); the message policy refuses that type; use 'json'",
        ),
        (
            {"accept_content": ["json", "xml"]},
            "accept_content (xml); kombu has no such serializer; use 'json', or install it",
        ),
        (
            {"task_compression": "gzip"},
            "task_compression (gzip); the message policy refuses compressed messages; remove it",
        ),
        (
            {"broker_transport_options": {"visibility_timeout": 43201}},
            "visibility_timeout (43201); SQS allows 12 h; use at most 43200",
        ),
        ({"broker_url": "redis://u:secret@host:1/0"}, "broker_url (host:1/0); it is not SQS; use sqs://"),
    ],
)
def test_an_app_that_cannot_be_served_is_refused_in_one_line(conf, text):
    with pytest.raises(UnsupportedApp) as refused:
        harden(app_with(**conf), policy=MessagePolicy(allows_compression=False))
    assert str(refused.value) == text


def test_another_series_of_kombu_is_refused(monkeypatch):
    version = namedtuple("version", "major minor")
    monkeypatch.setattr(hardening.kombu, "VERSION", version(5, 8))
    monkeypatch.setattr(hardening.kombu, "__version__", "5.8.0")
    with pytest.raises(
        UnsupportedApp, match=r"kombu \(5\.8\.0\); it was not tested; install kombu 5\.3, 5\.4, 5\.6 or 5\.7"
    ):
        harden(app_with())


def test_a_kombu_that_does_not_receive_by_curl_is_refused(monkeypatch):
    monkeypatch.setattr(hardening, "find_spec", lambda name: None if name == "kombu.asynchronous.http.curl" else name)
    monkeypatch.setattr(hardening.kombu, "__version__", "5.5.4")
    text = r"^kombu \(5\.5\.4\); its receive calls block the worker; use celery 5\.3, 5\.4, 5\.6 or 5\.7$"
    with pytest.raises(UnsupportedApp, match=text):
        harden(app_with())


def test_importing_the_package_imports_no_client_of_aws():
    program = "import aforo.sqs, aforo.sqs.message, sys; print({'boto3', 'botocore', 'pycurl'} & sys.modules.keys())"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "set()\n"
