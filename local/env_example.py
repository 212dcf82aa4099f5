"""`.env.example`: every setting with its meaning and default, made from where they are declared."""

from __future__ import annotations

from pipeline.settings import declared

HEAD = "# Every setting, with its default; take away the # to change one. Copy this file to .env.\n"


def render() -> str:
    """Return the text of `.env.example`."""
    return HEAD + "".join(f"\n# {entry['meaning']}\n#{entry['name']}={entry['default']}\n" for entry in declared())
