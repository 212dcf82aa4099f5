"""An on/off variable of the library: its words, and one warning for a word that is neither."""

import pytest

from aforo import settings
from aforo.settings import Declaration


@pytest.mark.parametrize(
    ("text", "is_on"),
    [
        *((word, True) for word in ("1", "TRUE", "y", " on ")),
        *((word, False) for word in ("0", "False", "no", "off", "")),
    ],
)
def test_a_known_word_is_on_or_off(text, is_on, caplog):
    assert settings.is_on(settings.STRICT, {"AFORO_STRICT": text}) is is_on
    assert caplog.records == []


@pytest.mark.parametrize("default", ["0", "1"])
def test_a_misspelt_word_leaves_the_default_and_is_one_warning(default, caplog):
    strict = Declaration("AFORO_STRICT", default, "")
    answers = [settings.is_on(strict, {"AFORO_STRICT": "flase"}) for _ in range(3)]
    assert answers == [default == "1"] * 3
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("WARNING", f"aforo: AFORO_STRICT ('flase') is unknown; its default {default} is used; give 1 or 0")
    ]
