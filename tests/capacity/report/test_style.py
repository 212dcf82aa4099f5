"""Colours of the page: text has a contrast of 4.5 to 1 in every theme."""

import re

import pytest

from capacity.report.template_loader import STYLE

LEAST_CONTRAST = 4.5
TEXT_COLOURS = ("ink", "soft", "red", "amber", "green")


def themes():
    """Return the colours by name of the light, the dark and the printed page."""
    blocks = re.findall(r":root\{([^}]*)\}", STYLE.read_text("utf-8"))
    return [dict(re.findall(r"--(\w+):(#\w+)", block)) for block in blocks]


def luminance(colour):
    """Return the relative luminance of the WCAG."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    channels = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_black_on_white_has_the_largest_contrast():
    assert contrast("#000", "#fff") == pytest.approx(21.0)


def narrow_rules():
    """Return the declarations by selector of the style of a narrow screen."""
    text = STYLE.read_text("utf-8")
    start = text.index("@media (max-width:40rem){") + len("@media (max-width:40rem){")
    rules = {}
    for selectors, declarations in re.findall(r"([^{}]+)\{([^{}]*)\}", text[start:]):
        for selector in selectors.split(","):
            rules.setdefault(selector.strip(), set()).update(declarations.split(";"))
    return rules


def test_on_a_narrow_screen_the_rows_of_every_table_are_stacked_and_long_values_break():
    rules = narrow_rules()
    for selector in ("table.cells", "table.cells tbody", "table.cells tr", ".facts", ".facts tr", ".facts td"):
        assert "display:block" in rules[selector], selector
    assert rules["table.cells td>*"] == {"min-width:0", "overflow-wrap:anywhere"}
    assert "display:none" in rules["table.cells thead"]
    assert "content:attr(data-name)" in rules["table.cells td::before"]
    assert ".facts td{overflow-wrap:anywhere}" in STYLE.read_text("utf-8")


def test_text_can_be_read_in_light_and_dark_and_on_paper():
    assert len(themes()) == 3
    poor = [
        (number, name, ground)
        for number, colours in enumerate(themes())
        for name in TEXT_COLOURS
        for ground in ("ground", "panel")
        if contrast(colours[name], colours[ground]) < LEAST_CONTRAST
    ]
    assert poor == []
