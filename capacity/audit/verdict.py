"""Whether a published result table can be true: impossible rows, suspicious rows and the arithmetic behind both.

*Impossible* rests on identities that no system escapes, *suspicious* on how queues usually behave and may have an
innocent reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from capacity.audit.impossible import impossibilities
from capacity.audit.published_row import PublishedRow
from capacity.audit.suspicious import oddities, oddities_between
from core.language import Text


class Plausibility(StrEnum):
    """What the audit says of a row."""

    OK = "ok"
    SUSPICIOUS = "suspicious"
    IMPOSSIBLE = "impossible"


@dataclass(frozen=True, slots=True)
class Audited:
    """The verdict on a row with every reason found, the impossible ones first."""

    verdict: Plausibility
    reasons: tuple[Text, ...]


def audit_table(rows: Sequence[PublishedRow]) -> list[Audited]:
    """Return a verdict for each row, from its own arithmetic and from its neighbours of the same size."""
    between: list[list[Text]] = [[] for _ in rows]
    for position, reason in oddities_between(rows):
        between[position].append(reason)
    return [_audit_row(row, neighbours) for row, neighbours in zip(rows, between, strict=True)]


def _audit_row(row: PublishedRow, neighbours: list[Text]) -> Audited:
    never = impossibilities(row)
    if never:
        return Audited(Plausibility.IMPOSSIBLE, (*never, *neighbours))
    odd = (*oddities(row), *neighbours)
    return Audited(Plausibility.SUSPICIOUS if odd else Plausibility.OK, odd)
