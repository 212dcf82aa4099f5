from collections import Counter

import pytest

from capacity.table.phrases import spaced
from core.errors import UsageError
from core.size_mix import is_mix, mean_label_bytes, parse_sizes

MIX = parse_sizes("50MB:3+100MB:1")


def test_24_videos_of_a_mix_of_3_to_1_are_18_and_6():
    positions = MIX.positions(24, seed=1)
    assert Counter(MIX.shares[position].size_bytes for position in positions) == {50_000_000: 18, 100_000_000: 6}


def test_the_order_is_shuffled_and_repeats_with_its_seed():
    first, again, other = (MIX.positions(24, seed) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert first != sorted(first)


def test_equal_mixes_have_one_label():
    for text in ("100MB:1+50MB:3", "50MB:6 + 100MB:2", "50000KB:3+0.1GB:1"):
        assert parse_sizes(text).label == "50MB:3+100MB:1"


def test_a_single_size_keeps_its_label():
    assert (parse_sizes("50MB").label, parse_sizes("50MB").positions(3, 1)) == ("50MB", [0, 0, 0])


def test_a_mix_has_the_mean_size_of_its_videos():
    assert (MIX.mean_bytes, mean_label_bytes(MIX.label), mean_label_bytes("5MB")) == (62_500_000, 62_500_000, 5_000_000)


def test_labels_are_told_apart_and_spaced():
    assert (is_mix(MIX.label), is_mix("50MB")) == (True, False)
    assert (spaced(MIX.label), spaced("7.3MB")) == ("50 MB:3 + 100 MB:1", "7.3 MB")


def test_every_label_that_a_mix_can_have_fits_its_column():
    text = "+".join(f"{size}.25MB:{size}" for size in (999, 998, 997, 996, 995))
    assert len(parse_sizes(text).label) <= 64


@pytest.mark.parametrize(("count", "remedy"), [(25, "give 24 or 28"), (3, "give 4")])
def test_a_number_of_videos_that_the_weights_do_not_divide_is_refused(count, remedy):
    with pytest.raises(UsageError, match="the weights of 50MB:3\\+100MB:1 need a multiple of 4; " + remedy):
        MIX.positions(count, 1)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("50MB:3,100MB:1", "3,100MB:1 has no weight"),
        ("50MB:3", "two sizes or more"),
        ("50MB+100MB", "50MB has no weight of 1 to 999"),
        ("50MB:0+100MB:1", "50MB:0 has no weight"),
        ("50MB:1.5+100MB:1", "no weight"),
        ("50MB:1000+100MB:1", "no weight"),
        ("50MB:²+100MB:1", "no weight"),
        ("50MB:1+", "an empty word has no weight"),
        ("50MB:1+50.01MB:2", "names a size twice"),
        ("1MB:1+2MB:1+3MB:1+4MB:1+5MB:1+6MB:1", "at most 5 sizes"),
        ("50:1+100MB:1", "it has no unit"),
        ("1KB:1+100MB:1", "cannot be that small"),
    ],
)
def test_a_bad_mix_is_one_line(text, why):
    with pytest.raises(UsageError) as error:
        parse_sizes(text)
    assert why in str(error.value)
    assert "\n" not in str(error.value)
