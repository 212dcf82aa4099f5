"""A database source with a controlled clock."""

from __future__ import annotations

from prometheus_client import generate_latest

from core.settings import Settings
from exporters.db.reader import open_database
from exporters.db.source import DatabaseSource
from exporters.db.statements import VideosTable
from exporters.exposition import Families
from tests.exporters.store import Store

T0 = 1_790_000_000.0


OVERLAP = 30


class Exporter:
    """A database source whose clock the test sets."""

    def __init__(self, store: Store, runs: int = 3) -> None:
        settings = Settings.from_env({"AFORO_EXPORTER_RUNS": str(runs), "AFORO_EXPORTER_OVERLAP_SECONDS": str(OVERLAP)})
        self.store, self.runs, self.now = store, runs, T0
        database = open_database(store.url, VideosTable.of(settings.exporters))
        self.source = DatabaseSource(database, settings.exporters, clock=lambda: self.now)
        self.source.build()

    def samples(self) -> dict[str, float]:
        return samples(self.source)

    def fresh(self) -> dict[str, float]:
        other = Exporter.__new__(Exporter)
        other.now = self.now
        other.source = DatabaseSource(self.source.database, self.source.settings, clock=lambda: self.now)
        other.source.build()
        return other.samples()

    @property
    def rows_read(self) -> float:
        families = {family.name: family for family in self.source.refresh().families}
        return families["aforo_exporter_rows_read"].samples[0].value


def samples(source: DatabaseSource) -> dict[str, float]:
    result = source.refresh()
    text = result.text + generate_latest(Families(result.families)).decode()
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith(("#", "aforo_exporter")))
    return {name: float(value) for name, _, value in lines}
