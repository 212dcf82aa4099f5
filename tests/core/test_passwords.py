"""Passwords of URLs and parameters are hidden, and nothing else is."""

import pytest

from core.database import open_engine
from core.errors import AforoError, EnvironmentFault
from core.passwords import without_passwords, without_secrets
from core.settings import Settings, UsageError


@pytest.mark.parametrize(
    "text",
    [
        "redis://:s3cret@127.0.0.1:6379/0",
        "redis://user:s3cret@host",
        "cannot connect to redis://:s3cret@host/0; try again",
        "postgresql://u@host/db?password=s3cret",
        "postgresql://u@host/db?sslmode=require&PASSWORD=s3cret&x=1",
        "host=db user=u password='s3cret' dbname=x",
        "postgresql://u:s3cret@with@host/db",
        "mysql://u:p/s3cret@h/x",
        "mysql://u:1234/s3cret@h/x",
        "AFORO_DATABASE_URL (mysql://u:p/s3cret@h/x); No module named 'MySQLdb'",
        "postgresql://u:hun s3cret@h/db",
        "cannot connect to postgresql://u:hun s3cret@h/db; try again",
        "cannot connect to postgresql://u:s3cret hun@ter@h/db; try again",
        "redis:s3cret@h",
        "rediss:/:s3cret@h",
        "AFORO_REDIS_URL (redis:s3cret@h)",
        "://u:p/s3cret@h",
        "http://host/?token=s3cret",
        "mysql://u@h/db?passwd=s3cret",
    ],
)
def test_a_password_is_hidden_wherever_it_stands(text):
    shown = without_passwords(text)
    assert "s3cret" not in shown
    assert "***" in shown
    assert "s3cret" not in str(EnvironmentFault("database", text, text, value=text))


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:4566/q",
        "postgresql://u@host:5432/db",
        "sqlite:////tmp/x@y.db",
        "sqlite:x@y.db",
        "the password is wrong",
        "a=b",
        "http://127.0.0.1:9090 does not answer; start celery@host",
        "see http://127.0.0.1:9090/targets and celery@host",
        "http://[::1]:9090 does not answer; start celery@host",
        "https://host: no answer from celery@host",
        "python:3.12@sha256:00ff",
        "celery -b redis://:***@h worker -n w@%h",
        "mysql://u:***@h/x; ask a@b",
    ],
)
def test_a_text_without_password_stays_as_it_is(text):
    assert without_passwords(text) == text


def test_the_password_of_a_value_ends_at_its_last_at_sign():
    assert without_passwords("postgresql://u:hun@ter s3cret@h/db") == "postgresql://u:***@h/db"


@pytest.mark.parametrize("url", ["mysql://u:p/s3cret@h/x", "mysql://u:p s3cret@h/x", "mysql://u:p@q s3cret@h/x"])
def test_the_error_of_a_database_without_driver_hides_the_password(url):
    with pytest.raises(AforoError) as caught:
        open_engine(url)
    assert "s3cret" not in str(caught.value)
    assert "mysql://u:***@h/x" in str(caught.value)


def test_only_the_password_of_a_command_line_is_hidden():
    text = "celery -b redis://:s3/cret@h worker -n w@%h"
    assert without_passwords(text) == "celery -b redis://:***@h worker -n w@%h"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AFORO_DATABASE_URL", "no-url?password=s3cret"),
        ("AFORO_EVENTS_REDIS_URL", "redis:s3cret@h"),
        ("AFORO_EVENTS_REDIS_URL", "rediss:/:s3cret@h"),
    ],
)
def test_the_error_of_a_setting_hides_the_password(name, value):
    with pytest.raises(UsageError) as caught:
        Settings.from_env({name: value})
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('scale = "AWS_SECRET_ACCESS_KEY=s3/cr+et docker up"', 'scale = "AWS_SECRET_ACCESS_KEY=*** docker up"'),
        ("SOME_TOKEN=s3cret;up", "SOME_TOKEN=***"),
        ("API_KEY='s3 cret' up", "API_KEY=*** up"),
        ('DB_PASSWORD="s3 cret" up', "DB_PASSWORD=*** up"),
        (r'scale = "API_KEY=\"s3 cret\" up"', 'scale = "API_KEY=*** up"'),
        ('headers = { api_key = "s3cret", n = 1 }', "headers = { api_key = ***, n = 1 }"),
        ('headers = { "X-Api-Key" = "s3cret", n = 1 }', 'headers = { "X-Api-Key" = ***, n = 1 }'),
        ("pg_isready -d postgresql://me:s3cret@h/db", "pg_isready -d postgresql://me:***@h/db"),
        ('kwargs = { token_b = """s3\ncret""" }', "kwargs = { token_b = *** }"),
    ],
)
def test_the_value_of_a_name_of_a_secret_is_hidden_and_the_rest_of_the_line_stays(text, shown):
    assert without_secrets(text) == shown


@pytest.mark.parametrize(
    "text",
    ['insert = { source_key = "{key}" }', "CONCURRENCY={concurrency} up", 'url = "env:API_KEY"', "monkey business"],
)
def test_a_placeholder_and_a_line_without_a_secret_stay_as_they_are(text):
    assert without_secrets(text) == text
