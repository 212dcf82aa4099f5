"""Read the options `--fail-if`, `--junit` and `--summary`, and judge the user's goals for CI.

CI is continuous integration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from capacity.commands.options import Command
from capacity.diagnosis.goals import Figure, Goal, GoalResult, Outcome, judge, parse_goal
from capacity.report.goal_files import junit_xml, shown_value, summary, write_file
from core.errors import GoalMissed
from core.language import Language
from core.user_files import require_writable


class GoalType(click.ParamType[Goal]):
    """Type of a command-line option whose value is a goal, such as `x_sat<20`."""

    name = "condition"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Goal:
        """Parse the option's text as a goal. Raise UsageError if it is not a goal."""
        return value if isinstance(value, Goal) else parse_goal(value)


class WritableFile(click.Path):
    """Type of a command-line option whose value is the path of a file that can be written.

    The path is checked when the option is read, before a run starts.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the option's path. Raise an AforoError if the file cannot be written."""
        path = Path(str(super().convert(value, param, ctx)))
        require_writable(param.opts[0] if param else "file", path, "give another path")
        return path


@dataclass(frozen=True)
class Goals:
    """Values of the options `--fail-if`, `--junit` and `--summary`.

    `fail_if` has the goals. The command fails if a goal is missed, or if the figure in a goal is unknown. `junit` and
    `summary` are the files to write. Each is None if its option was not given.
    """

    fail_if: tuple[Goal, ...] = ()
    junit: Path | None = None
    summary: Path | None = None

    def judge(self, results: Mapping[str, Mapping[str, Figure]]) -> list[GoalResult]:
        """Judge each goal of `--fail-if` on each run or cell, and return the outcomes.

        `results` maps the name of each run or cell to its figures by name. The class Outcome explains the outcomes.
        """
        return judge(self.fail_if, results)

    def write(
        self, verb: str, results: Sequence[GoalResult], answers: Sequence[str], table: str, lang: Language
    ) -> None:
        """Write the JUnit file, and append to the Markdown summary. Skip a file whose option was not given.

        `results` are the outcomes of the goals. `answers` (sentences) and `table` (Markdown) go into the summary.
        `verb` is the name of the command, such as `report`.
        """
        if self.junit is not None:
            write_file(self.junit, junit_xml(results, f"aforo.{verb}"))
        if self.summary is not None:
            write_file(self.summary, summary(answers, table, results, lang), append=True)


def goal_options(command: Command) -> Command:
    """Add the options `--fail-if`, `--junit` and `--summary` to a command such as `report`.

    The command gets their values as the keyword arguments `fail_if`, `junit` and `summary`.
    """
    path = WritableFile()
    for option in (
        click.option("--summary", type=path, help="Append a Markdown summary, for example to $GITHUB_STEP_SUMMARY."),
        click.option("--junit", type=path, help="Write the outcome of --fail-if as JUnit XML."),
        click.option(
            "--fail-if",
            multiple=True,
            type=GoalType(),
            metavar="CONDITION",
            help="Exit with 4 if it holds or its figure is unknown; repeatable: 'x_sat<20' 'response_p95>120s' "
            "'duplicates>0' 'stable=no'.",
        ),
    ):
        command = option(command)
    return command


def require_met(results: Sequence[GoalResult]) -> None:
    """Raise GoalMissed if a goal of `--fail-if` was missed, or if the figure in a goal is unknown.

    `results` are the outcomes of the goals.
    """
    missed = [result for result in results if result.fails]
    if missed:
        shown = "; ".join(f"{result.subject}: {result.goal.text} ({_why(result)})" for result in missed)
        raise GoalMissed("goals", shown, "see the report", value=f"{len(missed)} of {len(results)} missed")


def goals_as_json(results: Sequence[GoalResult]) -> list[dict[str, object]]:
    """Return one JSON object per outcome of a goal, such as `x_sat<20`, on a run or cell."""
    return [
        {"condition": r.goal.text, "subject": r.subject, "outcome": r.outcome.value, "value": r.value} for r in results
    ]


def _why(result: GoalResult) -> str:
    value = shown_value(result, "en")
    return value if result.outcome is Outcome.MISSED or result.value is None else f"unknown, at least {value}"
