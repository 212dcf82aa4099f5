"""Compare the diagnosis with the labels in bottleneck_situations.toml, and print the confusion table.

Each entry of the file is a situation: measurements, and the bottleneck that they show. Takes a second, and needs no
other program.

    PYTHONPATH=. .venv/bin/python benchmarks/bottleneck_situations.py
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from capacity.diagnosis.bottleneck import BottleneckVerdict, Cause, CellEvidence, Confidence, find_bottleneck

SITUATIONS = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True)
class Situation:
    """A described situation, with the verdict that the diagnosis should return.

    `given` are the measurements. `label` is the bottleneck that they show. `also` are other verdicts that count as
    right.
    """

    name: str
    label: str
    also: frozenset[str]
    given: CellEvidence

    def judge(self) -> Judged:
        """Diagnose the measurements, and return the situation with the verdict."""
        return Judged(self, find_bottleneck(self.given))


@dataclass(frozen=True)
class Judged:
    """A situation with the verdict on it."""

    situation: Situation
    verdict: BottleneckVerdict

    @property
    def is_right(self) -> bool:
        """Return True if the verdict is the label, or an acceptable one.

        Where the measurements cannot decide, high confidence is wrong.
        """
        cause, label = self.verdict.cause, self.situation.label
        if label == Cause.UNCLEAR and cause is not Cause.UNCLEAR and self.verdict.confidence is Confidence.HIGH:
            return False
        return cause == label or cause in self.situation.also

    @property
    def is_confidently_wrong(self) -> bool:
        """Return True if the verdict is wrong with high confidence: it sends its reader the wrong way."""
        return not self.is_right and self.verdict.confidence is Confidence.HIGH


def read_situations(path: Path = SITUATIONS) -> list[Situation]:
    """Read the described situations. Inputs that the diagnosis does not know are left out."""
    known = {field.name for field in fields(CellEvidence)}
    return [_situation(entry, known) for entry in tomllib.loads(path.read_text(encoding="utf-8"))["situation"]]


def _situation(entry: Mapping[str, Any], known: set[str]) -> Situation:
    given = {name: value for name, value in entry["given"].items() if name in known}
    return Situation(entry["name"], entry["label"], frozenset(entry.get("also", ())), CellEvidence(**given))


def main() -> None:
    """Print the wrong verdicts, the confusion table and the score."""
    judged = [situation.judge() for situation in read_situations()]
    wrong = [each for each in judged if not each.is_right]
    for each in wrong:
        mark = "CONFIDENTLY WRONG" if each.is_confidently_wrong else "wrong"
        verdict = each.verdict
        print(f"{mark}: {each.situation.name}: {each.situation.label} called {verdict.cause} ({verdict.confidence})")
    print(f"\n{confusion_table(judged)}\n")
    confident = sum(each.is_confidently_wrong for each in judged)
    right = len(judged) - len(wrong)
    print(f"right {right} of {len(judged)} ({right / len(judged):.0%}); wrong with high confidence {confident}")


def confusion_table(judged: list[Judged]) -> str:
    """Return how often each label got which verdict, as a Markdown table without the empty cells.

    An acceptable verdict counts as the label.
    """
    labels = Counter(each.situation.label for each in judged)
    pairs = Counter((j.situation.label, j.situation.label if j.is_right else str(j.verdict.cause)) for j in judged)
    rows = ["| Label | Situations | Verdicts |", "|---|---|---|"]
    for label in sorted(labels):
        named = ", ".join(f"{cause} {count}" for (of, cause), count in pairs.most_common() if of == label)
        rows.append(f"| {label} | {labels[label]} | {named} |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
