"""Reason for a missing or doubtful result: a code and its numbers.

The module `capacity.report.messages` turns a reason into a sentence in the user's language.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Reason:
    """Code of a sentence of the report, such as why a result is missing, and the values in this sentence.

    `values` maps the names of the values to the values. The name of a quantity ends in its unit, such as `_seconds`.
    The ending `_ratio` means a share: 1 is 100 %.
    """

    code: StrEnum
    values: Mapping[str, object] = field(default_factory=dict)
