"""Read from docs/operating.md the kubectl commands that install Aforo, in the documented order."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

from testing.emulator import ROOT

PAGE = ROOT / "docs/operating.md"


def install_commands(owner_url: str, reader_url: str, overlay: str) -> Iterator[list[str]]:
    """Yield the arguments of each documented kubectl command, without the word `kubectl`.

    The example values in the commands are replaced: the two database URLs by `owner_url` and `reader_url`, and the
    folder of the Kustomize overlay by `overlay`.
    """
    values = {"AFORO_DATABASE_URL": owner_url, "AFORO_DATABASE_READONLY_URL": reader_url}
    for words in map(_words, _lines()):
        if words[0] == "kubectl":
            yield [_filled(word, values, overlay) for word in words[1:]]


def _lines() -> list[str]:
    """Return the lines of the indented block that creates the namespace, continued lines joined."""
    text = PAGE.read_text(encoding="utf-8")
    block = next(block for block in re.findall(r"(?:^    .*\n)+", text, re.M) if "kubectl create namespace" in block)
    return block.replace("\\\n", " ").splitlines()


def _words(line: str) -> list[str]:
    return shlex.split(line, comments=True)


def _filled(word: str, values: dict[str, str], overlay: str) -> str:
    for name, value in values.items():
        if word.startswith(f"--from-literal={name}="):
            return f"--from-literal={name}={value}"
    return overlay if word == "my-overlay" else word
