"""Logging of all programs: one line per event, on standard error, without secrets."""

from __future__ import annotations

import logging
import re
import time

_SECRET = re.compile(r"(?<=://)([^/:@\s]*):[^/@\s]*(?=@)|(?<=[Ss]ecret[Kk]ey=)\S+|\bAKIA[0-9A-Z]{16}\b")


class ScrubbingFormatter(logging.Formatter):
    """Log formatter with UTC times that masks AWS keys and the passwords in URLs, also in tracebacks."""

    converter = staticmethod(time.gmtime)

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a log record, with its traceback, without secrets."""
        return scrub(super().format(record))


def scrub(text: str) -> str:
    """Return `text` with *** in place of AWS keys, and of passwords in URLs."""
    return _SECRET.sub(lambda match: f"{match[1]}:***" if match[1] is not None else "***", text)


def configure(level: str = "INFO") -> None:
    """Set up logging of this program: lines on standard error with UTC time, level and logger name."""
    handler = logging.StreamHandler()
    handler.setFormatter(ScrubbingFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("botocore").setLevel(logging.WARNING)
