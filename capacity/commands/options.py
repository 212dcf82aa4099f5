"""Options that every verb shares."""

from __future__ import annotations

import click

from capacity.language import DEFAULT_LANGUAGE, LANGUAGES

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


def with_examples(*examples: str) -> str:
    """Return the end of a help text: real command lines, kept as they are written."""
    return "\b\nExamples:\n" + "\n".join(f"  python -m capacity {example}" for example in examples)
