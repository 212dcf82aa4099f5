"""Settings with an aforo.toml: queue and AWS come from the app, never from our `.env` or emulator."""

import os

import pytest

from core import aws
from core.errors import UsageError
from core.settings import EMULATOR_URL, Settings


@pytest.fixture
def process(monkeypatch):
    """Remove the AWS variables of this process, and put back whatever a test exports."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "AFORO_"))]:
        monkeypatch.delenv(name)
    before = dict(os.environ)
    yield monkeypatch
    for name in set(os.environ) - set(before):
        del os.environ[name]


def test_the_apps_env_file_gives_aws_and_ours_does_not(team, tmp_path, process):
    (tmp_path / ".env").write_text("DATABASE_URL=sqlite:///a.db\nAWS_REGION=eu-west-1\nAWS_ACCESS_KEY_ID=theirs\n")
    ours = tmp_path / "ours.env"
    ours.write_text(
        "AWS_ENDPOINT_URL=http://127.0.0.1:4566\nAWS_REGION=us-east-1\nAFORO_LANG=en\nSQS_QUEUE_NAME=ours\n"
    )
    process.setenv("AFORO_APP_FILE", str(team()))
    settings = Settings.from_process(ours)
    assert (settings.aws.region, settings.aws.endpoint_url, settings.queue.name) == ("eu-west-1", None, "videos")
    assert (settings.lang, settings.app.name) == ("en", "mi-app")
    assert os.environ["AWS_ACCESS_KEY_ID"] == "theirs"
    assert "AWS_ENDPOINT_URL" not in os.environ
    assert aws.credentials(settings) == {}


def test_without_an_app_the_stack_uses_its_own_emulator(tmp_path, process):
    settings = Settings.from_process(tmp_path / "none.env")
    assert (settings.app, settings.aws.endpoint_url) == (None, EMULATOR_URL)


def test_an_app_and_containers_of_ours_exclude_each_other(team, process):
    process.setenv("AFORO_APP_FILE", str(team()))
    process.setenv("STACK", "compose")
    with pytest.raises(UsageError, match=r"STACK \(compose\); containers of ours see neither the app's folder"):
        Settings.from_process()


def test_a_wrong_line_is_the_error_of_every_program(team, process):
    process.setenv("AFORO_APP_FILE", str(team('queue = "videos"', "queue = 7")))
    with pytest.raises(UsageError, match=r"aforo\.toml, line 5, app\.queue \(7\); it must be 1 to 80 letters"):
        Settings.from_process()
