"""Validity of a result: whether it may be an answer, and the codes of the reasons against it.

A valid result is an answer. An indicative one is an answer only where there is no valid one, and says so. An invalid
one never is.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from capacity.diagnosis.data_quality import QualityWarning, Severity


class Level(StrEnum):
    """Levels of validity, the best first."""

    VALID = "valid"
    INDICATIVE = "indicative"
    INVALID = "invalid"

    @property
    def rank(self) -> int:
        """Return 0 for the best level."""
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class Validity:
    """The level of a result, and the codes of the data-quality warnings that lower it."""

    level: Level = Level.VALID
    reasons: tuple[str, ...] = ()

    @property
    def is_invalid(self) -> bool:
        """Return True if the result must not be part of an answer."""
        return self.level is Level.INVALID


def judge_validity(warnings: Iterable[QualityWarning]) -> Validity:
    """Return the validity of a run with these warnings.

    The reasons are the warnings of the decisive severity, so an invalid run does not list its mere warnings.
    """
    by_severity: dict[Severity, list[str]] = {severity: [] for severity in Severity}
    for warning in warnings:
        by_severity[warning.severity].append(warning.name.value)
    if by_severity[Severity.INVALID]:
        return Validity(Level.INVALID, tuple(dict.fromkeys(by_severity[Severity.INVALID])))
    reasons = tuple(dict.fromkeys(by_severity[Severity.WARNING]))
    return Validity(Level.INDICATIVE, reasons) if reasons else Validity()


def combined(validities: Iterable[Validity]) -> Validity:
    """Return the validity of a figure made of several runs: the worst level, with all its reasons."""
    members = list(validities)
    worst = max((member.level for member in members), key=lambda level: level.rank, default=Level.VALID)
    reasons = (reason for member in members if member.level is worst for reason in member.reasons)
    return Validity(worst, tuple(dict.fromkeys(reasons)))
