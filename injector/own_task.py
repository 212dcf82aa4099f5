"""A task of a foreign app: its name and its keyword arguments.

The arguments may contain placeholders, which are replaced by the values of each video.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from core.errors import UsageError

PLACEHOLDERS = ("video_id", "path", "key", "run_id", "user_id", "uploaded_at")
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
_TASK_NAME = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*")
LONGEST_NAME = 255
EXAMPLE = """--payload '{"video_id": "{video_id}", "path": "{path}"}'"""


@dataclass(frozen=True)
class OwnTask:
    """The foreign task to send instead of Aforo's.

    Strings of `payload`, at any depth, may contain placeholders.
    """

    name: str
    payload: dict[str, Any]

    def kwargs(self, facts: Mapping[str, str]) -> dict[str, Any]:
        """Return the keyword arguments for one video. `facts` has a value for every placeholder."""
        return {key: _filled(value, facts) for key, value in self.payload.items()}


def parse_own_task(name: str, payload: str) -> OwnTask:
    """Return the task. Raise UsageError for an invalid name or payload."""
    if len(name) > LONGEST_NAME or not _TASK_NAME.fullmatch(name):
        raise UsageError("TASK", "it is not the name of a task", "give one such as app.tasks.process_video", value=name)
    if not payload:
        raise UsageError("PAYLOAD", "it is missing", f"give the task's keyword arguments, such as {EXAMPLE}")
    try:
        parsed = json.loads(payload)
    except ValueError as error:
        raise UsageError("PAYLOAD", f"it is not JSON: {error}", f"give {EXAMPLE}", value=payload) from None
    if not isinstance(parsed, dict):
        raise UsageError("PAYLOAD", "it is not a JSON object", f"give {EXAMPLE}", value=payload)
    _require_placeholders(payload, parsed)
    return OwnTask(name, parsed)


def _require_placeholders(payload: str, parsed: dict[str, Any]) -> None:
    used = [name for text in _texts(parsed) for name in _PLACEHOLDER.findall(text)]
    for name in used:
        if name not in PLACEHOLDERS:
            allowed = ", ".join(PLACEHOLDERS)
            raise UsageError("PAYLOAD", "there is no such placeholder", f"use {allowed}", value=f"{{{name}}}")
    if not used:
        why = "every video would get the same arguments"
        raise UsageError("PAYLOAD", why, "use a placeholder such as {video_id}", value=payload)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []


def _filled(value: Any, facts: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(each, facts) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, facts) for each in value]
    return _PLACEHOLDER.sub(lambda match: facts[match[1]], value) if isinstance(value, str) else value
