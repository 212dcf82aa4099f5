"""SVG elements: text, rectangle, line, outline."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

INK, SOFT, LINE, PAPER, CARD = "#1f2430", "#6c7383", "#e3e6ec", "#f4f5f7", "#ffffff"
FONT = "Inter, 'Noto Sans', 'Segoe UI', 'DejaVu Sans', sans-serif"
#: Mean width of a character relative to the font size, rounded up so that text fits.
_CHARACTER = 0.56


def text(
    x: float, y: float, words: str, size: float = 12, color: str = INK, anchor: str = "start", weight: int = 400
) -> str:
    """Return a text element whose baseline starts, ends or is centred at the given position."""
    look = f'font-size="{size:g}" fill="{color}" text-anchor="{anchor}" font-weight="{weight}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" {look}>{escape(words)}</text>'


def rect(x: float, y: float, width: float, height: float, color: str, radius: float = 0, **more: str) -> str:
    """Return a filled rectangle."""
    extra = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in more.items())
    size = f'x="{x:.1f}" y="{y:.1f}" width="{max(0, width):.1f}" height="{max(0, height):.1f}"'
    return f'<rect {size} rx="{radius:g}" fill="{color}"{extra}/>'


def line(points: Iterable[tuple[float, float]], color: str, width: float = 2, dash: str = "") -> str:
    """Return a line through points."""
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    shape = f'points="{path}" fill="none" stroke-linejoin="round" stroke-linecap="round"'
    return f'<polyline {shape} stroke="{color}" stroke-width="{width:g}"{dashed}/>'


def area(points: Iterable[tuple[float, float]], color: str, opacity: float) -> str:
    """Return a filled outline."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polygon points="{path}" fill="{color}" fill-opacity="{opacity:g}"/>'


def width_of(words: str, size: float) -> float:
    """Return the estimated width of a text."""
    return len(words) * size * _CHARACTER


def cut(words: str, size: float, room: float) -> str:
    """Return the text, truncated so that its estimated width is at most `room`."""
    most = int(room / (size * _CHARACTER))
    return words if len(words) <= most else words[: max(0, most - 1)].rstrip() + "…"
