"""Conditions of a run from the records of its workers, and differences between workers."""

from dataclasses import replace

import pytest

from capacity.analysis.measured_run import measure
from capacity.diagnosis.data_quality import Problem, RunFacts, Severity, quality_warnings
from capacity.report.messages import sentence
from capacity.runs.conditions import Conditions, has_smt
from capacity.runs.fleet_differences import fleet_differences
from capacity.runs.recorded_run import load_run
from capacity.table.averaged_runs import averaged_runs
from capacity.table.cells import fill
from capacity.table.table_text import cells_of
from core.models import RunRow
from tests.capacity.golden import ENDED, SLOT, STARTED
from tests.capacity.result_rows import row
from tests.capacity.store import HOST, add_run, open_store, run_row

WORKER = {
    "worker": "n1|7|s", "slots": 2, "version": "1.0", "python": "3.11.7", "celery": "5.7.0", "kombu": "5.7.0",
    "transport": "aforo-sqs", "pool": "prefork", "profile": "full", "threads_setting": "auto", "threads": "1",
    "ffmpeg": "5.1", "image": "unknown", "cpu_model": "arm64 0x41 0xd40", "instance_type": "m7g.xlarge",
    "cores": "4", "memory_bytes": "16500000000", "cpu_quota_cores": "2", "memory_limit_bytes": "none",
}  # fmt: skip
OTHER = WORKER | {"worker": "n2|9|s"}


def environment(start, end=None):
    workers = {"start": start} if end is None else {"start": start, "end": end}
    return {"host": HOST, "stack": "compose", "storage": "s3", "workers": workers}


def conditions(start):
    return Conditions.of("full", "ab", environment(start))


def test_the_conditions_are_those_of_the_workers_and_not_of_the_injectors_host():
    assert conditions([WORKER, OTHER]) == Conditions(
        "full", "ab", "compose", "s3", "5.1", "5.7.0", "arm64 0x41 0xd40", 4, 16, "5.7.0", "3.11.7", "aforo-sqs",
        "prefork", "auto", "m7g.xlarge", "2", "none", None, "1.0",
    )  # fmt: skip


def test_without_an_answer_of_the_workers_nothing_of_the_host_is_taken_for_theirs():
    assert conditions([]) == Conditions("full", "ab", "compose", "s3")


@pytest.mark.parametrize(
    "name", ["threads_setting", "ffmpeg", "transport", "image", "cpu_quota_cores", "instance_type"]
)
def test_runs_under_different_conditions_of_the_workers_are_not_averaged(name):
    one = row("a", conditions=conditions([WORKER]))
    other = row("b", conditions=conditions([WORKER | {name: "another"}]), created_at=2.0)
    assert [run.run_id for run in averaged_runs([one, other]).runs] == ["b"]


def test_the_number_of_threads_that_follows_from_the_concurrency_is_no_condition():
    assert conditions([WORKER | {"threads": "4"}]) == conditions([WORKER])


def test_a_mixed_fleet_has_all_its_values():
    mixed = conditions([WORKER, OTHER | {"ffmpeg": "7.0", "cores": "8"}])
    assert (mixed.ffmpeg, mixed.cpu_count) == ("5.1 + 7.0", "4 + 8")
    assert replace(mixed, ffmpeg="5.1", cpu_count=4) == conditions([WORKER])


def test_smt_is_that_of_the_workers_and_in_an_old_run_that_of_the_host():
    assert has_smt(environment([WORKER | {"smt": "on"}]))
    assert not has_smt(environment([WORKER | {"smt": "off"}]) | {"host": HOST | {"smt": True}})
    assert has_smt({"host": HOST | {"smt": True}})


def warnings(start, end=None):
    differences = fleet_differences(environment(start, end))
    facts = RunFacts(2, mixed_conditions=differences.mixed, changed_conditions=differences.changed)
    return [warning for warning in quality_warnings(facts) if "fleet" in warning.name]


def test_a_mixed_fleet_is_flagged_with_the_value_of_each_node():
    (warning,) = warnings([WORKER, OTHER | {"slots": 5}])
    assert (warning.name, warning.severity) == (Problem.MIXED_FLEET, Severity.WARNING)
    assert warning.evidence.values == {"conditions": {"slots": {"n1": 2, "n2": 5}}}
    assert sentence(warning.evidence, "en") == "the workers are not alike: slots: n1 2, n2 5"


def test_two_workers_of_one_node_are_told_apart():
    (warning,) = warnings([WORKER, WORKER | {"worker": "n1|8|s", "slots": 5}])
    assert warning.evidence.values == {"conditions": {"slots": {"n1 (1)": 2, "n1 (2)": 5}}}


def test_a_fleet_that_changed_during_the_run_makes_it_invalid():
    (warning,) = warnings([WORKER, OTHER], [WORKER, OTHER | {"ffmpeg": "7.0", "slots": 4}])
    assert (warning.name, warning.severity) == (Problem.CHANGED_FLEET, Severity.INVALID)
    assert sentence(warning.evidence, "es") == "los workers cambiaron durante la prueba: ffmpeg, slots"
    (fewer,) = warnings([WORKER, OTHER], [WORKER])
    assert fewer.evidence.values == {"names": ["workers"]}


@pytest.mark.parametrize(
    "end",
    [
        [OTHER, WORKER],  # Prometheus has no order
        [WORKER | {"worker": "n1|8|t"}, OTHER],  # a worker was restarted
        [],  # no worker answered at the end
        None,
    ],
)
def test_a_fleet_that_stayed_alike_or_is_unknown_raises_no_flag(end):
    assert warnings([WORKER, OTHER], end) == []


def test_nodes_with_different_slots_are_a_cell_of_their_own_and_named(tmp_path):
    sessions = open_store(tmp_path / "a.db")
    with sessions.begin() as session:
        fleet = environment([WORKER, OTHER | {"slots": 5}])
        add_run(
            session, run_row(count=10, concurrency=5, nodes=2, slots=7, environment=fleet), STARTED, ENDED, slot=SLOT
        )
    with sessions() as session:
        mixed = measure(load_run(session, session.get_one(RunRow, "r1"))).row
    even = replace(mixed, run_id="r2", slots=10, worker_slots=(5, 5))
    assert [cells_of(cell, "en")[1] for cell in fill([mixed, even])] == ["2+5", "5"]
