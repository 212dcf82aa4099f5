import pytest

from capacity.table.number_format import significant, unbroken
from capacity.table.phrases import cell_name
from tests.capacity.result_rows import row


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


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("CPU al 95 % de 2 110 MB/s", "CPU al 95~% de 2~110~MB/s"),
        ("20.4 s (≥ 9.0)", "20.4~s (≥~9.0)"),
        ("5 MB por minuto con 4 slots", "5~MB por minuto con 4~slots"),
        ("12 de 60 llegadas", "12 de 60 llegadas"),
        ("ρ [0.9, 1.1]", "ρ~[0.9, 1.1]"),
    ],
)
def test_a_number_stays_beside_its_unit(text, lines):
    assert unbroken(text) == lines.replace("~", "\N{NO-BREAK SPACE}")


def test_the_rate_in_the_name_of_a_cell_is_that_of_the_table():
    sustained = row("r", mode="sustained", size_label="50MB", concurrency=2, rate_per_minute=3.5093)
    assert cell_name(sustained, "es") == "50 MB · c=2 · Sustained 3.509/min"
