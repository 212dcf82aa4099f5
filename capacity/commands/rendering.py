"""How a verb prints its result: aligned facts for people, one JSON object for programs."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any

import click

from pipeline.language import Language, Text

Fact = tuple[Text, str]


def print_facts(title: Text, facts: Iterable[Fact], lang: Language, notes: Iterable[Text] = ()) -> None:
    """Print a title, one aligned line per fact, and a dashed line per note."""
    shown = [(label.to(lang), value) for label, value in facts]
    width = max((len(label) for label, _ in shown), default=0)
    click.echo(title.to(lang))
    for label, value in shown:
        click.echo(f"  {label:<{width}}  {value}")
    for note in notes:
        click.echo(f"  - {note.to(lang)}")


def print_json(content: Mapping[str, Any], lang: Language) -> None:
    """Print one JSON object; see `plain` for what becomes of its values."""
    click.echo(json.dumps(plain(content, lang), ensure_ascii=False))


def plain(value: Any, lang: Language) -> Any:
    """Return what JSON can hold: texts in `lang`, enums by value, dataclasses as objects, NaN and infinity as null."""
    if isinstance(value, Text):
        return value.to(lang)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name), lang) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item, lang) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, lang) for item in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.value if isinstance(value, Enum) else value
