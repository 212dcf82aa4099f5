"""Command-line options and option types that several verbs share."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from textwrap import wrap
from typing import Any, TypeVar

import click

from core.cli import env_option
from core.errors import UsageError, printable
from core.ffmpeg.profiles import profile_text
from core.language import LANGUAGES
from core.plain_number import plain_number
from core.settings import Settings, declared

#: so that a help text fits 80 columns
EXAMPLE_WIDTH = 72
_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
Command = TypeVar("Command", bound=Callable[..., Any])


def setting_option(
    flag: str, variable: str, read: Callable[[Settings], Any], text: str, *, type: Any
) -> Callable[[Command], Command]:
    """Return a decorator that adds a command-line option whose default value is a setting.

    `flag` is the option, such as `--lang`. `variable` is the environment variable, such as AFORO_LANG. `read` is a
    function that returns the setting from Settings. `text` is the help text, to which the variable and its default
    value are appended. `type` is click's type of the option.
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
    type=profile_text,
)
yes_option = env_option("--yes", "YES", "Send to an app's queue without asking", is_flag=True, metavar=None)
json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")


class Finite(click.FloatRange):
    """Type of a command-line option: a finite number in a range, in ASCII digits.

    `click.FloatRange` would also accept `nan` and `1_0`.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the option's number.

        Raise click.BadParameter if the text is not a finite number or if the number is outside the range.
        """
        try:
            return float(super().convert(plain_number(str(value)), param, ctx))
        except ValueError:
            self.fail(f"{printable(value)!r} is not a finite number", param, ctx)


class Percentage(click.ParamType[float]):
    """Type of a command-line option: a percentage such as `5%`, which becomes the ratio 0.05.

    The argument `most` is the largest allowed ratio, such as 0.5 for 50 %. The smallest is 0.
    """

    name = "percentage"

    def __init__(self, most: float) -> None:
        self.most = most

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the percentage as a ratio: 0.05 for `5%`.

        Raise click.BadParameter for any other text, or if the percentage is too large. A number without `%` is
        rejected, because it can mean a percentage or a ratio.
        """
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%", str(value).strip(), re.ASCII)
        if match is None or float(match[1]) > 100 * self.most:
            self.fail(f"{printable(value)!r} is not a percentage from 0% to {self.most:.0%}, such as 5%", param, ctx)
        return float(match[1]) / 100


class Quantity(click.ParamType[float]):
    """Type of a command-line option: a rate (with `rate=True`) or a duration.

    A rate such as `30/min` becomes videos per minute. A duration such as `60s` becomes seconds. `name` is the word for
    the value in error messages.
    """

    def __init__(self, name: str, *, rate: bool) -> None:
        self.name = name
        self.rate = rate
        self.pattern = re.compile(rf"(\d+(?:\.\d+)?(?:e\d+)?)\s*{'/' if rate else ''}\s*(s|min|h)")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return a rate in videos per minute, or a duration in seconds.

        Raise click.BadParameter for any other text, and for a rate or duration of 0.
        """
        if isinstance(value, float):
            return value
        match = self.pattern.fullmatch(str(value).strip())
        if match is None or not 0 < float(match[1]) < math.inf:
            example = "30/min" if self.rate else "60s or 5min"
            self.fail(f"{value!r} is not a {self.name} such as {example}", param, ctx)
        unit = _UNITS[match[2]]
        return float(match[1]) * (60 / unit if self.rate else unit)


def run_ids(text: str) -> list[str]:
    """Split `A,B,…` into run ids. Raise UsageError if there is none, or if one occurs twice."""
    ids = [part.strip() for part in text.split(",") if part.strip()]
    if not ids or len(set(ids)) < len(ids):
        raise UsageError("runs", "it must be different ids separated by commas", "see `make table`", value=text)
    return ids


def with_examples(*examples: str) -> str:
    """Return example commands as the last part of a help text, with long commands wrapped."""
    lines = [wrap(f"python -m capacity {example}", EXAMPLE_WIDTH, break_on_hyphens=False) for example in examples]
    return "\b\nExamples:\n" + "\n".join("  " + " \\\n      ".join(parts) for parts in lines)
