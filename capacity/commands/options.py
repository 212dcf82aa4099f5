"""Options that the verbs share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from core.cli import env_option
from core.errors import UsageError, printable
from core.language import LANGUAGES
from core.plain_number import plain_number
from core.settings import PROFILE_NAMES, Settings, declared

Command = TypeVar("Command", bound=Callable[..., Any])


def setting_option(
    flag: str, variable: str, read: Callable[[Settings], Any], text: str, *, type: Any
) -> Callable[[Command], Command]:
    """Return a click option whose default is a setting from the environment or `.env`.

    The help text shows the name of the environment variable and the default that the setting declares.
    """
    default = next(entry["default"] for entry in declared() if entry["name"] == variable)
    names = ", ".join(filter(None, [variable, default and f"default {default}"]))
    return click.option(flag, type=type, default=lambda: read(Settings.from_process()), help=f"{text} [env: {names}].")


lang_option = setting_option(
    "--lang",
    "AFORO_LANG",
    lambda settings: settings.lang,
    "Language of results and progress",
    type=click.Choice(LANGUAGES),
)
profile_option = setting_option(
    "--profile",
    "PROFILE",
    lambda settings: settings.profile,
    "Encoding of the videos, by default that of AFORO_WORKER_PROFILE",
    type=click.Choice(PROFILE_NAMES),
)
yes_option = env_option("--yes", "YES", "Send to an app's queue without asking", is_flag=True, metavar=None)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


class Finite(click.FloatRange):
    """A range of numbers in ASCII digits. `click.FloatRange` also accepts `nan` and `1_0`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number. Fail when it is not finite or outside the range."""
        try:
            return float(super().convert(plain_number(str(value)), param, ctx))
        except ValueError:
            self.fail(f"{printable(value)!r} is not a finite number", param, ctx)


def run_ids(text: str) -> list[str]:
    """Return the ids in `A,B,…`. Raise UsageError for an empty list or a repeated id."""
    ids = [part.strip() for part in text.split(",") if part.strip()]
    if not ids or len(set(ids)) < len(ids):
        raise UsageError("runs", "it must be different ids separated by commas", "see `make table`", value=text)
    return ids


def with_examples(*examples: str) -> str:
    """Return the examples as the epilog of a help text."""
    return "\b\nExamples:\n" + "\n".join(f"  python -m capacity {example}" for example in examples)
