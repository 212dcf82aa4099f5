import signal

import pytest

from core.ffmpeg.failure_reasons import reason_of, require_success
from core.ffmpeg.sandbox import Ending, Finished
from core.video import Reason, VideoFailed


def finished(
    ending=Ending.EXITED, returncode=1, stderr="", oom_killer_struck=False, memory_exhausted=False
) -> Finished:
    return Finished(ending, returncode, 1.5, 1.0, 1 << 20, 0, 0, "", stderr, oom_killer_struck, memory_exhausted)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (finished(Ending.DEADLINE, -9), Reason.TIMEOUT),
        (finished(Ending.STALLED, -9), Reason.STALLED),
        (finished(Ending.FLOODED, -9), Reason.CORRUPT),
        (finished(Ending.SIGNALLED, -signal.SIGSEGV), Reason.FFMPEG_SIGNAL),
        (finished(Ending.SIGNALLED, -signal.SIGKILL), Reason.FFMPEG_SIGNAL),
        (finished(Ending.SIGNALLED, -signal.SIGKILL, oom_killer_struck=True), Reason.OOM),
        (finished(Ending.SIGNALLED, -signal.SIGSEGV, oom_killer_struck=True), Reason.FFMPEG_SIGNAL),
        (finished(Ending.SIGNALLED, -signal.SIGABRT, "x264 [error]: malloc of size 16386 failed"), Reason.OOM),
        (finished(Ending.SIGNALLED, -signal.SIGXFSZ), Reason.TOO_LARGE),
        (finished(Ending.SIGNALLED, -signal.SIGXCPU), Reason.TIMEOUT),
        (finished(returncode=255, stderr="Exiting normally, received signal 15."), Reason.FFMPEG_SIGNAL),
        (finished(stderr="Error writing trailer of file:out.mp4: No space left on device"), Reason.DISK_FULL),
        (finished(stderr="stream 0, offset 0x8000: partial file"), Reason.TRUNCATED),
        (finished(stderr="moov atom not found\nin.bin: Invalid data found when processing input"), Reason.TRUNCATED),
        (finished(stderr="Invalid data found when processing input"), Reason.CORRUPT),
        (
            finished(stderr="[h264_nvenc @ 0x5] OpenEncodeSessionEx failed: out of memory (10): (no details)"),
            Reason.ENCODER_SESSIONS,
        ),
        (finished(stderr="[h264_nvenc @ 0x5] Cannot load libcuda.so.1"), Reason.UNSUPPORTED),
        (finished(stderr="Unknown encoder 'libx265'"), Reason.UNSUPPORTED),
        (finished(stderr=""), Reason.CORRUPT),  # -xerror exits without a message
        (finished(returncode=127, stderr="libx.so: failed to map segment from shared object"), Reason.OOM),
        (finished(returncode=69, stderr="something new"), Reason.FFMPEG_ERROR),
        (finished(returncode=69, stderr=""), Reason.FFMPEG_ERROR),
    ],
)
def test_every_end_has_a_reason(end, reason):
    assert reason_of(end) is reason


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (finished(memory_exhausted=True), Reason.OOM),  # silent: the encoder's threads did not start
        (finished(stderr="[hevc @ 0x5] get_buffer() failed", memory_exhausted=True), Reason.OOM),
        (finished(Ending.STALLED, -9, memory_exhausted=True), Reason.OOM),
        (finished(Ending.SIGNALLED, -signal.SIGSEGV, memory_exhausted=True), Reason.OOM),
        (finished(Ending.DEADLINE, -9, memory_exhausted=True), Reason.TIMEOUT),
        (finished(stderr="No space left on device", memory_exhausted=True), Reason.DISK_FULL),
        (finished(stderr="[hevc @ 0x5] get_buffer() failed"), Reason.FFMPEG_ERROR),
    ],
)
def test_a_program_at_its_memory_limit_is_out_of_memory_whatever_it_says(end, reason):
    assert reason_of(end) is reason


def test_success_is_no_failure():
    require_success(finished(returncode=0))


def test_the_detail_is_one_line_without_control_characters():
    with pytest.raises(VideoFailed) as failure:
        require_success(finished(stderr="title: \x1b[31mred\nInvalid data found " + "x" * 500))
    assert failure.value.detail.startswith("exited 1 after 1.5 s: title: \\x1b[31mred | Invalid data found xxx")
    assert len(failure.value.detail) < 350
