import pytest

from core import aws
from core.errors import EnvironmentFault
from core.settings import Settings


def test_a_missing_profile_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(EnvironmentFault, match=r"^AWS settings; The config profile \(nobody\) could not be found; "):
        aws.client(Settings.from_env({}), "sqs")


def test_an_endpoint_without_a_host_is_one_line(monkeypatch):
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with pytest.raises(EnvironmentFault, match=r"^AWS settings; Invalid endpoint: http://; "):
        aws.client(Settings.from_env({"AWS_ENDPOINT_URL": "http://"}), "sqs")
