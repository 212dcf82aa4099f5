"""Ask the user for confirmation before a run sends tasks to the queue of the user's own app.

Real users can depend on that app. No question is asked if the queue is empty and on this machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from core import aws, database, sqs_queue
from core.app_file.sections import AppFile
from core.app_file.videos_table import VideosTable
from core.errors import UsageError
from core.settings import Settings, is_local

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient


@dataclass(frozen=True)
class Target:
    """The queue to which a test of an app sends tasks, and the app's table of videos if there is one."""

    settings: Settings
    app: AppFile
    client: SQSClient
    queue: sqs_queue.QueueAttributes
    table: VideosTable | None

    @classmethod
    def read(cls, settings: Settings, app: AppFile) -> Target:
        """Return the target of a test of `app`: its queue, and its table of videos if it has one.

        Raise an AforoError if the queue or the table cannot be read.
        """
        client = aws.client(settings, "sqs")
        queue = sqs_queue.read_attributes(client, sqs_queue.find_queue(client, app.queue))
        return cls(settings, app, client, queue, None if app.videos is None else VideosTable.open(app))

    def lines(self, videos: int) -> Iterator[str]:
        """Yield the lines that are printed before a run, one per system or program of the app that the run uses.

        The lines name the number of tasks, the queue, the database table, and the script that makes rows and arguments.
        The rows of the table are counted in the app's database. `videos` is the number of videos, with one task each.
        """
        endpoint = self.settings.aws.endpoint_of("sqs") or f"AWS, region {self.settings.aws.region}"
        account = "".join(urlsplit(self.queue.url).path.split("/")[-2:-1])
        yield f"app {self.app.name}: {videos} tasks {self.app.task}"
        yield f"  queue {self.app.queue} at {endpoint}, account {account}: {self.queue.total} messages in it"
        if self.table is not None:
            section = self.table.section
            yield f"  rows into {section.table} at {database.masked(section.url)}: {self.table.count()} there now"
        if self.app.producer is not None:
            yield f"  rows and arguments by {self.app.producer}"

    def doubts(self) -> list[str]:
        """Return the reasons why the user must confirm the sending: none, one or two.

        One reason is that the queue is not on this machine. The other is that the queue holds messages.
        """
        endpoint = self.settings.aws.endpoint_of("sqs")
        doubts = [] if is_local(endpoint) else ["the queue is not on this machine"]
        return doubts + ([f"it holds {self.queue.total} messages"] if self.queue.total else [])


def confirm(target: Target, videos: int, *, assume_yes: bool) -> None:
    """Ask the user to confirm that a run sends `videos` tasks to the app's queue.

    No question is asked if `assume_yes` is True, or if the queue is empty and on this machine. Raise UsageError if the
    user does not answer yes.
    """
    doubts = "; ".join(target.doubts())
    if not doubts or assume_yes:
        return
    try:
        agreed = click.confirm(f"{doubts}; send {videos} videos?", err=True)
    except click.Abort:
        agreed = False
    if not agreed:
        raise UsageError("queue", f"{doubts}; it was not confirmed", "answer y, or give YES=1", value=target.app.queue)
