import re

import pytest

from core.errors import UsageError
from core.settings import EMULATOR_URL, Settings, declared


def test_the_native_stack_talks_to_its_own_emulator_and_aws_does_not():
    assert Settings.from_env({}).aws.endpoint_url == EMULATOR_URL
    assert Settings.from_env({"STACK": "aws"}).aws.endpoint_url is None


def test_a_wrong_value_is_refused_with_name_value_and_what_is_allowed():
    with pytest.raises(UsageError) as refusal:
        Settings.from_env({"AFORO_QUEUE_LONG_POLL_SECONDS": "99"})
    assert str(refusal.value).startswith("AFORO_QUEUE_LONG_POLL_SECONDS (99); it must be a whole number from 1 to 20")


def test_a_refused_url_does_not_show_its_password():
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


@pytest.mark.parametrize("setting", declared(), ids=lambda setting: setting["name"])
def test_a_setting_with_few_values_names_them_all(setting):
    try:
        Settings.from_env({setting["name"]: "no such word"})
        said = ""
    except UsageError as refusal:
        said = str(refusal)
    choice = re.search(r"it must be one of ([^;]+);", said)
    words = choice.group(1).split(", ") if choice else []
    assert [word for word in words if word not in setting["meaning"]] == []
