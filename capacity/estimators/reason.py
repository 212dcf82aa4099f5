"""Reason of a result: a code of a closed enum, and its numbers.

`capacity.report.messages` makes the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Reason:
    """The reason why a result is missing or doubtful.

    The names of `values` end in their units. A `_ratio` of 1 means 100 %.
    """

    code: StrEnum
    values: Mapping[str, object] = field(default_factory=dict)
