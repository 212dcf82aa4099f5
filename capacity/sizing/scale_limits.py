"""What breaks first when the demand grows: loads on the shared parts against what they are known or taken to bear."""

from __future__ import annotations

from dataclasses import dataclass

from capacity.estimators.interval import SECONDS_PER_MINUTE
from core.language import Text

SQS_IN_FLIGHT = 120_000  # AWS quota of a standard queue
S3_READS_PER_SECOND = 5_500  # AWS: GET per prefix
S3_WRITES_PER_SECOND = 3_500  # AWS: PUT per prefix


@dataclass(frozen=True, slots=True)
class ScaleAssumptions:
    """Figures that depend on the installation; the defaults are judgements, to be replaced by measured ones."""

    prefetch_per_slot: int = 1
    series_per_worker: int = 300
    prometheus_series: int = 2_000_000
    row_writes_per_video: int = 5
    database_writes_per_second: int = 5_000
    visibility_extension_seconds: float = 30.0


@dataclass(frozen=True, slots=True)
class Limit:
    """One shared part: its load and what it bears, and the demand at which the two meet.

    `assumed` marks a figure that is a judgement, not a published quota.
    """

    name: Text
    load: float
    bears: float
    breaks_at_per_minute: float
    assumed: bool

    @property
    def share(self) -> float:
        """Return load over what it bears; over 1 it has broken."""
        return self.load / self.bears


def scale_limits(
    per_minute: float, slots: int, slots_per_worker: int, assumptions: ScaleAssumptions
) -> tuple[Limit, ...]:
    """Return every limit at this demand, the first to break first; loads are taken to grow in proportion."""
    workers = slots / slots_per_worker
    per_second = per_minute / SECONDS_PER_MINUTE
    loads = (
        (Text("mensajes SQS en vuelo", "SQS messages in flight"), slots * assumptions.prefetch_per_slot, SQS_IN_FLIGHT),
        (Text("lecturas S3/s por prefijo", "S3 reads/s per prefix"), per_second, S3_READS_PER_SECOND),
        (Text("escrituras S3/s por prefijo", "S3 writes/s per prefix"), per_second, S3_WRITES_PER_SECOND),
    )
    judged = (
        (
            Text("series de Prometheus", "Prometheus series"),
            workers * assumptions.series_per_worker,
            assumptions.prometheus_series,
        ),
        (
            Text("escrituras/s en la base de datos", "database writes/s"),
            per_second * assumptions.row_writes_per_video,
            assumptions.database_writes_per_second,
        ),
    )
    limits = [_limit(row, per_minute, assumed=False) for row in loads]
    limits += [_limit(row, per_minute, assumed=True) for row in judged]
    return tuple(sorted(limits, key=lambda limit: -limit.share))


def requests_per_video(service_seconds: float, assumptions: ScaleAssumptions) -> float:
    """Return SQS requests a video causes: one send, receive and delete, and an extension while it runs."""
    return 3 + service_seconds // assumptions.visibility_extension_seconds


def _limit(row: tuple[Text, float, float], per_minute: float, *, assumed: bool) -> Limit:
    name, load, bears = row
    return Limit(name, float(load), float(bears), per_minute * bears / load if load else float("inf"), assumed)
