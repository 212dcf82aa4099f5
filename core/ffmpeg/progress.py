"""ffmpeg's progress report, parsed from the output of `-progress pipe:1`."""

from __future__ import annotations


class Progress:
    """The latest value of each `key=value` line. ffmpeg writes about twenty of these lines every 0.5 s."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}
        self._incomplete_line = b""

    def feed(self, chunk: bytes) -> None:
        """Parse the next piece of ffmpeg's standard output."""
        *lines, self._incomplete_line = (self._incomplete_line + chunk).split(b"\n")
        for line in lines:
            key, _, value = line.decode("ascii", "replace").partition("=")
            self._values[key] = value.strip()

    @property
    def mark(self) -> tuple[str | None, ...]:
        """Return the values that change while ffmpeg advances: pictures, time and bytes of the output."""
        return tuple(self._values.get(key) for key in ("frame", "out_time_us", "total_size"))

    @property
    def pictures_seen(self) -> int:
        """Return the number of decoded pictures: encoded plus dropped, minus duplicated ones."""
        return self._count("frame") + self._count("drop_frames") - self._count("dup_frames")

    @property
    def bytes_written(self) -> int:
        """Return the current size of the output, or 0 while ffmpeg does not report a size."""
        return self._count("total_size")

    def _count(self, key: str) -> int:
        value = self._values.get(key, "0")
        return int(value) if value.isdigit() else 0
