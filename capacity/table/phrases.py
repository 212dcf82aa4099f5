"""Write short phrases of the table and the report: a validity, a count and its noun, a size, a cell."""

from __future__ import annotations

import re

from capacity.diagnosis.validity import Validity
from capacity.runs.result_row import ResultRow
from capacity.table.number_format import significant
from core.language import VALIDITY_NAMES, VALIDITY_REASON_NAMES, Language
from core.size_mix import JOINT


def validity_text(validity: Validity, lang: Language) -> str:
    """Return a validity with its reasons, such as `indicative (few videos, failed videos)`."""
    reasons = ", ".join(VALIDITY_REASON_NAMES[reason].to(lang) for reason in validity.reasons)
    return VALIDITY_NAMES[validity.level].to(lang) + (f" ({reasons})" if reasons else "")


def plural(count: int, one: str, many: str) -> str:
    """Return a count with the right form of its noun: `1 slot`, `2 slots`."""
    return f"{count} {one if count == 1 else many}"


def spaced(size_label: str) -> str:
    """Insert spaces into the label of a size: `5MB` becomes `5 MB`, `5MB:3+9MB:1` becomes `5 MB:3 + 9 MB:1`."""
    return f" {JOINT} ".join(re.sub(r"(?<=\d)(?=[KMG]B)", " ", size) for size in size_label.split(JOINT))


def cell_name(row: ResultRow, lang: Language) -> str:
    """Return the name of a run's cell for the report, such as `5 MB · c=2 · Sustained 10/min`."""
    rate = "" if row.rate_per_minute is None else f" {significant(row.rate_per_minute, lang)}/min"
    shape = f" {row.conditions.shape}" if row.conditions.shape else ""
    workers = f" · {row.nodes} workers" if row.nodes > 1 else ""
    return f"{spaced(row.size_label)} · c={row.concurrency_text}{workers} · {row.mode.capitalize()}{rate}{shape}"
