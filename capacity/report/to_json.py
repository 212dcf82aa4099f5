"""Convert results to JSON values. docs/json.md describes the schema."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from enum import Enum
from typing import Any

from capacity.diagnosis.bottleneck import BottleneckVerdict
from capacity.diagnosis.criteria import Measurement
from capacity.estimators.reason import Reason
from capacity.estimators.response_time import Decomposition
from capacity.report.messages import measurement, sentence
from capacity.runs.result_row import ResultRow
from core.language import Language, Text

#: version of the keys and codes of every `--json`; a key that changes its meaning raises it
SCHEMA = 1
#: keys by field name, where the key is kept for readers of old output: `suspects` are the candidate causes
KEYS: Mapping[type, Mapping[str, str]] = {
    BottleneckVerdict: {"candidates": "suspects"},
    Decomposition: {"response_seconds": "cycle_seconds"},
    Measurement: {"quantity": "code"},
}


def row_to_json(row: ResultRow, lang: Language) -> dict[str, Any]:
    """Return a result row as a JSON object.

    Its key `validity` is `valid`, `indicative` or `invalid`. The key `validity_reasons` has the codes of the reasons.
    """
    validity = {"validity": row.validity.level.value, "validity_reasons": list(row.validity.reasons)}
    return {**_fields(row, lang), **validity, "s_is_lower_bound": row.s_is_lower_bound}


def to_json(value: Any, lang: Language) -> Any:
    """Convert any result to values that JSON can hold.

    A dataclass becomes an object with its fields. NaN and infinity become null. The object of a `Reason` or a
    `Measurement` also has the key `text`: a description in the language `lang`.
    """
    if isinstance(value, Reason):
        return {"code": value.code.value, **to_json(value.values, lang), "text": sentence(value, lang)}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        text = {"text": measurement(value, lang)} if isinstance(value, Measurement) else {}
        return _fields(value, lang) | text
    if isinstance(value, Mapping):
        return {key: to_json(item, lang) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item, lang) for item in value]
    return _scalar(value, lang)


def _fields(value: Any, lang: Language) -> dict[str, Any]:
    keys = KEYS.get(type(value), {})
    names = [field.name for field in dataclasses.fields(value)]
    return {keys.get(name, name): to_json(getattr(value, name), lang) for name in names}


def _scalar(value: Any, lang: Language) -> Any:
    if isinstance(value, Text):
        return value.to(lang)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.value if isinstance(value, Enum) else value
