"""Environment of the programs of a run."""

from capacity.experiments.run_programs import environment


def test_run_options_of_the_caller_do_not_reach_the_programs(monkeypatch):
    monkeypatch.setenv("PROFILE", "showcase")
    monkeypatch.setenv("SIZE", "50MB")
    monkeypatch.setenv("USER_ID", "u1")
    variables = environment({"CONCURRENCY": "4"})
    assert ("PROFILE" in variables, "SIZE" in variables) == (False, False)
    assert (variables["USER_ID"], variables["CONCURRENCY"]) == ("u1", "4")
