"""Show a progress bar on the terminal while a run is carried out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressDisplay

from capacity.experiments.run_launcher import Progress


@contextmanager
def progress_bar(description: Callable[[], str]) -> Iterator[Progress]:
    """Context manager: show a progress bar during the block, if standard error is a terminal.

    The block gets a function that sets the numbers of finished and expected videos. `description()` returns the text
    beside the bar.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with ProgressDisplay(*columns, console=console, transient=True, disable=not console.is_terminal) as display:
        bar = display.add_task("", total=None)
        yield lambda finished, expected: display.update(
            bar, description=description(), completed=finished, total=expected
        )
