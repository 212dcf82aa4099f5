"""Clues: measured values against limits, told in both languages, unknown when not measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from capacity.language import UNKNOWN, Text


@dataclass(frozen=True, slots=True)
class Clue:
    """What was seen against a limit; `holds` is None when it was not measured, `decisive` when it alone convinces."""

    text: Text
    holds: bool | None
    decisive: bool = False


def at_least(name: str, value: float | None, limit: float) -> Clue:
    """Return the clue that a value is not under its limit."""
    return _clue(name, value, f"≥ {limit:g}", None if value is None else value >= limit)


def at_most(name: str, value: float | None, limit: float) -> Clue:
    """Return the clue that a value is not over its limit."""
    return _clue(name, value, f"≤ {limit:g}", None if value is None else value <= limit)


def above(name: str, value: float | None, limit: float) -> Clue:
    """Return the clue that a value is over its limit."""
    return _clue(name, value, f"> {limit:g}", None if value is None else value > limit)


def below(name: str, value: float | None, limit: float) -> Clue:
    """Return the clue that a value is under its limit."""
    return _clue(name, value, f"< {limit:g}", None if value is None else value < limit)


def _clue(name: str, value: float | None, rule: str, holds: bool | None) -> Clue:
    shown = UNKNOWN if value is None else Text(*(f"{value:.3g}",) * 2)
    text = Text(f"{_SPANISH.get(name, name)} = {shown.es} ({rule})", f"{name} = {shown.en} ({rule})")
    return Clue(text, holds)


def decisive(clue: Clue) -> Clue:
    """Return the clue such that it alone makes the verdict sure."""
    return replace(clue, decisive=True)


def both(*clues: Clue) -> Clue:
    """Return a clue that holds when all do; one that fails settles it, one unknown leaves it open."""
    return Clue(_joined(" y ", " and ", clues), _all(clues))


def together(*clues: Clue) -> list[Clue]:
    """Return the clues such that each holds only when all do."""
    return [Clue(clue.text, _all(clues)) for clue in clues]


def either(*clues: Clue) -> Clue:
    """Return a clue that holds when any does, told by the ones that hold."""
    holding = tuple(clue for clue in clues if clue.holds)
    known = tuple(clue for clue in clues if clue.holds is not None)
    holds = True if holding else False if known else None
    return Clue(_joined(" o ", " or ", holding or known or clues), holds)


def _all(clues: Sequence[Clue]) -> bool | None:
    states = [clue.holds for clue in clues]
    return False if False in states else None if None in states else True


def _joined(es: str, en: str, clues: Sequence[Clue]) -> Text:
    return Text(es.join(clue.text.es for clue in clues), en.join(clue.text.en for clue in clues))


_SPANISH = {
    "throttled periods": "periodos frenados",
    "host idle": "máquina ociosa",
    "PSI memory full": "PSI memoria full",
    "swapped in bytes": "bytes de swap",
    "OOM kills": "muertes por OOM",
    "stretch ffmpeg": "alargamiento de ffmpeg",
    "stretch download": "alargamiento de la descarga",
    "stretch db": "alargamiento de la BD",
    "ffmpeg cores of c=1": "núcleos de ffmpeg frente a c=1",
    "U disk": "U disco",
    "U network": "U red",
    "await stretch": "alargamiento de la espera de disco",
    "transfer share of service": "parte del servicio en transferencias",
    "growth of transfer rate when slots double": "aumento de la transferencia al doblar slots",
    "storage refusals (503)": "rechazos del almacenamiento (503)",
    "CPU seconds per video of c=1": "segundos de CPU por video frente a c=1",
    "X of the CPU bound": "X frente a la cota de CPU",
    "ffmpeg share of service": "parte del servicio en ffmpeg",
    "ffmpeg cores at c=1": "núcleos que usa ffmpeg con c=1",
    "decode share": "parte de decodificación",
    "highest PSI": "mayor PSI",
    "highest U": "mayor U",
    "efficiency": "eficiencia",
    "lead over the next": "ventaja sobre el siguiente",
    "gain of doubling slots": "ganancia al doblar slots",
}
