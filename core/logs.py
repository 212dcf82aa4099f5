"""Logging of every program: one line an event, on standard error, no secret in it."""

from __future__ import annotations

import logging
import re
import time

_SECRET = re.compile(r"(?<=://)([^/:@\s]*):[^/@\s]*(?=@)|(?<=[Ss]ecret[Kk]ey=)\S+|\bAKIA[0-9A-Z]{16}\b")


class SecretScrubber(logging.Filter):
    """Replaces passwords in URLs and AWS keys before a line is written."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Scrub the finished message and let it pass."""
        record.msg, record.args = scrub(record.getMessage()), ()
        return True


def scrub(text: str) -> str:
    """Return `text` with the password of every URL and every AWS access key masked."""
    return _SECRET.sub(lambda found: f"{found[1]}:***" if found[1] is not None else "***", text)


def configure(level: str = "INFO") -> None:
    """Send log lines to standard error in UTC with level and logger name."""
    handler = logging.StreamHandler()
    handler.addFilter(SecretScrubber())
    formatter = logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("botocore").setLevel(logging.WARNING)
