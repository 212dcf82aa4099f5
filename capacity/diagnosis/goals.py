"""Judge whether a result meets the user's goals.

The user writes a goal, such as `x_sat<20`, as a comparison. The goal is missed if the comparison is true.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.errors import UsageError


class Kind(StrEnum):
    """Kinds of figures that a goal can name. The kind decides which units the limit can have.

    The constant UNITS lists the units of each kind. The limit of a `WORD` is a word, such as `valid`.
    """

    NUMBER = "number"
    SECONDS = "seconds"
    RATIO = "ratio"
    WORD = "word"


#: figures that a goal can name; the others of docs/json.md cannot be goals
KINDS: Mapping[str, Kind] = {
    "x": Kind.NUMBER,
    "x_sat": Kind.NUMBER,
    "mb_per_minute": Kind.NUMBER,
    "rate": Kind.NUMBER,
    "failed": Kind.NUMBER,
    "unfinished": Kind.NUMBER,
    "duplicates": Kind.NUMBER,
    "s": Kind.SECONDS,
    "service": Kind.SECONDS,
    "response_p50": Kind.SECONDS,
    "response_p95": Kind.SECONDS,
    "wait_p50": Kind.SECONDS,
    "wait_p95": Kind.SECONDS,
    "goodput": Kind.RATIO,
    "stable": Kind.WORD,
    "validity": Kind.WORD,
}
WORDS: Mapping[str, tuple[str, ...]] = {"stable": ("yes", "no"), "validity": ("valid", "indicative", "invalid")}
UNITS: Mapping[Kind, Mapping[str, float]] = {
    Kind.NUMBER: {"": 1.0},
    Kind.SECONDS: {"": 1.0, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0},
    Kind.RATIO: {"": 1.0, "%": 0.01},
}
OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "!=": operator.ne, "<": operator.lt, ">": operator.gt, "=": operator.eq,
}  # fmt: skip
PATTERN = re.compile(r"\s*([a-z_0-9]+)\s*(<=|>=|!=|<|>|=)\s*(\S+)\s*")
NUMBER = re.compile(r"(\d+(?:\.\d+)?)(ms|s|min|h|%)?")


class Outcome(StrEnum):
    """Outcome of one goal, such as `x_sat<20`, on one result (a run or a cell).

    - `MET`: the comparison is false, for example because X_sat is 20 or more.
    - `MISSED`: the comparison is true.
    - `UNKNOWN`: the figure is unknown, or its known lower bound is not enough to decide.
    - `NOT_APPLICABLE`: only other results have the figure that the goal names.
    """

    MET = "met"
    MISSED = "missed"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a run or a cell, such as its X_sat, for comparison with the limit of a goal.

    `value` is a word, or a number in base units (such as seconds). None means unknown. If `is_lower_bound` is True, the
    true figure is `value` or more.
    """

    value: float | str | None
    is_lower_bound: bool = False


@dataclass(frozen=True, slots=True)
class Goal:
    """A goal, such as `x_sat<20`: a comparison that is true if a run or cell misses the goal.

    In this example, `name` (the figure) is `x_sat`, `sign` is `<`, and `limit` is 20. `text` is the goal as the user
    wrote it.
    """

    text: str
    name: str
    sign: str
    limit: float | str

    def holds(self, value: float | str) -> bool:
        """Return True if the comparison is true for `value`, a figure of a run or cell: the goal is missed."""
        if isinstance(value, str) or isinstance(self.limit, str):
            return (value == self.limit) is (self.sign == "=")
        return OPERATORS[self.sign](value, self.limit)


@dataclass(frozen=True, slots=True)
class GoalResult:
    """Outcome of one goal on one run or cell.

    `goal` is the goal itself. `subject` is the name of the run or cell. `value` is the figure that the goal names, or
    None if unknown.
    """

    goal: Goal
    subject: str
    outcome: Outcome
    value: float | str | None = None

    @property
    def fails(self) -> bool:
        """Return True if the goal was missed, or if its figure is unknown."""
        return self.outcome in {Outcome.MISSED, Outcome.UNKNOWN}


def parse_goal(text: str) -> Goal:
    """Parse a goal such as `response_p95>2min`. Raise UsageError for any other text."""
    match = PATTERN.fullmatch(text)
    if match is None:
        raise UsageError("--fail-if", "it is no condition", "write one such as 'x_sat<20'", value=text)
    name, sign, limit = match.groups()
    if name not in KINDS:
        raise UsageError("--fail-if", "there is no such figure", f"use one of {', '.join(sorted(KINDS))}", value=name)
    return Goal(text.strip(), name, sign, _limit(name, sign, limit, text))


def judge(goals: Sequence[Goal], results: Mapping[str, Mapping[str, Figure]]) -> list[GoalResult]:
    """Return the outcome of every goal on every result (a run or a cell).

    `goals` are the goals. `results` maps the name of each result to its figures: a mapping from figure name to
    figure. If no result has the figure that a goal names, all results share one outcome, `UNKNOWN`.
    """
    return [judged for goal in goals for judged in _judge_one(goal, results)]


def _judge_one(goal: Goal, results: Mapping[str, Mapping[str, Figure]]) -> list[GoalResult]:
    name = goal.name
    if not any(name in figures for figures in results.values()):
        return [GoalResult(goal, ", ".join(results) or "-", Outcome.UNKNOWN)]
    return [
        _outcome(goal, subject, figures[name]) if name in figures
        else GoalResult(goal, subject, Outcome.NOT_APPLICABLE)
        for subject, figures in results.items()
    ]  # fmt: skip


def _outcome(goal: Goal, subject: str, figure: Figure) -> GoalResult:
    value = figure.value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return GoalResult(goal, subject, Outcome.UNKNOWN)
    if figure.is_lower_bound and not (goal.sign in {">", ">="} and goal.holds(value)):
        return GoalResult(goal, subject, Outcome.UNKNOWN, value)
    return GoalResult(goal, subject, Outcome.MISSED if goal.holds(value) else Outcome.MET, value)


def _limit(name: str, sign: str, limit: str, text: str) -> float | str:
    kind = KINDS[name]
    if kind is Kind.WORD:
        if limit not in WORDS[name] or sign not in {"=", "!="}:
            raise UsageError("--fail-if", f"{name} is a word", f"write {name}={'|'.join(WORDS[name])}", value=text)
        return limit
    match = NUMBER.fullmatch(limit)
    units = UNITS[kind]
    if match is None or (match[2] or "") not in units:
        allowed = " or ".join(filter(None, units)) or "no unit"
        raise UsageError("--fail-if", f"the limit of {name} is a number with {allowed}", "see --help", value=text)
    return float(match[1]) * units[match[2] or ""]
