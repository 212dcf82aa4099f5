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
