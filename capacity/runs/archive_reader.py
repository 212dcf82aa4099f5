"""Read the archive of a run. The error for a wrong value names the file, the field and the value."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from capacity.runs.archived_values import (
    LARGEST_NUMBER,
    LATEST_TIME,
    REMEDY,
    read_object,
    read_run_fields,
    require_figure,
    wrong_value,
)
from capacity.runs.column_reader import UNKNOWN_WORD, Array
from capacity.runs.recorded_run import (
    EXECUTION_COLUMNS,
    MOST_IDS,
    STAGE_COLUMNS,
    VIDEO_COLUMNS,
    VOCABULARIES,
    OtherWork,
    RecordedRun,
    assemble,
)
from capacity.runs.resource_samples import Resources
from capacity.runs.run_files import executions_file
from core.errors import UsageError, printable
from core.models import RunRow
from core.plain_number import plain_number
from core.size_mix import is_mix
from core.user_files import require_file

#: an archive of 200,000 videos has 80 MB
MOST_CSV_BYTES = 1_000_000_000
FIGURES_REMEDY = "delete the file, and `make report` writes it again"
#: columns in which a cell may not be empty
NEVER_EMPTY = {"videos": frozenset({"uploaded_at", "updated_at"}), "executions": frozenset({"started_at"})}
#: lowest and highest value of the columns whose numbers are not times
RANGES: Mapping[str, tuple[float, float]] = {
    "slot": (-1, MOST_IDS - 1),
    **dict.fromkeys(STAGE_COLUMNS, (0, LARGEST_NUMBER)),
}


def read_archive(folder: Path) -> tuple[RecordedRun, Resources]:
    """Return a run and its resource samples from its archive files.

    Raise UsageError when a file is missing or damaged, or has a value that is not allowed.
    """
    fields = read_run_fields(folder / "run.json")
    run = RunRow(**fields)
    optional = frozenset({"worker"}) if is_mix(run.size_label) else frozenset({"worker", "source_bytes"})
    videos = _Table.read(folder / "videos.csv").columns(VIDEO_COLUMNS, NEVER_EMPTY["videos"], optional)
    executions = _Table.read(executions_file(folder)).columns(EXECUTION_COLUMNS, NEVER_EMPTY["executions"], optional)
    other = run.environment.get("other_work")
    recorded = replace(assemble(run, videos, executions), other_work=OtherWork(**other) if other else None)
    return recorded, read_resource_file(folder / "resources.csv")


def archived_figures(folder: Path) -> tuple[float | None, float | None]:
    """Return X (videos per minute) and S (seconds) of an archived run from its `row.json`.

    A figure is None if it is unknown, or if there is no `row.json`. Raise UsageError if the file is damaged, or if a
    figure is missing, negative or not a number.
    """
    file = folder / "row.json"
    if not file.exists():
        return None, None
    row = read_object(file, FIGURES_REMEDY)
    x, s = (require_figure(file, row, name, FIGURES_REMEDY) for name in ("x_per_minute", "s_seconds"))
    return x, s


def read_resource_file(path: Path) -> Resources:
    """Return the resource samples of a run from its file `resources.csv`.

    The first column holds the times of the samples. An empty cell in another column becomes NaN. Raise UsageError if
    the file is missing or damaged, or has a value that is not allowed.
    """
    table = _Table.read(path)
    values = {
        name: table.numbers(name, *((0, LATEST_TIME) if k == 0 else (-LARGEST_NUMBER, LARGEST_NUMBER)))
        for k, name in enumerate(table.names)
    }
    times, *_ = values.values()
    if np.isnan(times).any():
        raise table.wrong_cell(table.names[0], int(np.isnan(times).argmax()), "a number from 0")
    return Resources(times, {name: values[name] for name in table.names[1:]})


@dataclass(frozen=True)
class _Table:
    """A CSV file: its column names, and the cells of each column."""

    path: Path
    names: Sequence[str]
    cells: Mapping[str, Sequence[str]]

    @classmethod
    def read(cls, path: Path) -> _Table:
        rows = _rows(path)
        names = next(rows, None)
        if not names or len(set(names)) < len(names):
            raise UsageError(str(path), "it does not begin with the names of its columns", REMEDY)
        columns = list(zip(*rows, strict=True)) or [()] * len(names)
        return cls(path, names, dict(zip(names, columns, strict=True)))

    def columns(self, names: Sequence[str], never_empty: frozenset[str], optional: frozenset[str]) -> list[Array]:
        """Return the columns `names` of this CSV file as arrays of numbers, one array per column.

        A text, such as the state `done`, becomes its position in the list of allowed texts. Workers become numbers from
        0. If the file has no column `worker`, each node counts as one worker. Any other missing column of `optional`
        becomes NaN.

        Raise UsageError if a column outside `optional` is missing, if a column in `never_empty` has an empty cell, or
        if a value is not allowed.
        """
        missing = [name for name in names if name not in self.cells and name not in optional]
        if missing:
            raise UsageError(str(self.path), f"it has no column {', '.join(missing)}", REMEDY)
        return [self._column(name, is_required=name in never_empty) for name in names]

    def _column(self, name: str, *, is_required: bool) -> Array:
        if name == "worker":
            return self._workers()
        if name not in self.cells:
            return np.full(len(next(iter(self.cells.values()))), np.nan)
        if name in VOCABULARIES:
            return self._words(name)
        low, high = RANGES.get(name, (0, LATEST_TIME))
        values = self.numbers(name, low, high)
        if is_required and np.isnan(values).any():
            raise self.wrong_cell(name, int(np.isnan(values).argmax()), f"a number from {low:g}")
        return np.where(values < 0, np.nan, values) if name == "slot" else values

    def _workers(self) -> Array:
        """Return a number per worker. Old archives have no worker, and their slots are process ids."""
        given = [self.cells[name] for name in ("worker", "node") if name in self.cells]
        if not given:
            raise UsageError(str(self.path), "it has no column worker", REMEDY)
        cells = [next(filter(None, names), "") for names in zip(*given, strict=True)]
        numbers = {worker: number for number, worker in enumerate(sorted(set(cells)))}
        return np.array([numbers[worker] for worker in cells], dtype=np.float64)

    def _words(self, name: str) -> Array:
        """Return the positions of words. Any reason is allowed, because an app has its own; so is no outcome."""
        words = [str(word) for word in VOCABULARIES[name]]
        positions = {word: position for position, word in enumerate(words)} | ({} if name == "state" else {"": -1})
        if name != "reason" and (unknown := set(self.cells[name]) - positions.keys()):
            number = next(number for number, cell in enumerate(self.cells[name]) if cell in unknown)
            raise self.wrong_cell(name, number, f"{', '.join(words[:-1])} or {words[-1]}")
        return np.array([positions.get(cell, UNKNOWN_WORD) for cell in self.cells[name]], dtype=np.float64)

    def numbers(self, name: str, low: float, high: float) -> Array:
        """Return the numbers in one column of this CSV file. An empty cell is NaN.

        Raise UsageError for any other cell that is not a number from `low` to `high`.
        """
        values = np.array([_number(cell) for cell in self.cells[name]], dtype=np.float64)
        wrong = ~((values >= low) & (values <= high)) & np.array([cell != "" for cell in self.cells[name]], dtype=bool)
        if wrong.any():
            allowed = "a finite number" if low == -LARGEST_NUMBER else f"a number from {low:g} to {high:g}"
            raise self.wrong_cell(name, int(wrong.argmax()), allowed)
        return values

    def wrong_cell(self, name: str, number: int, allowed: str) -> UsageError:
        """Return the error for a wrong cell of this CSV file, in column `name` and data row `number`.

        The first row below the headings has the number 0. `allowed` describes the allowed values.
        """
        value = self.cells[name][number]
        return wrong_value(f"{self.path} line {number + 2}: {printable(name)}", value, allowed)


def _number(cell: str) -> float:
    """Return the number in a cell, or NaN."""
    try:
        return plain_number(cell)
    except ValueError:
        return float("nan")


def _rows(path: Path) -> Iterator[list[str]]:
    """Yield the lines of a CSV file, all as long as the first one."""
    width, number = 0, 0
    require_file(str(path), str(path), REMEDY, MOST_CSV_BYTES)
    try:
        with path.open(newline="", encoding="utf-8") as file:
            for number, cells in enumerate(csv.reader(file, strict=True), start=1):
                width = width or len(cells)
                if len(cells) != width:
                    raise UsageError(f"{path} line {number}", f"{len(cells)} cells under {width} columns", REMEDY)
                yield cells
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        raise UsageError(f"{path} line {number + 1}", printable(error), REMEDY) from None
