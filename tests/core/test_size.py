import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UsageError
from core.size import label_bytes, parse_size, size_label


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [("50MB", 50_000_000), ("50mb", 50_000_000), ("50 MB", 50_000_000), ("1.5MiB", 1_572_864), ("2GB", 2_000_000_000)],
)
def test_a_number_with_a_byte_unit_is_a_size(text, size_bytes):
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize(
    "text",
    ["", "50", "-1MB", "0MB", "50Mb", "1e9MB", "99999TB", "99GB", "50MB; rm -rf ~", "`id`", "$(shell id)", "NaNMB"],
)
def test_anything_else_is_an_error_of_one_line(text):
    with pytest.raises(UsageError) as refusal:
        parse_size(text)
    assert "\n" not in str(refusal.value)


def test_the_error_of_a_size_without_unit_suggests_units():
    with pytest.raises(UsageError, match=r"it has no unit; did you mean 50MB or 50MiB\?"):
        parse_size("50")


def test_a_label_reads_like_the_given_size():
    assert [size_label(n) for n in (50_000_000, 7_300_000, 500_000, 2_000_000_000)] == ["50MB", "7.3MB", "500KB", "2GB"]


def test_nearly_a_thousand_of_a_unit_is_one_of_the_next():
    assert [size_label(n) for n in (999_499, 999_800, 999_800_000)] == ["999KB", "1MB", "1GB"]


@given(st.integers(1, 10**15))
def test_a_label_has_three_digits(size_bytes):
    label = size_label(size_bytes)
    assert label_bytes(label) == pytest.approx(size_bytes, rel=0.005)
    assert size_label(label_bytes(label)) == label


@given(st.integers(100_000, 19_999_999_999))
def test_the_label_of_a_valid_size_is_a_valid_size(size_bytes):
    label = size_label(size_bytes)
    assert parse_size(label) == label_bytes(label)
