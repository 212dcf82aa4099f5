from datetime import UTC, datetime

import pytest

from core.run import Mode, check_run_id, new_run_id

NOW = datetime(2026, 11, 24, 5, 12, 33, tzinfo=UTC)


@pytest.mark.parametrize(
    ("size", "nodes", "app", "run_id"),
    [
        ("50MB", 1, None, "20261124-051233-burst-50mb-c2"),
        ("7.3MB", 3, None, "20261124-051233-burst-7.3mb-c2-w3"),
        ("50MB", 2, "own-app", "20261124-051233-burst-50mb-c2-w2-own-app"),
        ("50MB:3+100MB:1", 1, None, "20261124-051233-burst-50mbx3-100mbx1-c2"),
    ],
)
def test_an_id_names_size_slots_workers_and_app(size, nodes, app, run_id):
    assert new_run_id(Mode.BURST, size, 2, app, nodes=nodes, now=NOW) == run_id


def test_the_longest_mix_and_app_have_an_id_that_its_column_takes():
    label = "+".join(f"{size}MB:{size}" for size in (995, 996, 997, 998, 999))
    run_id = new_run_id(Mode.SUSTAINED, label, 512, "a" * 63, nodes=1000, now=NOW)
    assert check_run_id(run_id).startswith("20261124-051233-sustained-995mbx995-996mbx996-c512-w1000-a")
