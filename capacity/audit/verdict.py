"""Verdict of the audit on each row of a published result table: ok, suspicious or impossible.

*Impossible* rows break identities that hold for every system. *Suspicious* rows show patterns that queues seldom show.
Such a pattern may have an innocent reason.
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
    """Verdicts on a row."""

    OK = "ok"
    SUSPICIOUS = "suspicious"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, slots=True)
class Audited:
    """The verdict on a row with all reasons, the impossible ones first."""

    verdict: Plausibility
    reasons: tuple[Reason, ...]


def audit_table(rows: Sequence[PublishedRow]) -> list[Audited]:
    """Return a verdict per row, from the row itself and from the other rows."""
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
