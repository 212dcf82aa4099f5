"""Reason for a missing or doubtful result: a code and its numbers.

`capacity.report.messages` makes a sentence of it in the user's language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a result is missing or doubtful: a code, and the numbers for its sentence.

    The names in `values` end in their units. A `_ratio` of 1 is 100 %.
    """

    code: StrEnum
    values: Mapping[str, object] = field(default_factory=dict)
