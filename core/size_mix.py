"""Sizes of the videos of a run: one size such as `50MB`, or a mix by weight such as `50MB:3+100MB:1`."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from core.errors import UsageError
from core.size import is_size_label, label_bytes, parse_size, size_label

#: between the sizes of a mix in its label
JOINT = "+"
MOST_SIZES = 5
MOST_WEIGHT = 999
DEFAULT_SEED = 1
MOST_SEED = 2**32 - 1
FORM = "give sizes with weights, such as 50MB:3+100MB:1"


@dataclass(frozen=True)
class SizeShare:
    """One size of a mix, in bytes, and its weight."""

    size_bytes: int
    weight: int = 1


@dataclass(frozen=True)
class SizeMix:
    """Sizes of a run's videos in ascending order, each with its weight.

    The weights have no common divisor. A run of one size has a single entry in `shares`, with weight 1.
    """

    shares: tuple[SizeShare, ...]

    @property
    def label(self) -> str:
        """Return these sizes as a text: `50MB`, or `50MB:3+100MB:1` for a mix.

        A run is stored and found under this label.
        """
        if len(self.shares) == 1:
            return size_label(self.shares[0].size_bytes)
        return JOINT.join(f"{size_label(share.size_bytes)}:{share.weight}" for share in self.shares)

    @property
    def period(self) -> int:
        """Return the sum of the weights of this mix.

        A run has the exact shares of the mix only if its number of videos is a multiple of this sum.
        """
        return sum(share.weight for share in self.shares)

    @property
    def mean_bytes(self) -> int:
        """Return the mean size of the videos, in bytes."""
        return round(sum(share.weight * share.size_bytes for share in self.shares) / self.period)

    def require_exact(self, count: int) -> None:
        """Raise UsageError if `count` videos cannot have the exact shares of the mix."""
        rest = count % self.period
        if rest:
            fewer, more = count - rest, count - rest + self.period
            remedy = f"give {f'{fewer} or ' if fewer else ''}{more}"
            why = f"the weights of {self.label} need a multiple of {self.period}"
            raise UsageError("COUNT", why, remedy, value=count)

    def positions(self, count: int, seed: int) -> list[int]:
        """Return, for each of `count` videos, the index of its size in the field `shares`.

        Each size gets exactly its share of the videos. The order is random, and the same `seed` gives the same order.
        Raise UsageError if exact shares of `count` videos are impossible.
        """
        self.require_exact(count)
        repeats = count // self.period
        each = [position for position, share in enumerate(self.shares) for _ in range(repeats * share.weight)]
        random.Random(seed).shuffle(each)  # noqa: S311 (an order, not a secret)
        return each


def parse_sizes(text: str) -> SizeMix:
    """Parse one size such as `50MB`, or a mix such as `50MB:3+100MB:1`.

    One size gives a SizeMix with a single entry. Raise UsageError if `text` is neither a size nor a mix.
    """
    if JOINT not in text and ":" not in text:
        return SizeMix((SizeShare(parse_size(text)),))
    shares = sorted((_share(word, text) for word in text.split(JOINT)), key=lambda share: share.size_bytes)
    labels = [size_label(share.size_bytes) for share in shares]
    if len(shares) < 2 or "," in text:
        raise UsageError("SIZE", "a mix is two sizes or more, joined by +", FORM, value=text)
    if len(shares) > MOST_SIZES:
        raise UsageError("SIZE", f"a mix has at most {MOST_SIZES} sizes", FORM, value=text)
    if len(set(labels)) < len(labels):
        raise UsageError("SIZE", "the mix names a size twice", FORM, value=text)
    divisor = math.gcd(*(share.weight for share in shares))
    return SizeMix(tuple(SizeShare(share.size_bytes, share.weight // divisor) for share in shares))


def one_spelling(text: str) -> str:
    """Return the mix in `text` in its standard spelling: `100MB:2+50MB:6` becomes `50MB:3+100MB:1`.

    A single size is returned as it is written, without surrounding spaces. Raise UsageError if `text` is neither a size
    nor a mix.
    """
    sizes = parse_sizes(text)
    return sizes.label if len(sizes.shares) > 1 else text.strip()


def is_sizes_label(label: str) -> bool:
    """Return True if `label` names one size such as `50MB`, or a mix such as `50MB:3+100MB:1`."""
    if not is_mix(label):
        return is_size_label(label)
    return all(is_size_label(size) and re.fullmatch("[1-9][0-9]{0,2}", weight) for size, weight in _words(label))


def is_mix(label: str) -> bool:
    """Return True if the label of a run's size names a mix."""
    return JOINT in label


def mean_label_bytes(label: str) -> int:
    """Return the size in bytes for a label such as `50MB`. For a mix, return the mean size of its videos."""
    if not is_mix(label):
        return label_bytes(label)
    shares = [SizeShare(label_bytes(size), int(weight)) for size, weight in _words(label)]
    return SizeMix(tuple(shares)).mean_bytes


def _words(label: str) -> Iterator[tuple[str, str]]:
    for word in label.split(JOINT):
        size, _, weight = word.partition(":")
        yield size, weight


def _share(word: str, text: str) -> SizeShare:
    size, _, weight = word.strip().partition(":")
    if not (weight.isascii() and weight.isdigit() and 1 <= int(weight[:4]) <= MOST_WEIGHT):
        why = f"{word.strip() or 'an empty word'} has no weight of 1 to {MOST_WEIGHT}"
        raise UsageError("SIZE", why, FORM, value=text)
    return SizeShare(parse_size(size), int(weight))
