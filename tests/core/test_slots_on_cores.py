import pytest

from core.slots_on_cores import many_slots_note, usable_cores


@pytest.mark.parametrize(("slots", "cores"), [(1, 1), (8, 2), (64, 16)])
def test_four_slots_per_core_or_fewer_get_no_note(slots, cores):
    assert many_slots_note(slots, cores) is None


def test_more_slots_get_a_note_with_both_numbers():
    assert many_slots_note(64, 2).startswith("64 slots on 2 cores: the videos wait for each other")
    assert "; 4 or fewer process as many" in many_slots_note(5, 1)


def test_this_machine_has_a_core():
    assert usable_cores() >= 1
