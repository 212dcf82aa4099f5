"""`wait`: wait for the end of a run, or for an empty queue."""

from __future__ import annotations

import click

from capacity.commands.options import Finite, lang_option, with_examples
from capacity.experiments.run_launcher import RunLauncher, no_progress
from capacity.runs.recorded_run import find_run, newest_run_id
from capacity.runs.sessions import reading
from core.errors import UsageError
from core.language import Language, Text
from core.run import STUCK_SECONDS

EARLIER_WORK = Text(
    "unos {} mensajes de trabajo anterior en la cola: se retiran los de pruebas terminadas y se espera a los demás",
    "about {} messages of earlier work in the queue: those of ended runs are cancelled, the others are waited for",
)


@click.command(epilog=with_examples("wait", "wait 20261124-051233-burst-50mb-c2", "wait --queue"))
@click.argument("run_id", required=False)
@click.option("--queue", "for_queue", is_flag=True, help="Wait until the queue is empty instead, before a run.")
@click.option(
    "--stuck-minutes",
    type=Finite(0.01, 100_000),
    show_default=f"{STUCK_SECONDS / 60:g}, with an app AFORO_APP_STUCK_SECONDS",
    help="Give up after this time without any finished video.",
)
@lang_option
def wait(run_id: str | None, for_queue: bool, stuck_minutes: float | None, lang: Language) -> None:
    """Wait until every video of a run is done or failed.

    Without RUN_ID, wait for the newest run of the configured queue. With --queue, wait until the queue holds no
    message. RUN_ID is then not allowed. The queued videos of interrupted and failed runs are cancelled before this
    wait, except in the queue of an app.

    Exit codes: 0 the wait has ended, 1 no progress for --stuck-minutes or a video has no message in the queue, 2 no
    such run, 3 no queue or database.
    """
    launcher = RunLauncher.open(lang)
    stuck_seconds = None if stuck_minutes is None else stuck_minutes * 60
    if for_queue:
        return _empty_queue(launcher, run_id, stuck_seconds or STUCK_SECONDS, lang)
    with reading(launcher.sessions) as session:
        newest = newest_run_id(session, launcher.settings.queue.name)
        existing_id = find_run(session, run_id or newest).id
    return launcher.wait(existing_id, no_progress, stuck_seconds)


def _empty_queue(launcher: RunLauncher, run_id: str | None, stuck_seconds: float, lang: Language) -> None:
    if run_id is not None:
        raise UsageError("wait", "--queue concerns no run", "leave the run out", value=run_id)
    if messages := launcher.messages():
        click.echo(EARLIER_WORK.to(lang).format(messages), err=True)
    launcher.wait_for_empty_queue(stuck_seconds)
