"""Worker options from the command line."""

import pytest

from core.errors import UsageError
from core.settings import Settings
from local.__main__ import up, video_folders, worker_options
from local.stack import WorkerOptions

SETTINGS = Settings.from_env({"AFORO_WORKER_CONCURRENCY": "3"})


def test_an_omitted_option_takes_the_setting():
    assert worker_options(SETTINGS, None, None).concurrency == 3
    assert worker_options(Settings.from_env({"PROFILE": "showcase"}), None, None).profile == "showcase"
    assert worker_options(SETTINGS, 4, "showcase") == WorkerOptions(4, "showcase", 0)


@pytest.mark.parametrize("slots", ["", "0", "-1", "1.5", "two", "513", "5120000000000", "٣"])
def test_an_invalid_number_of_slots_is_an_error(slots):
    with pytest.raises(UsageError, match=r"^CONCURRENCY \("):
        up.make_context("up", ["--concurrency", slots])


@pytest.mark.parametrize("name", ["CONCURRENCY", "PROFILE"])
def test_an_empty_variable_is_an_error(name, monkeypatch):
    monkeypatch.setenv(name, "")
    with pytest.raises(UsageError, match=rf"^{name} \(\); "):
        up.make_context("up", [])


def test_an_unknown_profile_is_an_error():
    with pytest.raises(UsageError, match=r"^PROFILE \(4k\); it is unknown; use full, showcase"):
        up.make_context("up", ["--profile", "4k"])


def test_clean_removes_only_the_folders_of_runs_below_upload_path(tmp_path):
    variables = {
        "UPLOAD_PATH": str(tmp_path),
        "S3_UPLOAD_PREFIX": "../elsewhere/",
        "S3_PROCESSED_PREFIX": "processed/",
    }
    assert video_folders(Settings.from_env(variables)) == [tmp_path / "media", tmp_path / "processed"]
