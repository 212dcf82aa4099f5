"""`import`: record a run in Aforo's database for a test that a team made with its own scripts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from capacity.commands.options import with_examples
from capacity.runs.imported_run import ImportRequest, import_run
from capacity.runs.sessions import open_store
from core.app_file import AppFile
from core.app_file.videos_table import VideosTable
from core.cli import WholeNumber, env_option
from core.errors import UsageError
from core.rate import parse_rate
from core.settings import MOST_SLOTS, Settings
from core.size import parse_size
from core.user_files import read_text

TASK_ID = "{task_id}"
#: two million task ids
MOST_ID_BYTES = 100_000_000


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        why = "it is not a time"
        raise UsageError("import", why, "give one such as 2026-11-27T10:00:00+00:00", value=text) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@click.command(
    "import",
    epilog=with_examples(
        "import --tasks-log worker_tasks_20261127.log --size 50MB --concurrency 2",
        "import --ids ids.txt --size 50MB --concurrency 4",
        "import --from 2026-11-27T10:00 --to 2026-11-27T11:00 --size 100MB --concurrency 2 --rate 10",
    ),
)
@click.option("--tasks-log", type=click.Path(path_type=Path), help="Log of Celery task ids, one per line.")
@click.option("--ids", type=click.Path(path_type=Path), help="File with the keys of the rows, one per line.")
@click.option("--from", "since", type=_moment, metavar="TIME", help="First upload, UTC unless it names a zone.")
@click.option("--to", "until", type=_moment, metavar="TIME", help="Last upload.")
@env_option("--size", "SIZE", "Size of the videos", default="50MB", type=parse_size)
@env_option("--concurrency", "CONCURRENCY", "Slots of each worker", default=2, type=WholeNumber(1, MOST_SLOTS))
@env_option("--workers", "WORKERS", "Workers", default=1, type=WholeNumber(1, 1000))
@env_option("--rate", "RATE", "Videos per minute, if they were sent at a fixed rate", type=parse_rate)
def import_(
    tasks_log: Path | None,
    ids: Path | None,
    since: float | None,
    until: float | None,
    size: int,
    concurrency: int,
    workers: int,
    rate: float | None,
) -> None:
    """Record a run in Aforo's database, from videos that an app processed in a test of its own.

    Choose the videos by --tasks-log, by --ids, or by --from and --to. The section [videos] of the app's aforo.toml
    names the database table of the videos. X, S and X_sat are computed from the times of the videos. Figures that need
    records of the worker stay unknown.

    Exit codes: 0 imported, 2 wrong input, 3 our database or the app's is not available.
    """
    settings = Settings.from_process()
    app = settings.app
    if app is None or app.videos is None:
        raise UsageError("import", "it reads the table of an aforo.toml", "give APP=path/aforo.toml with [videos]")
    keys = _keys(app, _sources(tasks_log, ids, since, until))
    run_id = import_run(open_store(settings), app, keys, ImportRequest(size, concurrency, workers, rate))
    click.echo(f"{len(keys)} videos imported as run {run_id}; see `make report APP=…`")


Source = Callable[[VideosTable], list[Any]]


def _sources(tasks_log: Path | None, ids: Path | None, since: float | None, until: float | None) -> Source:
    """Return how the keys are found. Raise UsageError unless exactly one way is given."""
    ways: list[Source] = []
    if tasks_log is not None:
        ways.append(lambda table: table.keys_of(_task_column(table.app), id_lines(tasks_log)))
    if ids is not None:
        ways.append(lambda _table: id_lines(ids))
    if since is not None and until is not None:
        ways.append(lambda table: table.keys_between(since, until))
    if len(ways) != 1:
        raise UsageError("import", "the rows are not named", "give --tasks-log, --ids, or --from and --to")
    return ways[0]


def _keys(app: AppFile, source: Source) -> Sequence[Any]:
    table = VideosTable.open(app)
    keys = [table.key(key) for key in source(table)]
    if not keys:
        raise UsageError("import", "no row was found", "check the file or the times", value=table.section.table)
    return list(dict.fromkeys(keys))


def _task_column(app: AppFile) -> str:
    assert app.videos is not None  # noqa: S101 (`import_` checks it)
    column = next((name for name, value in app.videos.insert.items() if value == TASK_ID), None)
    if column is None:
        remedy = "give --ids, or --from and --to"
        raise UsageError(app.place("videos.insert"), f"no column is {TASK_ID}, so task ids name no row", remedy)
    return column


def id_lines(file: Path) -> list[str]:
    """Return the ids in a text file with one id per line, without blank lines.

    Raise UsageError if the file cannot be read, is not text, or is larger than 100 MB.
    """
    text = read_text("import", file, "give a text file with one id per line", MOST_ID_BYTES)
    return [line for each in text.splitlines() if (line := each.strip())]
