"""Judge each row of a published result table: ok, suspicious or impossible.

An impossible row breaks an identity that holds for every system, such as S <= 60 N / X. A suspicious row shows a
possible but rare pattern.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from capacity.audit.contradictions import contradictions
from capacity.audit.impossible import impossibilities, is_certain
from capacity.audit.published_row import PublishedRow
from capacity.audit.suspicious import oddities
from capacity.estimators.reason import Reason


class Plausibility(StrEnum):
    """Verdicts of the audit on a row of a published table. They are ok, suspicious and impossible."""

    OK = "ok"
    SUSPICIOUS = "suspicious"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, slots=True)
class Audited:
    """Verdict of the audit on one row of a published table, with the reasons for the verdict.

    `reasons` has the broken identities (such as S <= 60 N / X), then the unlikely patterns in the row, then the
    contradictions with other rows. An impossible row lists no unlikely patterns.
    """

    verdict: Plausibility
    reasons: tuple[Reason, ...]


def audit_table(rows: Sequence[PublishedRow]) -> list[Audited]:
    """Return one verdict per row. Each row is checked alone and against the other rows."""
    between: list[list[Reason]] = [[] for _ in rows]
    for position, reason in contradictions(rows):
        between[position].append(reason)
    return [_audit_row(row, neighbours) for row, neighbours in zip(rows, between, strict=True)]


def _audit_row(row: PublishedRow, neighbours: list[Reason]) -> Audited:
    broken = impossibilities(row)
    if any(is_certain(row, reason) for reason in broken):
        return Audited(Plausibility.IMPOSSIBLE, (*broken, *neighbours))
    odd = (*broken, *oddities(row), *neighbours)
    return Audited(Plausibility.SUSPICIOUS if odd else Plausibility.OK, odd)
