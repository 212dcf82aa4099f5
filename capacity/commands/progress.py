"""How long work shows what it does and how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from capacity.experiments.test_runner import Progress as Report


@contextmanager
def progress_bar(description: Callable[[], str]) -> Iterator[Report]:
    """Show a test's videos and what `description` tells of it, where there is a terminal; yields what to report to."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as display:
        bar = display.add_task("", total=None)
        yield lambda ended, expected: display.update(bar, description=description(), completed=ended, total=expected)
