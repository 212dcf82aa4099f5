"""`wait`: wait for the end of a run."""

from __future__ import annotations

import click

from capacity.commands.options import with_examples
from capacity.experiments.run_launcher import RunLauncher, no_progress
from capacity.runs.recorded_run import find_run
from capacity.runs.sessions import reading


@click.command(epilog=with_examples("wait", "wait 20261124-051233-burst-50mb-c2"))
@click.argument("run_id", required=False)
@click.option(
    "--stuck-minutes", default=30.0, show_default=True, help="Give up after this time without any finished video."
)
def wait(run_id: str | None, stuck_minutes: float) -> None:
    """Wait until every video of the run (default: the newest) is finished, then close the run."""
    launcher = RunLauncher.open()
    with reading(launcher.sessions) as session:
        existing_id = find_run(session, run_id).id
    launcher.wait(existing_id, no_progress, stuck_minutes * 60)
