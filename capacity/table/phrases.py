"""Short phrases shared by table and report: a count with its noun, a size, a cell."""

from __future__ import annotations

from capacity.diagnosis.validity import Validity
from capacity.runs.result_row import ResultRow
from capacity.table.number_format import number
from core.language import VALIDITY_NAMES, VALIDITY_REASON_NAMES, Language


def validity_text(validity: Validity, lang: Language) -> str:
    """Return the level with its reasons: `indicative (few videos, failed videos)`."""
    reasons = ", ".join(VALIDITY_REASON_NAMES[reason].to(lang) for reason in validity.reasons)
    return VALIDITY_NAMES[validity.level].to(lang) + (f" ({reasons})" if reasons else "")


def plural(count: int, one: str, many: str) -> str:
    """Return the count with its noun: `1 slot`, `2 slots`."""
    return f"{count} {one if count == 1 else many}"


def spaced(size_label: str) -> str:
    """Return `5 MB` for `5MB`."""
    return f"{size_label[:-2]} {size_label[-2:]}"


def cell_name(row: ResultRow, lang: Language) -> str:
    """Return the cell of a run as the report names it: `5 MB · c=2 · Sustained 10/min`."""
    rate = "" if row.rate_per_minute is None else f" {number(row.rate_per_minute, lang, 0)}/min"
    shape = f" {row.conditions.shape}" if row.conditions.shape else ""
    return f"{spaced(row.size_label)} · c={row.concurrency_text} · {row.mode.capitalize()}{rate}{shape}"
