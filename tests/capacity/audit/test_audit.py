import pytest

from capacity.audit.impossible import Impossibility
from capacity.audit.published_row import Printed, PublishedRow
from capacity.audit.suspicious import Oddity
from capacity.audit.verdict import Plausibility, audit_table
from capacity.report.messages import sentence
from core.run import Mode


def printed(text):
    return None if text is None else Printed.parse(text)


def burst(concurrency, x, s, *, count=100, p50=None, size="50MB", **more):
    return PublishedRow(size, concurrency, Mode.BURST, count, printed(x), printed(s), printed(p50), **more)


def sustained(concurrency, x, s, *, rate=10.0, count=50, size="50MB", **more):
    return PublishedRow(size, concurrency, Mode.SUSTAINED, count, printed(x), printed(s), rate=rate, **more)


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
        (sustained(4, "10.0", "400"), "exceeds the whole test"),
        (burst(4, "8.00", "7.4"), "S = 7.4 s < 60/X = 7.50 s: a burst with X = 8/min always has at least one"),
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


def test_a_sustained_row_whose_x_leaves_out_a_late_video_is_not_impossible():
    # 11 of 12 videos took 5 s, the last one 600 s: it ended after the window of 72 s in which X is counted
    audited = only(sustained(4, "9.17", "54.6", count=12))
    assert audited.verdict is Plausibility.OK
    late = only(sustained(4, "9.17", "84.6", count=12))
    assert late.verdict is Plausibility.SUSPICIOUS
    assert "only possible if X leaves out the videos that ended after the window" in sentence(late.reasons[0], "en")


def test_the_mean_of_runs_may_break_an_identity_of_one_run():
    # runs of one video: X = 1, S = 60 and X = 3, S = 20
    assert only(burst(1, "2.0", "40.0", count=1)).verdict is Plausibility.IMPOSSIBLE
    assert only(burst(1, "2.0", "40.0", count=1, runs=2)).verdict is Plausibility.SUSPICIOUS
    assert only(burst(1, "2.0", "20.0", count=1, runs=2)).verdict is Plausibility.IMPOSSIBLE


def test_rows_without_a_count_are_checked_as_far_as_possible():
    assert only(burst(4, "8.00", "751", count=None)).verdict is Plausibility.OK
    assert only(burst(4, "8.00", "7.4", count=None)).verdict is Plausibility.IMPOSSIBLE
    assert only(sustained(4, "5.0", "7.4", count=None)).verdict is Plausibility.OK


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
        (sustained(2, "0", "0"), "X, S = 0: not a measurement"),
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


def oddity_codes(rows):
    return [[reason.code for reason in audited.reasons] for audited in audit_table(rows)]


def test_the_slots_of_all_workers_count():
    # two workers of two slots: four videos in parallel, so S of a burst is 60 N / X (N + 4) / 2N
    assert oddity_codes([burst(2, "4.0", "105", count=10, workers=2)]) == [[]]
    assert oddity_codes([sustained(2, "9.8", "40", workers=2), sustained(2, "9.8", "40")]) == [
        [],
        [Oddity.GROWING_QUEUE],
    ]
    assert oddity_codes([burst(2, "2.0", "1515"), burst(2, "4.0", "765", workers=2)]) == [[], []]


@pytest.mark.parametrize(("x", "s"), [("8.0", "390"), ("4.0", "500")])
def test_a_larger_file_that_is_faster_is_suspicious(x, s):
    codes = oddity_codes([burst(4, x, s, size="100 MB"), burst(4, "4.0", "780")])
    assert codes[0][-1] is Oddity.LARGER_IS_FASTER
    assert codes[1] == []


def test_sizes_are_compared_at_the_same_slots_and_count():
    rows = [burst(4, "4.0", "780"), burst(8, "6.0", "540", size="100MB"), burst(4, "3.8", "82.9", size="1GB", count=10)]
    assert oddity_codes(rows) == [[], [], []]


def test_a_sustained_row_that_contradicts_its_burst_is_suspicious():
    base = burst(4, "20.0", "156")
    assert oddity_codes([base, sustained(4, "6.0", "250")])[1] == [Oddity.RATE_NOT_KEPT]
    assert oddity_codes([base, sustained(4, "10.0", "1.5")])[1] == [Oddity.FASTER_THAN_BURST]
    assert oddity_codes([base, sustained(4, "10.0", "9.5"), sustained(4, "9.4", "12.0", count=16)]) == [[], [], []]


def test_s_of_60_over_x_in_every_row_is_no_time_of_a_video():
    rows = [burst(1, "8.00", "7.5"), burst(2, "14.2", "4.2"), sustained(2, "10.0", "6.0")]
    assert all(codes[-1] is Oddity.S_IS_THE_INTERVAL for codes in oddity_codes(rows))
    assert Oddity.S_IS_THE_INTERVAL not in oddity_codes([*rows, burst(4, "20.0", "156")])[0]
    assert oddity_codes([burst(1, "8.00", "7.5", count=1), burst(1, "14.2", "4.2", count=1, size="5MB")]) == [[], []]
