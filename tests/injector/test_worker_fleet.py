"""Slots and versions of a fleet, from the records of its workers."""

from injector.worker_fleet import WorkerFleet

TWO = {"worker": "n1|7|s", "slots": 2, "ffmpeg": "5.1", "celery": "5.7.0"}
FIVE = {"worker": "n2|7|s", "slots": 5, "ffmpeg": "7.0", "celery": "5.7.0"}


def test_the_concurrency_of_different_nodes_is_the_largest_and_never_a_number_that_no_node_has():
    assert WorkerFleet(2, 7, (TWO, FIVE)).slots_per_node == 5
    assert WorkerFleet(2, 4, (TWO, TWO)).slots_per_node == 2


def test_without_records_the_slots_are_shared_evenly():
    assert WorkerFleet(2, 4).slots_per_node == 2


def test_different_versions_are_all_named():
    assert WorkerFleet(2, 7, (TWO, FIVE)).versions == {"ffmpeg": "5.1 + 7.0", "celery": "5.7.0"}
