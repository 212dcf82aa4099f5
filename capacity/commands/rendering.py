"""Print a result: aligned lines for people, or one JSON object for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import click

from capacity.report.to_json import SCHEMA, to_json
from core.language import Language, Text

LabelledValue = tuple[Text, str]


def print_facts(title: Text, values: Iterable[LabelledValue], lang: Language, notes: Iterable[Text] = ()) -> None:
    """Print a title, then a line for each label with its value, then a line `- NOTE` for each note.

    All values start in the same column.
    """
    shown = [(label.to(lang), value) for label, value in values]
    width = max((len(label) for label, _ in shown), default=0)
    click.echo(title.to(lang))
    for label, value in shown:
        click.echo(f"  {label:<{width}}  {value}")
    for note in notes:
        click.echo(f"  - {note.to(lang)}")


def print_json(content: Mapping[str, Any], lang: Language) -> None:
    """Print `content` as one JSON object, with the version of its schema."""
    click.echo(json.dumps({"schema": SCHEMA} | to_json(content, lang), ensure_ascii=False))
