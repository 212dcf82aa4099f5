import pytest

from capacity.audit.impossible import Impossibility
from capacity.audit.published_row import Printed, PublishedRow
from capacity.audit.suspicious import Oddity
from capacity.audit.verdict import Plausibility, audit_table
from capacity.report.messages import sentence
from core.run import Mode


def printed(text):
    return None if text is None else Printed.parse(text)


def burst(concurrency, x, s, *, count=100, p50=None, size="50MB"):
    return PublishedRow(size, concurrency, Mode.BURST, count, printed(x), printed(s), printed(p50))


def sustained(concurrency, x, s, *, rate=10.0, count=50, size="50MB"):
    return PublishedRow(size, concurrency, Mode.SUSTAINED, count, printed(x), printed(s), rate=rate)


def only(row):
    return audit_table([row])[0]


def test_a_printed_number_has_the_range_that_rounds_to_it():
    assert Printed.parse("8.00") == Printed(8.0, 7.995, 8.005)
    assert Printed.parse(" 20 ") == Printed(20.0, 19.5, 20.5)
    assert Printed.parse("1e2") == Printed(100.0, 50.0, 150.0)


@pytest.mark.parametrize("text", ["", "abc", "nan", "inf", "1,5"])
def test_a_text_that_is_no_number_is_refused(text):
    with pytest.raises(ValueError, match="not a"):
        Printed.parse(text)


@pytest.mark.parametrize(
    "row",
    [burst(1, "2.0", "1515"), burst(2, "4.0", "765"), burst(4, "3.85", "93.7", count=10), sustained(4, "9.8", "22")],
)
def test_rows_of_ordinary_runs_are_ok(row):
    audited = only(row)
    assert (audited.verdict, audited.reasons) == (Plausibility.OK, ())


@pytest.mark.parametrize(
    ("row", "arithmetic"),
    [
        (burst(4, "8.00", "751"), "exceeds the whole test, 60·100/8 = 750.0 s (X·S/60 = 100.1 > 100"),
        (sustained(4, "9.8", "400"), "exceeds the whole test"),
        (sustained(4, "10.0", "160.0"), "X·S/60 = 26.7 > 25.5: sent at 10/min"),
        (sustained(4, "12.1", "6"), "X = 12.1 > 10.31/min: more videos leave than enter at 10/min"),
        (burst(2, "4.0", "765", p50="1600"), "p50 = 1600 s > 2·S = 1530 s"),
        (burst(2, "4.00", "900", p50="1505"), "the median exceeds the whole test"),
        (burst(2, "4.0", "1200", p50="600"), "S = 1200 s > (p50 + 60·N/X)/2 = 1050.0 s"),
        (burst(2, "-4.0", "765"), "X = -4 is not positive"),
        (burst(2, "4.0", "-7.5"), "S = -7.5 is not positive"),
    ],
)
def test_rows_that_break_an_identity_are_impossible(row, arithmetic):
    audited = only(row)
    assert audited.verdict is Plausibility.IMPOSSIBLE
    assert arithmetic in sentence(audited.reasons[0], "en")


@pytest.mark.parametrize(
    "row",
    [
        burst(1, "8.0", "754", count=100),  # 60·100/7.95 = 754.7
        burst(100, "8", "799", count=100),  # 60·100/7.5 = 800
        sustained(4, "10.2", "6"),  # 50 arrivals span 49 intervals: 10.2/min
        burst(2, "4.0", "100.4", count=10, p50="149.8"),
    ],
)
def test_rounding_never_makes_a_row_impossible(row):
    assert only(row).verdict is not Plausibility.IMPOSSIBLE


def test_a_sustained_row_without_a_rate_is_not_compared_with_one():
    assert only(sustained(4, "12.1", "6", rate=None)).verdict is Plausibility.OK


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (burst(2, "4.0", "30"), "is S without the wait in the queue?"),
        (burst(2, "4.0", "1400"), "nearly all end at the end"),
        (sustained(2, "9.8", "60"), "the queue was growing, not steady"),
        (sustained(1, "5.0", "12"), "~150 s of waiting are missing"),
        (burst(2, "4.0", None), "S unknown: nothing to check"),
    ],
)
def test_unusual_rows_are_suspicious(row, why):
    audited = only(row)
    assert audited.verdict is Plausibility.SUSPICIOUS
    assert why in sentence(audited.reasons[0], "en")


def test_an_overloaded_row_with_its_wait_is_ok():
    assert only(sustained(1, "5.0", "160")).verdict is Plausibility.OK


def test_throughput_that_ignores_concurrency_while_s_falls_is_suspicious():
    audited = audit_table([burst(1, "4.0", "760"), burst(2, "4.1", "600"), burst(4, "4.0", "500")])
    assert {row.verdict for row in audited} == {Plausibility.SUSPICIOUS}
    assert "while X stays, S should not fall" in sentence(audited[0].reasons[0], "en")


def test_a_saturated_ladder_with_constant_s_is_ok():
    audited = audit_table([burst(1, "4.0", "757"), burst(2, "4.1", "745"), burst(4, "4.0", "780")])
    assert {row.verdict for row in audited} == {Plausibility.OK}


def test_sustained_rows_that_keep_up_may_shorten_s():
    audited = audit_table([sustained(4, "9.8", "24"), sustained(8, "9.8", "12")])
    assert {row.verdict for row in audited} == {Plausibility.OK}


def test_sustained_rows_below_the_rate_are_compared_over_concurrency():
    audited = audit_table([sustained(1, "5.0", "160"), sustained(4, "5.0", "90")])
    assert "S should not fall" in sentence(audited[1].reasons[0], "en")


def test_superlinear_bursts_are_suspicious():
    audited = audit_table([burst(1, "2.0", "1515"), burst(2, "5.0", "612")])
    assert [row.verdict for row in audited] == [Plausibility.OK, Plausibility.SUSPICIOUS]
    assert sentence(audited[1].reasons[0], "en").startswith("2x slots give 2.50x X")


def test_a_sustained_rate_above_the_burst_capacity_is_suspicious():
    audited = audit_table([burst(4, "8.0", "390"), sustained(4, "9.9", "20.0", size="50 mb")])
    assert sentence(audited[1].reasons[0], "en") == "sustains 9.9/min where the burst on the same slots gives 8/min"


def test_reasons_exist_in_spanish():
    assert "supera la prueba entera" in sentence(only(burst(4, "8.00", "751")).reasons[0], "es")


def test_reasons_are_codes_with_numbers():
    impossible = only(burst(4, "8.00", "751")).reasons[0]
    assert impossible.code is Impossibility.S_BEYOND_TEST
    assert impossible.values == pytest.approx(
        {
            "s_seconds": 751,
            "count": 100,
            "x_per_minute": 8,
            "makespan_seconds": 750,
            "videos_present": 8 * 751 / 60,
        }
    )
    assert only(burst(2, "4.0", None)).reasons[0].values == {"columns": ["S"]}
    assert only(burst(2, "4.0", "30")).reasons[0].code is Oddity.S_WITHOUT_WAIT
