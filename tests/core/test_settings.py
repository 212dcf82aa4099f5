import re
from types import SimpleNamespace

import pytest

from core import settings as module
from core.errors import UsageError
from core.settings import EMULATOR_URL, Settings, declared


def test_the_native_stack_uses_its_own_emulator_and_aws_does_not():
    assert Settings.from_env({}).aws.endpoint_url == EMULATOR_URL
    assert Settings.from_env({"STACK": "aws"}).aws.endpoint_url is None


def test_an_invalid_value_is_an_error_with_name_value_and_allowed_values():
    with pytest.raises(UsageError) as refusal:
        Settings.from_env({"AFORO_QUEUE_LONG_POLL_SECONDS": "99"})
    assert str(refusal.value).startswith("AFORO_QUEUE_LONG_POLL_SECONDS (99); it must be a whole number from 1 to 20")


def test_the_error_of_an_invalid_url_hides_its_password():
    with pytest.raises(UsageError) as refusal:
        Settings.from_env({"AFORO_DATABASE_URL": "//user:hunter2@host/x"})
    assert "hunter2" not in str(refusal.value)


def test_a_dotenv_file_with_bom_crlf_quotes_and_export_is_read(tmp_path, monkeypatch):
    file = tmp_path / ".env"
    file.write_bytes("\ufeffexport SQS_QUEUE_NAME='mine'\r\nAWS_REGION=eu-west-1\r\n".encode())
    monkeypatch.delenv("AWS_REGION", raising=False)
    settings = Settings.from_process(file)
    monkeypatch.delenv("AWS_REGION", raising=False)
    assert (settings.queue.name, settings.aws.region) == ("mine", "eu-west-1")


@pytest.mark.parametrize(("ours", "notes"), [(None, 1), ("sqlite:///a.db", 0)])
def test_a_database_url_of_another_app_is_ignored_with_one_note(ours, notes, tmp_path, monkeypatch, capsys):
    module._note_other_database.cache_clear()
    monkeypatch.setenv("DATABASE_URL", "postgresql://app:hunter2@host/app")
    monkeypatch.delenv("AFORO_DATABASE_URL", raising=False)
    if ours:
        monkeypatch.setenv("AFORO_DATABASE_URL", ours)
    urls = {Settings.from_process(tmp_path / ".env").database.url for _ in range(2)}
    shown = capsys.readouterr().err
    assert urls == {ours or "sqlite:///.local/aforo.db"}
    assert (shown.count("note: DATABASE_URL is not read"), shown.count("\n"), "hunter2" in shown) == (
        notes,
        notes,
        False,
    )


def test_the_settings_of_a_plan_and_the_language_come_from_the_dotenv_file_too(tmp_path, monkeypatch):
    names = ("AFORO_LANG", "AFORO_PLAN_WAIT_P95", "AFORO_PLAN_PRICE_PER_HOUR", "AFORO_PROMTOOLS", "PROFILE")
    for name in names:
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / ".env"
    values = ("en", "5min", "0.17", "/a/promtool:/b/promtool", "showcase")
    file.write_text("".join(f"{name}={value}\n" for name, value in zip(names, values, strict=True)))
    settings = Settings.from_process(file)
    assert (settings.lang, settings.plan.wait_p95_seconds, settings.plan.price_per_hour) == ("en", 300.0, 0.17)
    assert (settings.promtools, settings.profile) == (("/a/promtool", "/b/promtool"), "showcase")


def test_aws_variables_of_an_app_replace_those_of_the_dotenv_file_and_of_the_process():
    app = SimpleNamespace(
        aws_variables={"AWS_ENDPOINT_URL": "http://app:1", "AWS_DEFAULT_REGION": "eu-west-1"}, queue="q"
    )
    ours = {"AWS_ENDPOINT_URL": "http://ours:4566", "AWS_SECRET_ACCESS_KEY": "ours", "AFORO_LANG": "en"}
    read = module._environment_of_app(app, ours, {"AWS_ENDPOINT_URL": "http://process:1", "AWS_PROFILE": "me"})
    assert read == {
        "AFORO_LANG": "en",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://app:1",
        "AWS_PROFILE": "me",
        "AWS_REGION": "eu-west-1",
        "SQS_QUEUE_NAME": "q",
    }


@pytest.mark.parametrize("text", ["", "60", "0s", "-1s", "1d"])
def test_a_duration_without_unit_or_length_is_an_error(text):
    with pytest.raises(UsageError, match=r"^AFORO_PLAN_WAIT_P95 .* a duration such as 60s"):
        Settings.from_env({"AFORO_PLAN_WAIT_P95": text})


@pytest.mark.parametrize("setting", declared(), ids=lambda setting: setting["name"])
def test_a_setting_with_few_values_names_them_all(setting):
    try:
        Settings.from_env({setting["name"]: "no such word"})
        error = ""
    except UsageError as refusal:
        error = str(refusal)
    choice = re.search(r"it must be one of ([^;]+);", error)
    words = choice.group(1).split(", ") if choice else []
    assert [word for word in words if word not in setting["meaning"]] == []
