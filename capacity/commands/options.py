"""Options that every verb shares."""

from __future__ import annotations

import math
from typing import Any

import click

from core.errors import UsageError
from core.language import DEFAULT_LANGUAGE, LANGUAGES

lang_option = click.option(
    "--lang",
    type=click.Choice(LANGUAGES),
    default=DEFAULT_LANGUAGE,
    show_default=True,
    envvar="AFORO_CAPACITY_LANG",
    show_envvar=True,
    help="Language of what is printed for people.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


class Finite(click.FloatRange):
    """A range that NaN is not in, which `click.FloatRange` lets through."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number; fail for one that is not finite or not in the range."""
        found = float(super().convert(value, param, ctx))
        if not math.isfinite(found):
            self.fail(f"{value!r} is not a finite number", param, ctx)
        return found


def run_ids(text: str) -> list[str]:
    """Return the ids of `A,B,…`; raise UsageError when there is none, or one is given twice."""
    ids = [part.strip() for part in text.split(",") if part.strip()]
    if not ids or len(set(ids)) < len(ids):
        raise UsageError("runs", "ids with commas between are wanted, each once", "see `make table`", value=text)
    return ids


def with_examples(*examples: str) -> str:
    """Return the end of a help text: real command lines, kept as they are written."""
    return "\b\nExamples:\n" + "\n".join(f"  python -m capacity {example}" for example in examples)
