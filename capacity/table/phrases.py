"""Short phrases shared by table and report: a count with its noun, a size label with a space."""

from __future__ import annotations


def plural(count: int, one: str, many: str) -> str:
    """Return the count with its noun: `1 slot`, `2 slots`."""
    return f"{count} {one if count == 1 else many}"


def spaced(size_label: str) -> str:
    """Return `5 MB` for `5MB`."""
    return f"{size_label[:-2]} {size_label[-2:]}"
