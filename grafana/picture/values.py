"""Formatting of numbers with Grafana's units and significant digits."""

from __future__ import annotations

import math
from collections.abc import Callable

_BINARY = ("B", "KiB", "MiB", "GiB", "TiB")


def shown(value: float | None, unit: str, decimals: int | None = None) -> str:
    """Return the value as text in Grafana's unit `unit`. Return a dash for an unknown value."""
    if value is None or not math.isfinite(value):
        return "–"
    if unit.startswith("suffix:"):
        return f"{_digits(value, decimals)} {unit.removeprefix('suffix:').strip()}"
    return _UNITS[unit](value, decimals)


def _digits(value: float, decimals: int | None) -> str:
    if decimals is not None:
        return f"{value:.{decimals}f}"
    return f"{value:.0f}" if value == int(value) else f"{value:.3g}"


def _seconds(value: float, decimals: int | None) -> str:
    size = abs(value)
    if size and size < 0.001:
        return f"{value * 1e6:.0f} µs"
    if size and size < 1:
        return f"{_digits(value * 1e3, 1 if size < 0.01 else 0)} ms"
    if size < 120:
        return f"{_digits(value, decimals if decimals is not None and decimals < 3 else None)} s"
    return f"{value / 60:.1f} min" if size < 7200 else f"{value / 3600:.1f} h"


def _bytes(value: float, _decimals: int | None) -> str:
    power = 0 if value < 1 else min(int(math.log(value, 1024)), len(_BINARY) - 1)
    return f"{value / 1024**power:.3g} {_BINARY[power]}"


_UNITS: dict[str, Callable[[float, int | None], str]] = {
    "none": _digits,
    "s": _seconds,
    "bytes": _bytes,
    "Bps": lambda value, decimals: f"{_bytes(value, decimals)}/s",
    "percentunit": lambda value, decimals: f"{_digits(100 * value, 1 if decimals is None else decimals)} %",
    "currencyUSD": lambda value, decimals: f"${_digits(value, decimals)}",
}
