"""Judge the validity of a result: whether its figures may be an answer to the user.

A valid result may be an answer. An indicative result may be an answer only if no result is valid, and the answer says
so. An invalid result is never an answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from capacity.diagnosis.data_quality import QualityWarning, Severity


class Level(StrEnum):
    """Levels of validity of a result: valid, indicative and invalid. The best is first."""

    VALID = "valid"
    INDICATIVE = "indicative"
    INVALID = "invalid"

    @property
    def rank(self) -> int:
        """Return 0 for valid, 1 for indicative and 2 for invalid."""
        return list(Level).index(self)


@dataclass(frozen=True, slots=True)
class Validity:
    """Validity of a result: valid, indicative or invalid, with the codes of the warnings that say why."""

    level: Level = Level.VALID
    reasons: tuple[str, ...] = ()

    @property
    def is_invalid(self) -> bool:
        """Return True if the figures of the result must not be used as an answer."""
        return self.level is Level.INVALID


def judge_validity(warnings: Iterable[QualityWarning]) -> Validity:
    """Return the validity of a run that has these data-quality warnings.

    The field `reasons` of the result has the codes of the warnings. If some warnings make the run invalid, `reasons`
    has only the codes of those.
    """
    by_severity: dict[Severity, list[str]] = {severity: [] for severity in Severity}
    for warning in warnings:
        by_severity[warning.severity].append(warning.name.value)
    if by_severity[Severity.INVALID]:
        return Validity(Level.INVALID, tuple(dict.fromkeys(by_severity[Severity.INVALID])))
    reasons = tuple(dict.fromkeys(by_severity[Severity.WARNING]))
    return Validity(Level.INDICATIVE, reasons) if reasons else Validity()


def combined(validities: Iterable[Validity]) -> Validity:
    """Return the validity of a figure made from several runs: the worst of `validities`.

    The result has the reasons of all runs with the worst validity. If there are no runs, the figure is valid.
    """
    members = list(validities)
    worst = max((member.level for member in members), key=lambda level: level.rank, default=Level.VALID)
    reasons = (reason for member in members if member.level is worst for reason in member.reasons)
    return Validity(worst, tuple(dict.fromkeys(reasons)))
