import pytest

from pipeline.errors import UsageError
from pipeline.size import parse_size, size_label


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
def test_anything_else_is_refused_in_one_line(text):
    with pytest.raises(UsageError) as refusal:
        parse_size(text)
    assert "\n" not in str(refusal.value)


def test_a_size_without_unit_says_what_was_meant():
    with pytest.raises(UsageError, match=r"it has no unit; did you mean 50MB or 50MiB\?"):
        parse_size("50")


def test_a_label_reads_like_what_was_asked():
    assert [size_label(n) for n in (50_000_000, 7_300_000, 500_000, 2_000_000_000)] == ["50MB", "7.3MB", "500KB", "2GB"]
