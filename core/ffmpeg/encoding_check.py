"""Check that this machine can encode with a profile, by a test that encodes five generated pictures."""

from __future__ import annotations

from core.errors import EnvironmentFault, UsageError, printable
from core.ffmpeg.filter_graphs import trial_command
from core.ffmpeg.profiles import Profile
from core.ffmpeg.sandbox import Limits, run_sandboxed

_LIMITS = Limits(deadline_seconds=60.0, stall_seconds=None, memory_bytes=64 << 30)
_MISSING = ("Unknown encoder", "Cannot load", "No capable devices", "No NVENC capable", "no CUDA-capable")


def require_encoding(profile: Profile) -> None:
    """Run ffmpeg for a moment with `profile`. Raise an error unless this machine can encode with it.

    Raise EnvironmentFault if ffmpeg or the machine lacks the encoder, and UsageError if ffmpeg rejects an option of the
    profile.
    """
    finished = run_sandboxed(trial_command(profile), _LIMITS)
    if finished.succeeded:
        return
    why = printable(" | ".join(finished.stderr_tail.splitlines()), limit=200)
    if any(text in finished.stderr_tail for text in _MISSING):
        raise EnvironmentFault(
            "profile",
            f"{profile.encoder} is not available here: {why}",
            "use another profile, or a machine with this encoder",
            value=profile.name,
        )
    raise UsageError("PROFILE", f"ffmpeg rejects it: {why}", "correct its preset, rate or filters", value=profile.name)
