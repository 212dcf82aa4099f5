"""Write the outcome of the user's goals as JUnit XML and Markdown, for continuous integration.

The user writes a goal as a comparison. The goal is missed if the comparison is true: `x_sat<20` is missed if X_sat is
below 20.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.sax.saxutils import quoteattr

from capacity.diagnosis.goals import KINDS, GoalResult, Kind, Outcome
from capacity.table.number_format import UNKNOWN, number, percent
from core.errors import UsageError, first_line
from core.language import Language, Text

OUTCOMES = {
    Outcome.MET: Text("cumplido", "met"),
    Outcome.MISSED: Text("NO CUMPLIDO", "MISSED"),
    Outcome.UNKNOWN: Text("DESCONOCIDO", "UNKNOWN"),
    Outcome.NOT_APPLICABLE: Text("no aplica", "not applicable"),
}
HEADER = Text("| Falla si | Prueba | Valor | Resultado |", "| Fails if | Run | Value | Outcome |")


def shown_value(result: GoalResult, lang: Language) -> str:
    """Return the figure by which a goal was judged, as text with its unit.

    Return `—` for a goal that does not apply, and the word for unknown if the figure is unknown.
    """
    if result.outcome is Outcome.NOT_APPLICABLE:
        return "—"
    if isinstance(result.value, str):
        return result.value
    if result.value is None:
        return UNKNOWN.to(lang)
    kind = KINDS[result.goal.name]
    if kind is Kind.RATIO:
        return percent(result.value, lang)
    return number(result.value, lang) + (" s" if kind is Kind.SECONDS else "")


def goal_table(results: Sequence[GoalResult], lang: Language) -> str:
    """Return a Markdown table with one row per goal and run: goal, run, measured value and outcome."""
    lines = [
        f"| `{result.goal.text}` | {result.subject} | {shown_value(result, lang)} | "
        f"{OUTCOMES[result.outcome].to(lang)} |"
        for result in results
    ]
    return "\n".join([HEADER.to(lang), "|---|---|---|---|", *lines]) + "\n"


def summary(answers: Sequence[str], table: str, results: Sequence[GoalResult], lang: Language) -> str:
    """Return a Markdown summary: what was measured, the result table, and a table of the goals.

    `answers` are sentences that say what was measured. The first of them becomes the heading. `table` is the result
    table in Markdown. `results` has the outcome of each goal.
    """
    heading, *others = [*answers, ""]
    goals = goal_table(results, lang) if results else ""
    parts = [f"### {heading}", *(line for line in others if line), table.strip(), goals]
    return "\n\n".join(part for part in parts if part).rstrip() + "\n"


def junit_xml(results: Sequence[GoalResult], suite: str) -> str:
    """Return the goals' outcomes as JUnit XML, with one test case per entry of `results`.

    `suite` is the name of the test suite. A missed goal becomes a `failure`, and an unknown figure an `error`. A goal
    that does not apply becomes `skipped`.
    """
    count = {outcome: sum(result.outcome is outcome for result in results) for outcome in Outcome}
    attributes = (
        f'tests="{len(results)}" failures="{count[Outcome.MISSED]}" errors="{count[Outcome.UNKNOWN]}" '
        f'skipped="{count[Outcome.NOT_APPLICABLE]}"'
    )
    cases = "".join(_case(result, suite) for result in results)
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<testsuite name={quoteattr(suite)} {attributes}>\n'
    return f"{head}{cases}</testsuite>\n"


def write_file(path: Path, text: str, *, append: bool = False) -> None:
    """Write or append a text to a file. Raise UsageError if that is not possible."""
    try:
        with path.open("a" if append else "w", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(
            "file", f"it cannot be written: {first_line(error)}", "give another path", value=path
        ) from error


def _case(result: GoalResult, suite: str) -> str:
    message = quoteattr(f"{result.goal.text}: {shown_value(result, 'en')}")
    inner = {
        Outcome.MET: "",
        Outcome.MISSED: f"<failure message={message}/>",
        Outcome.UNKNOWN: f"<error message={message}/>",
        Outcome.NOT_APPLICABLE: "<skipped/>",
    }[result.outcome]
    names = f"classname={quoteattr(f'{suite}.{result.subject}')} name={quoteattr(result.goal.text)}"
    return f"  <testcase {names}>{inner}</testcase>\n"
