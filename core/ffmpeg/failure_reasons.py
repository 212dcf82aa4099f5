"""Find the failure reason of a video from the way in which ffmpeg or ffprobe ended."""

from __future__ import annotations

import signal

from core.errors import printable
from core.ffmpeg.sandbox import Ending, Finished
from core.video import Reason, VideoFailed

DETAIL_CHARACTERS = 300
SILENT_EXIT = 1

#: Messages of ffmpeg 4 to 7 on standard error. The most specific is first: one broken file causes several of them.
_MESSAGES = (
    ("OpenEncodeSessionEx failed: out of memory", Reason.ENCODER_SESSIONS),  # NVENC's answer beyond its session limit
    ("OpenEncodeSessionEx failed: incompatible client key", Reason.ENCODER_SESSIONS),
    ("Unknown encoder", Reason.UNSUPPORTED),
    ("Cannot load libcuda", Reason.UNSUPPORTED),
    ("Cannot load libnvidia-encode", Reason.UNSUPPORTED),
    ("No capable devices found", Reason.UNSUPPORTED),
    ("No space left on device", Reason.DISK_FULL),
    ("Disk quota exceeded", Reason.DISK_FULL),
    ("File too large", Reason.TOO_LARGE),
    ("exceeds specified max pixel count", Reason.TOO_LARGE),
    ("Number of streams exceeds", Reason.UNSUPPORTED),
    ("Cannot allocate memory", Reason.OOM),
    ("Could not allocate memory", Reason.OOM),  # the H.264 decoder, after its threads have started
    ("malloc of size", Reason.OOM),
    ("failed to map segment", Reason.OOM),  # the limit is below the size of ffmpeg's libraries, some 300 MiB
    ("Resource temporarily unavailable", Reason.OOM),  # pthread_create under RLIMIT_AS
    ("received signal", Reason.FFMPEG_SIGNAL),  # SIGTERM and SIGINT are caught; ffmpeg then exits with 255
    ("not on whitelist", Reason.UNSUPPORTED),
    ("Decoder not found", Reason.UNSUPPORTED),
    ("no decoder found", Reason.UNSUPPORTED),
    ("not implemented", Reason.UNSUPPORTED),
    ("moov atom not found", Reason.TRUNCATED),
    ("partial file", Reason.TRUNCATED),
    ("File ended prematurely", Reason.TRUNCATED),
    ("Packet corrupt", Reason.CORRUPT),
    ("corrupt input packet", Reason.CORRUPT),
    ("corrupt decoded frame", Reason.CORRUPT),
    ("Invalid data found", Reason.CORRUPT),
    ("rror while decoding", Reason.CORRUPT),
    ("Error submitting packet to decoder", Reason.CORRUPT),
)
_ENDINGS = {
    Ending.DEADLINE: Reason.TIMEOUT,
    Ending.STALLED: Reason.STALLED,
    Ending.FLOODED: Reason.CORRUPT,  # only a malicious file makes ffprobe print a mebibyte
}
#: Reasons that a program gives when it was refused memory: its decoders and threads fail, hang or crash, mostly silent.
_REASONS_WITHOUT_MEMORY = frozenset(
    {Reason.CORRUPT, Reason.TRUNCATED, Reason.FFMPEG_ERROR, Reason.FFMPEG_SIGNAL, Reason.STALLED}
)
_SIGNALS = {signal.SIGXFSZ: Reason.TOO_LARGE, signal.SIGXCPU: Reason.TIMEOUT}


def require_success(finished: Finished) -> None:
    """Raise VideoFailed with the failure reason unless ffmpeg or ffprobe exited with status 0."""
    if not finished.succeeded:
        raise VideoFailed(reason_of(finished), _detail(finished))


def reason_of(finished: Finished) -> Reason:
    """Return the failure reason of a video on which ffmpeg or ffprobe failed."""
    reason = _stated_reason(finished)
    return Reason.OOM if finished.memory_exhausted and reason in _REASONS_WITHOUT_MEMORY else reason


def _stated_reason(finished: Finished) -> Reason:
    """Return the reason that the ending and the messages of the program give."""
    if finished.ending in _ENDINGS:
        return _ENDINGS[finished.ending]
    message_reason = next((reason for text, reason in _MESSAGES if text in finished.stderr_tail), None)
    if finished.ending is Ending.SIGNALLED:
        return Reason.OOM if message_reason is Reason.OOM else _reason_of_signal(finished)
    if message_reason is None and finished.returncode == SILENT_EXIT and not finished.stderr_tail:
        return Reason.CORRUPT  # with -xerror ffmpeg can exit at a decoder's error before it prints the error
    return message_reason or Reason.FFMPEG_ERROR


def _reason_of_signal(finished: Finished) -> Reason:
    if finished.returncode == -signal.SIGKILL and finished.oom_killer_struck:
        return Reason.OOM
    return _SIGNALS.get(signal.Signals(-finished.returncode), Reason.FFMPEG_SIGNAL)


def _detail(finished: Finished) -> str:
    """Return how the program ended and its standard error, on one line.

    Control characters are escaped, because they may come from a hostile file.
    """
    stderr = printable(" | ".join(finished.stderr_tail.splitlines()), limit=DETAIL_CHARACTERS)
    return f"{finished.ending} {finished.returncode} after {finished.wall_seconds:.1f} s: {stderr}"
