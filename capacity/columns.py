"""Reads query results as arrays, a chunk at a time: a million rows never exist as Python objects."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Select
from sqlalchemy.orm import Session

CHUNK_ROWS = 20_000

Array = npt.NDArray[Any]
Converter = Callable[[Sequence[Any]], Array]


def read_columns(session: Session, statement: Select[*tuple[Any, ...]], converters: Sequence[Converter]) -> list[Array]:
    """Return one array per column of `statement`, each made by its converter."""
    pieces: list[list[Array]] = [[convert(())] for convert in converters]
    for rows in session.execute(statement, execution_options={"yield_per": CHUNK_ROWS}).partitions():
        for piece, convert, values in zip(pieces, converters, zip(*rows, strict=True), strict=True):
            piece.append(convert(values))
    return [np.concatenate(piece) for piece in pieces]


def floats(values: Sequence[Any]) -> Array:
    """Return float64 values, NaN for null."""
    return np.array(values, dtype=np.float64)


def words(vocabulary: Iterable[str]) -> Converter:
    """Return a converter to positions in `vocabulary`, -1 for null and any other word."""
    codes = {word: position for position, word in enumerate(vocabulary)}
    return lambda values: np.fromiter((codes.get(value, -1) for value in values), np.int8, len(values))


def numbering() -> Converter:
    """Return a converter to numbers from 0 in the order of first appearance."""
    codes: dict[Any, int] = {}
    return lambda values: np.fromiter((codes.setdefault(v, len(codes)) for v in values), np.int64, len(values))
