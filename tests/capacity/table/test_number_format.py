import pytest

from capacity.table.number_format import significant


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1174.3, "1 170"),
        (326.4, "326"),
        (5.178, "5.18"),
        (0.00041, "0.00041"),
        (None, "desconocido"),
        (float("inf"), "sin límite"),
    ],
)
def test_a_number_to_three_digits_is_never_a_power_of_ten(value, shown):
    assert significant(value, "es", 3) == shown
