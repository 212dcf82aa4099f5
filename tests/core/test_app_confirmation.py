"""Before an app is tested: what will be sent where, and one question if the queue is elsewhere or not empty."""

import dataclasses

import click
import pytest

from core.app_confirmation import Target, confirm
from core.app_file import read_app_file
from core.errors import UsageError
from core.settings import Aws, Settings
from core.sqs_queue import QueueAttributes
from tests.core.app_file.conftest import team  # noqa: F401 (a fixture)

URL = "http://127.0.0.1:4566/123456789012/videos"


@pytest.fixture
def target(team):  # noqa: F811
    def make(endpoint="http://127.0.0.1:4566", messages=0):
        settings = dataclasses.replace(Settings.from_env({}), aws=Aws(endpoint_url=endpoint))
        return Target(settings, read_app_file(team()), None, QueueAttributes(URL, messages, 0, 0, 30, None, None), None)

    return make


def asked(monkeypatch, answer):
    questions = []

    def confirm_(question, **_options):
        questions.append(question)
        if answer is None:
            raise click.Abort
        return answer

    monkeypatch.setattr(click, "confirm", confirm_)
    return questions


def test_the_lines_name_endpoint_account_queue_and_number(target):
    assert list(target(messages=3).lines(100)) == [
        "app mi-app: 100 tasks app.tasks.process_video",
        "  queue videos at http://127.0.0.1:4566, account 123456789012: 3 messages in it",
    ]
    assert "queue videos at AWS, region us-east-1" in list(target(endpoint=None).lines(1))[1]


def test_a_script_that_makes_the_rows_is_named_before_anything_is_sent(target, team, tmp_path):  # noqa: F811
    (tmp_path / "make.py").write_text("")
    produced = read_app_file(team('queue = "videos"', 'queue = "videos"\nproducer = "make.py"'))
    lines = list(dataclasses.replace(target(), app=produced).lines(100))
    assert lines[-1] == f"  rows and arguments by {tmp_path}/make.py"


def test_an_empty_queue_on_this_machine_is_not_asked_about(target, monkeypatch):
    questions = asked(monkeypatch, False)
    confirm(target(), 100, assume_yes=False)
    assert questions == []


@pytest.mark.parametrize(
    ("endpoint", "messages", "question"),
    [
        (None, 0, "the queue is not on this machine; send 8 videos?"),
        ("http://127.0.0.1:4566", 2, "it holds 2 messages; send 8 videos?"),
        ("http://sqs.example:9324", 2, "the queue is not on this machine; it holds 2 messages; send 8 videos?"),
    ],
)
def test_a_doubt_is_asked_once_and_a_no_or_nobody_to_ask_sends_nothing(
    target, monkeypatch, endpoint, messages, question
):
    doubtful = target(endpoint, messages)
    for answer in (False, None):
        questions = asked(monkeypatch, answer)
        with pytest.raises(UsageError, match="it was not confirmed; answer y, or give YES=1"):
            confirm(doubtful, 8, assume_yes=False)
        assert questions == [question]
    questions = asked(monkeypatch, True)
    confirm(doubtful, 8, assume_yes=False)
    confirm(doubtful, 8, assume_yes=True)
    assert questions == [question]
