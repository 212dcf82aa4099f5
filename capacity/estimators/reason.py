"""Reason for a missing or doubtful result: a code and its numbers.

`capacity.report.messages` turns a reason into a sentence in the user's language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a result is missing or doubtful: a code for a sentence, and the values in this sentence.

    `values` maps names to the values. The name of a quantity ends in its unit, such as `_seconds`. The ending `_ratio`
    means a share: 1 is 100 %.
    """

    code: StrEnum
    values: Mapping[str, object] = field(default_factory=dict)
