"""Exit code of the stability benchmark, without its simulations."""

import pytest

from benchmarks import stability


@pytest.mark.parametrize(("mark", "exit_code"), [("met", 0), ("NOT MET", 1)])
def test_a_claim_that_is_not_met_ends_the_benchmark_with_exit_code_1(monkeypatch, capsys, mark, exit_code):
    monkeypatch.setattr(stability, "_claims", lambda _runs: iter([f"| 0.8 | {mark} |", "| 0.9 | met |"]))
    for name in ("_undefined", "_stable_without_gaps"):
        monkeypatch.setattr(stability, name, lambda _runs: "")
    monkeypatch.setattr(stability, "_searches", lambda _searches: iter([]))
    assert stability.main() == exit_code
    assert f"| 0.8 | {mark} |" in capsys.readouterr().out
