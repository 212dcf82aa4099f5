"""Clues: measured values against limits, told with their units in both languages, unknown when not measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from core.language import Text

Form = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class Fact:
    """A quantity and how it is told: `{}` in the sentence stands for the value, which `form` gives its unit."""

    es: str
    en: str
    form: Form

    def told(self, value: float | None) -> Text:
        """Return the sentence with the value, or that it was not measured."""
        if value is None:
            return Text(f"sin medir: {self.es.format('…')}", f"not measured: {self.en.format('…')}")
        return Text(self.es.format(self.form(value)), self.en.format(self.form(value)))


@dataclass(frozen=True, slots=True)
class Clue:
    """What was seen against a limit; `holds` is None when it was not measured, `decisive` when it alone convinces.

    `texts` tell what settles it: all that was seen when it holds, else only what fails or is unknown.
    """

    texts: tuple[Text, ...]
    holds: bool | None
    decisive: bool = False


def share(value: float) -> str:
    """Show a ratio of 1 as a percentage."""
    return f"{100 * value:.3g} %"


def times(value: float) -> str:
    """Show how many times as much something is."""
    return f"×{value:.2f}"


def plain(value: float) -> str:
    """Show a number without unit."""
    return f"{value:.3g}"


def at_least(fact: Fact, value: float | None, limit: float) -> Clue:
    """Return the clue that a value is not under its limit."""
    return _clue(fact, value, f"≥ {fact.form(limit)}", None if value is None else value >= limit)


def at_most(fact: Fact, value: float | None, limit: float) -> Clue:
    """Return the clue that a value is not over its limit."""
    return _clue(fact, value, f"≤ {fact.form(limit)}", None if value is None else value <= limit)


def between(fact: Fact, value: float | None, low: float, high: float) -> Clue:
    """Return the clue that a value is neither under its lower limit nor over its upper one."""
    holds = None if value is None else low <= value <= high
    return _clue(fact, value, f"{fact.form(low)} … {fact.form(high)}", holds)


def above(fact: Fact, value: float | None, limit: float) -> Clue:
    """Return the clue that a value is over its limit."""
    return _clue(fact, value, f"> {fact.form(limit)}", None if value is None else value > limit)


def below(fact: Fact, value: float | None, limit: float) -> Clue:
    """Return the clue that a value is under its limit."""
    return _clue(fact, value, f"< {fact.form(limit)}", None if value is None else value < limit)


def _clue(fact: Fact, value: float | None, rule: str, holds: bool | None) -> Clue:
    told = fact.told(value)
    return Clue((Text(f"{told.es} ({rule})", f"{told.en} ({rule})"),), holds)


def decisive(clue: Clue) -> Clue:
    """Return the clue such that it alone makes the verdict sure."""
    return replace(clue, decisive=True)


def both(*clues: Clue) -> Clue:
    """Return a clue that holds when all do; one that fails settles it, one unknown leaves it open."""
    states = [clue.holds for clue in clues]
    holds = False if False in states else None if None in states else True
    return Clue(_texts(clue for clue in clues if clue.holds is holds), holds)


def together(*clues: Clue) -> list[Clue]:
    """Return the clues such that each holds only when all do."""
    holds = both(*clues).holds
    return [replace(clue, holds=holds) if holds is not clue.holds else clue for clue in clues]


def either(*clues: Clue) -> Clue:
    """Return a clue that holds when any does; one unknown leaves it open while none does."""
    states = [clue.holds for clue in clues]
    holds = True if True in states else None if None in states else False
    return Clue(_texts(clue for clue in clues if clue.holds is holds), holds)


def _texts(clues: Iterable[Clue]) -> tuple[Text, ...]:
    return tuple(text for clue in clues for text in clue.texts)
