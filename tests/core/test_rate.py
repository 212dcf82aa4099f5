import pytest

from core.errors import UsageError
from core.rate import parse_rate


def test_a_rate_is_a_number_of_videos_per_minute():
    assert [parse_rate(text) for text in ("10", "0.01", "6e4")] == [10.0, 0.01, 60_000.0]


def test_the_error_names_the_other_word_that_is_accepted():
    with pytest.raises(UsageError) as refusal:
        parse_rate("nan", or_word="auto")
    assert str(refusal.value) == "RATE (nan); it must be videos per minute or auto; give 0.01 to 60000, such as RATE=10"
