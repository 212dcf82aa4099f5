"""Measurement of Celery workers: `instrument(app)`, `stage(name)`, and `harden(app)` for Amazon SQS.

Each function is imported when it is first used, so `import aforo` needs no other package.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aforo.sqs.hardening import harden
    from aforo.telemetry.instrument import instrument
    from aforo.telemetry.stages import stage

__version__ = "0.1.0"
__all__ = ["__version__", "harden", "instrument", "stage"]
_MODULES = {
    "harden": "aforo.sqs.hardening",
    "instrument": "aforo.telemetry.instrument",
    "stage": "aforo.telemetry.stages",
}


def __getattr__(name: str) -> Any:
    """Import a public function from the module that defines it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
