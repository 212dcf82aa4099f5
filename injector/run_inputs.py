"""Input files of a run: one for all its videos, or one for each size of a mix."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.run import MIX
from core.size import size_label
from core.size_mix import SizeMix


@dataclass(frozen=True)
class Source:
    """One input file in the storage.

    `key` is its storage key. `seconds` is the duration of the video, or None if unknown. `origin` is the path that the
    user gave, or a text such as `generated 50MB`.
    """

    key: str
    size_bytes: int
    sha256: str
    seconds: float | None
    origin: str


@dataclass(frozen=True)
class RunInputs:
    """Input files of a run, and which of these files each video uses.

    `order` has the position of each video's file in `sources`, from 0. `sizes` is the size or mix of the generated
    files, or None for the user's own file.
    """

    sources: tuple[Source, ...]
    order: Sequence[int]
    sizes: SizeMix | None = None

    def of_video(self, sequence: int) -> Source:
        """Return the input file of the video with number `sequence`. The first video has number 0."""
        return self.sources[self.order[sequence]]

    @property
    def label(self) -> str:
        """Return the size of the videos as the run records it: `50MB`, or `50MB:3+100MB:1` for a mix."""
        return size_label(self.sources[0].size_bytes) if self.sizes is None else self.sizes.label

    @property
    def mean_bytes(self) -> int:
        """Return the mean size of the videos, in bytes."""
        return self.sources[0].size_bytes if self.sizes is None else self.sizes.mean_bytes

    @property
    def mean_seconds(self) -> float | None:
        """Return the mean duration of the videos in seconds, or None if the duration of any file is unknown."""
        known = [source.seconds for source in self.sources if source.seconds is not None]
        if len(known) < len(self.sources):
            return None
        return known[0] if len(known) == 1 else sum(known[position] for position in self.order) / len(self.order)

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of the input file. For a mix, return one digest of all its files and shares."""
        if len(self.sources) == 1:
            return self.sources[0].sha256
        text = " ".join([self.label, *(source.sha256 for source in self.sources)])
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def origin(self) -> str:
        """Return where the videos come from: the path that the user gave, or a text such as `generated 50MB`."""
        return self.sources[0].origin if len(self.sources) == 1 else f"generated {self.label}"

    def as_json(self) -> dict[str, Any]:
        """Return the size, digest, duration and share of each file of a mix, to be stored in the run's row.

        The returned dict has one key, `mix`, whose value is a list with one dict per file. The returned dict is empty
        if the run has a single file.
        """
        if self.sizes is None or len(self.sources) == 1:
            return {}
        pairs = zip(self.sizes.shares, self.sources, strict=True)
        return {
            MIX: [
                {"weight": share.weight, "bytes": source.size_bytes, "sha256": source.sha256, "seconds": source.seconds}
                for share, source in pairs
            ]
        }
