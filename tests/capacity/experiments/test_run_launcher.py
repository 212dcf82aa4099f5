"""Options and environment that the run launcher gives to the injector."""

from __future__ import annotations

from capacity.experiments.run_launcher import RunRequest, _environment, _injector_options
from core.run import Mode


def test_the_injector_gets_rate_and_profile_of_the_requested_run():
    request = RunRequest("5MB", 2, Mode.SUSTAINED, 16, 10.0, note="n", profile="showcase")
    assert _injector_options(request) == [
        "--count", "16", "--size", "5MB", "--mode", "sustained", "--note", "n", "--rate", "10.0000",
        "--profile", "showcase",
    ]  # fmt: skip


def test_a_burst_without_a_profile_leaves_rate_and_profile_to_the_injector():
    options = _injector_options(RunRequest("5MB", 2, Mode.BURST, 16))
    assert "--rate" not in options
    assert "--profile" not in options


def test_run_options_of_the_caller_do_not_reach_the_programs(monkeypatch):
    monkeypatch.setenv("PROFILE", "showcase")
    monkeypatch.setenv("SIZE", "50MB")
    monkeypatch.setenv("USER_ID", "u1")
    environment = _environment({"CONCURRENCY": "4"})
    assert ("PROFILE" in environment, "SIZE" in environment) == (False, False)
    assert (environment["USER_ID"], environment["CONCURRENCY"]) == ("u1", "4")
