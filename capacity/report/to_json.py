"""Results as plain values, which is what JSON can hold."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from enum import Enum
from typing import Any

from core.language import Language, Text


def plain(value: Any, lang: Language) -> Any:
    """Return what JSON can hold: texts in `lang`, enums by value, dataclasses as objects, NaN and infinity as null."""
    if isinstance(value, Text):
        return value.to(lang)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name), lang) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item, lang) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, lang) for item in value]
    return _plain_scalar(value)


def _plain_scalar(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.value if isinstance(value, Enum) else value
