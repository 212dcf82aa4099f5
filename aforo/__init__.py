"""Public functions of Aforo for Celery apps: `instrument`, `stage` and `harden`.

`instrument(app)` makes workers export metrics. `stage(name)` measures a step of a task. `harden(app)` makes workers
survive SQS failures and malformed messages. With a Celery older than 5.3 or from 6.0 on, `instrument` and `stage`
log one line and do nothing.
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
# imported when first used, so that `import aforo` needs no other package
_MODULES = {
    "harden": "aforo.sqs.hardening",
    "instrument": "aforo.telemetry.instrument",
    "stage": "aforo.telemetry.stages",
}


def __getattr__(name: str) -> Any:
    """Import a public function from the module that defines it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "harden":  # asked for by name, so it is refused loudly
        return getattr(import_module(_MODULES[name]), name)
    return _measuring(name)


def _measuring(name: str) -> Any:
    """Return a function of the telemetry. Where it cannot be imported, return a function that does nothing."""
    unmeasured = import_module("aforo.unmeasured")
    function = {"instrument": unmeasured.instrument_nothing, "stage": unmeasured.stage_of_nothing}[name]
    with unmeasured.never_an_outage():
        unmeasured.require_known_version()
        function = getattr(import_module(_MODULES[name]), name)
    globals()[name] = function  # so that a failure is logged once
    return function
