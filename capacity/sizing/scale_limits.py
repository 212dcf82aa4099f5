"""Find out which shared part, such as SQS or the database, a growing demand overloads first.

All workers use the shared parts. A limit is a published quota or an estimate of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from capacity.estimators.interval import SECONDS_PER_MINUTE

SQS_IN_FLIGHT = 120_000  # AWS quota of a standard queue
DEAD_LETTER_CHECKS_PER_TIMEOUT = 4  # of each worker, in a visibility timeout
REQUESTS_PER_DEAD_LETTER_CHECK = 3  # attributes of the queue, URL and attributes of the dead-letter queue
S3_READS_PER_SECOND = 5_500  # AWS: GET per prefix
S3_WRITES_PER_SECOND = 3_500  # AWS: PUT per prefix


class SharedPart(StrEnum):
    """Parts that all workers share and that can be overloaded, such as SQS.

    The value of a member names the figure that is limited, such as `sqs_messages_in_flight`.
    """

    SQS_IN_FLIGHT = "sqs_messages_in_flight"
    S3_READS = "s3_reads_per_second_per_prefix"
    S3_WRITES = "s3_writes_per_second_per_prefix"
    PROMETHEUS_SERIES = "prometheus_series"
    DATABASE_WRITES = "database_writes_per_second"


@dataclass(frozen=True, slots=True)
class ScaleAssumptions:
    """Assumed figures of an installation, such as the number of Prometheus series per worker.

    They are used to compute two things: load and limit of each part that all workers share, and the number of SQS
    requests.
    """

    prefetch_per_slot: int = 1
    series_per_worker: int = 300
    prometheus_series: int = 2_000_000
    row_writes_per_video: int = 5
    database_writes_per_second: int = 5_000
    visibility_timeout_seconds: float = 60.0
    long_poll_seconds: float = 5.0

    @property
    def visibility_extension_seconds(self) -> float:
        """Return the mean time between two extensions of a message's visibility, in seconds."""
        # a worker extends after a third of the timeout, less 0 to 10 % at random
        return self.visibility_timeout_seconds / 3 * 0.95


@dataclass(frozen=True, slots=True)
class Limit:
    """Load and limit of one part that all workers share, such as SQS.

    The value of `part` names the unit of `load` and `limit`. `breaks_at_per_minute` is the demand, in videos per
    minute, at which the load reaches the limit. `assumed` is True if the limit is an estimate of ours, and False if it
    is a published quota.
    """

    part: SharedPart
    load: float
    limit: float
    breaks_at_per_minute: float
    assumed: bool

    @property
    def share(self) -> float:
        """Return the load of the shared part divided by its limit. Above 1, the part is overloaded."""
        return self.load / self.limit


def scale_limits(
    per_minute: float, slots: int, slots_per_worker: int, assumptions: ScaleAssumptions
) -> tuple[Limit, ...]:
    """Return load and limit of each part that all workers share, with the highest load / limit first.

    `per_minute` is the demand in videos per minute. `slots` counts the slots of all workers, and `slots_per_worker`
    those of one worker.
    """
    workers = slots / slots_per_worker
    per_second = per_minute / SECONDS_PER_MINUTE
    writes = per_second * assumptions.row_writes_per_video
    loads = (
        (SharedPart.SQS_IN_FLIGHT, slots * assumptions.prefetch_per_slot, SQS_IN_FLIGHT, False),
        (SharedPart.S3_READS, per_second, S3_READS_PER_SECOND, False),
        (SharedPart.S3_WRITES, per_second, S3_WRITES_PER_SECOND, False),
        (SharedPart.PROMETHEUS_SERIES, workers * assumptions.series_per_worker, assumptions.prometheus_series, True),
        (SharedPart.DATABASE_WRITES, writes, assumptions.database_writes_per_second, True),
    )
    limits = (
        Limit(part, float(load), float(limit), per_minute * limit / load if load else float("inf"), assumed)
        for part, load, limit, assumed in loads
    )
    return tuple(sorted(limits, key=lambda limit: -limit.share))


def requests_per_video(service_seconds: float, assumptions: ScaleAssumptions) -> float:
    """Return how many SQS requests one video needs: send, receive, delete, and visibility extensions.

    `service_seconds` is the service time of the video. `assumptions` holds the time between two extensions.
    """
    return 3 + service_seconds // assumptions.visibility_extension_seconds


def idle_requests_per_minute(assumptions: ScaleAssumptions) -> float:
    """Return how many SQS requests per minute one idle worker makes: empty polls and dead-letter checks.

    `assumptions` holds the length of a poll and the visibility timeout.
    """
    checks = DEAD_LETTER_CHECKS_PER_TIMEOUT * SECONDS_PER_MINUTE / assumptions.visibility_timeout_seconds
    return SECONDS_PER_MINUTE / assumptions.long_poll_seconds + REQUESTS_PER_DEAD_LETTER_CHECK * checks
