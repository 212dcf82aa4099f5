"""Passwords of URLs and parameters are hidden, and nothing else is."""

import pytest

from core.errors import EnvironmentFault
from core.passwords import without_passwords
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
    ["http://127.0.0.1:4566/q", "postgresql://u@host:5432/db", "sqlite:////tmp/x@y.db", "the password is wrong", "a=b"],
)
def test_a_text_without_password_stays_as_it_is(text):
    assert without_passwords(text) == text


def test_the_error_of_a_setting_hides_the_password():
    with pytest.raises(UsageError) as caught:
        Settings.from_env({"AFORO_DATABASE_URL": "no-url?password=s3cret"})
    assert "s3cret" not in str(caught.value)
