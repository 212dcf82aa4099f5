"""SQS transport that survives failures and invalid messages. `harden(app)` gives it to a Celery app.

In this package, a docstring or comment with "corrects a defect:" says what kombu or Celery does without our code.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aforo.sqs.hardening import UnsupportedApp, harden
    from aforo.sqs.message import ReceivedMessage
    from aforo.sqs.observer import Observer
    from aforo.sqs.validation import MessagePolicy
    from aforo.sqs.visibility import VisibilityHeartbeat

__all__ = ["MessagePolicy", "Observer", "ReceivedMessage", "UnsupportedApp", "VisibilityHeartbeat", "harden"]

# imported when first used, so that `import aforo.sqs` needs neither boto3 nor pycurl
_MODULES = {
    "MessagePolicy": "validation",
    "Observer": "observer",
    "ReceivedMessage": "message",
    "UnsupportedApp": "hardening",
    "VisibilityHeartbeat": "visibility",
    "harden": "hardening",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
