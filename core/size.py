"""Parse and write file sizes: `50MB` is 50,000,000 bytes, `50MiB` is 52,428,800."""

from __future__ import annotations

import re

from core.errors import UsageError

_UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
_LABEL_UNITS = ("KB", "MB", "GB")
_PATTERN = re.compile(r"(?P<number>[+-]?\d{1,20}(?:\.\d{1,20})?) ?(?P<unit>[A-Za-z]*)", re.ASCII)
SMALLEST_BYTES = 100_000
LARGEST_BYTES = 20 * 10**9


def parse_size(text: str) -> int:
    """Parse a file size given on the command line, such as `50MB`, and return it in bytes.

    Raise UsageError if `text` is not a number with a byte unit, or if the size is not from 0.1 MB to 20 GB.
    """
    match = _PATTERN.fullmatch(text.strip())
    if not text.strip():
        raise UsageError("SIZE", "it is empty", "give a size such as 50MB", value="")
    if match is None:
        raise UsageError("SIZE", "it is not a number with a unit", "give a size such as 50MB", value=text)
    size_bytes = round(float(match["number"]) * _unit_bytes(match["unit"], text))
    return _within_limits(size_bytes, text)


def size_label(size_bytes: int) -> str:
    """Return a file size as a text with up to three significant digits: `50MB` or `7.3MB`.

    The unit is KB, MB or GB.
    """
    numbers = {unit: float(f"{size_bytes / _UNITS[unit.lower()]:.3g}") for unit in _LABEL_UNITS}
    unit = next((unit for unit, number in numbers.items() if number < 1000), _LABEL_UNITS[-1])
    return f"{numbers[unit]:.15g}{unit}"


def label_bytes(label: str) -> int:
    """Return the file size in bytes that a size label states: 50,000,000 for `50MB`.

    Any size is allowed, unlike in the function `parse_size`.
    """
    return round(float(label[:-2]) * _UNITS[label[-2:].lower()])


def is_size_label(label: str) -> bool:
    """Return True if `label` is a size label, such as `50MB` or `7.3MB`."""
    number, unit = label[:-2], label[-2:]
    return unit in _LABEL_UNITS and re.fullmatch(r"\d{1,12}(\.\d{1,15})?", number, re.ASCII) is not None


def _unit_bytes(unit: str, text: str) -> int:
    if not unit:
        raise UsageError("SIZE", "it has no unit", f"did you mean {text.strip()}MB or {text.strip()}MiB?", value=text)
    if unit.endswith("b") and unit[0].isupper():
        raise UsageError("SIZE", f"'{unit}' means bits", f"write {unit[:-1]}B for bytes", value=text)
    if unit.lower() not in _UNITS:
        raise UsageError("SIZE", f"the unit '{unit}' is unknown", "use KB, MB, GB, KiB, MiB or GiB", value=text)
    return _UNITS[unit.lower()]


def _within_limits(size_bytes: int, text: str) -> int:
    if size_bytes < SMALLEST_BYTES:
        raise UsageError("SIZE", "a real video cannot be that small", "give 0.1MB or more", value=text)
    if size_bytes > LARGEST_BYTES:
        raise UsageError("SIZE", "it is larger than the videos that Aforo generates", "give 20GB or less", value=text)
    return size_bytes
