"""An SQS exporter that reads a fake SQS."""

from __future__ import annotations

import time

from prometheus_client.parser import text_string_to_metric_families

from core.settings import Settings
from exporters.db.reader import open_database
from exporters.db.statements import VideosTable
from exporters.exposition import Clock, Collected
from exporters.sqs.active_runs import ActiveRuns
from exporters.sqs.oldest_message import OldestMessage
from exporters.sqs.queue_watcher import CallCounter, QueueWatcher
from exporters.sqs.source import QueueSource, SqsSources
from tests.exporters.fakes import FakeQueues


def values(collected: Collected, name: str) -> dict[tuple[str, ...], float]:
    families = [*collected.families, *text_string_to_metric_families(collected.text)]
    family = next(f for f in families if f.name == name)
    return {tuple(sample.labels.values()): sample.value for sample in family.samples}


def watching(fake: FakeQueues, settings: Settings, clock: Clock = time.time) -> SqsSources:
    source = QueueSource(QueueWatcher(fake.client, (settings.queue.name,)), CallCounter(), settings.exporters)
    database = open_database(settings.database.url, VideosTable.of(settings.exporters))
    active_runs = ActiveRuns(database, settings.exporters.timeout_seconds, clock)
    return SqsSources(source, OldestMessage(database, settings), active_runs, settings.exporters, monotonic=clock)
