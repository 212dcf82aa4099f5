from core.ffmpeg.progress import Progress


def test_progress_is_read_across_chunks():
    progress = Progress()
    for chunk in (b"frame=1", b"2\nout_time_us=480000\ntotal_s", b"ize=N/A\nprogress=continue\n"):
        progress.feed(chunk)
    assert progress.mark == ("12", "480000", "N/A")
    assert progress.pictures_seen == 12
    assert progress.bytes_written == 0
