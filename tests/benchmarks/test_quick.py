"""Each benchmark runs in its short form, measures both sides and prints a ratio."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from testing import postgresql

ROOT = Path(__file__).parents[2]


def run(name: str) -> str:
    command = [sys.executable, f"benchmarks/{name}.py", "--quick"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.stack
@pytest.mark.postgresql
def test_the_database_exporter_exposes_the_values_of_its_peer() -> None:
    if postgresql.binaries() is None or shutil.which("prometheus-sql-exporter") is None:
        pytest.skip("needs PostgreSQL and the peer (Debian: apt install postgresql prometheus-sql-exporter)")
    assert "the figures of both agree" in run("db_exporter")


@pytest.mark.stack
def test_the_sqs_exporter_benchmark_runs() -> None:
    assert "ratio sequential / concurrent" in run("sqs_exporter")


@pytest.mark.stack
def test_the_celery_exporter_benchmark_loses_no_event_of_ours() -> None:
    ours = next(line for line in run("celery_exporter").splitlines() if line.strip().startswith("ours:"))
    assert ours.endswith("events lost of 200: 0")


def test_the_stability_benchmark_meets_its_claims() -> None:
    measured = run("stability")
    assert "met |" in measured
    assert "NOT MET" not in measured


def test_at_least_nine_in_ten_described_situations_are_named_right_and_none_wrong_with_high_confidence() -> None:
    score = run("bottleneck_situations").splitlines()[-1]
    right, situations, confident = (int(number) for number in re.findall(r"(\d+)(?= of| \(|$)", score))
    assert situations >= 30
    assert right >= 0.9 * situations
    assert confident == 0


def test_no_verdict_on_a_modelled_cell_is_a_confident_opposite() -> None:
    shares = dict(re.findall(r"\| ([a-z: ]+) \| ([\d.]+)% \|", run("bottleneck_counterfactuals")))
    named = sum(float(share) for outcome, share in shares.items() if outcome != "unclear")
    assert "confident opposite" not in shares
    assert float(shares["right: the doubling pays"]) >= 0.85 * named


def test_the_interval_of_x_sat_has_the_coverage_that_the_documentation_states() -> None:
    assert "0 of 72 lines outside the claim" in run("interval_coverage")


def test_the_interval_of_a_mix_has_the_coverage_that_the_documentation_states() -> None:
    assert "0 of 44 lines outside the claim" in run("mix_coverage")


def test_the_intervals_of_the_tails_have_the_coverage_that_the_documentation_states() -> None:
    assert "0 of 3 claims do not hold" in run("tails_coverage")


def test_the_intervals_of_the_scalability_law_have_the_coverage_that_the_documentation_states() -> None:
    measured = run("usl_coverage")
    assert len(measured.splitlines()) == 2 + 18 + 1
    assert "OUTSIDE" not in measured


def test_the_waits_of_a_plan_are_as_accurate_as_the_documentation_states() -> None:
    lines = run("plan_accuracy").splitlines()
    assert [line.split()[0] for line in lines[3:]] == ["Poisson", "paced", "batches"]


def test_the_claims_about_false_alarms_hold_in_few_runs() -> None:
    assert "DOES NOT HOLD" not in run("honest_runs")


def test_the_claims_about_change_points_hold_in_few_histories() -> None:
    assert "DOES NOT HOLD" not in run("change_points")
