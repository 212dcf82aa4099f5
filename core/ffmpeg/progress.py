"""Progress of a running ffmpeg, parsed from the output of its option `-progress pipe:1`."""

from __future__ import annotations


class Progress:
    """Latest progress values of a running ffmpeg.

    ffmpeg writes about twenty `key=value` lines every 0.5 s. The last value of each key is kept.
    """

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._incomplete_line = b""

    def feed(self, chunk: bytes) -> None:
        """Parse the next piece of ffmpeg's standard output. A piece can end in the middle of a line."""
        *lines, self._incomplete_line = (self._incomplete_line + chunk).split(b"\n")
        for line in lines:
            key, _, value = line.decode("ascii", "replace").partition("=")
            self._values[key] = value.strip()

    @property
    def mark(self) -> tuple[str | None, ...]:
        """Return ffmpeg's progress: encoded pictures, output time in microseconds, output size in bytes.

        Each value is a text, or None before ffmpeg reports it. If two results are equal, ffmpeg did not advance between
        them.
        """
        return tuple(self._values.get(key) for key in ("frame", "out_time_us", "total_size"))

    @property
    def pictures_seen(self) -> int:
        """Return the number of pictures that ffmpeg has decoded so far.

        It is computed from three of ffmpeg's counters: encoded pictures + dropped pictures − duplicated pictures.
        """
        return self._count("frame") + self._count("drop_frames") - self._count("dup_frames")

    @property
    def bytes_written(self) -> int:
        """Return the current size of ffmpeg's output in bytes, or 0 while ffmpeg does not report a size."""
        return self._count("total_size")

    def _count(self, key: str) -> int:
        value = self._values.get(key, "0")
        return int(value) if value.isdigit() else 0
