"""Requirements on the SQS queue, such as its visibility timeout and its dead-letter queue.

The worker checks them before it receives a message. `make doctor` shows the results.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from aforo.sqs.redrive_policy import url_of_arn
from core import sqs_queue
from core.errors import EnvironmentFault
from core.settings import Settings
from core.sqs_queue import QueueAttributes

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

FEWEST_RECEIVES = 5
#: longer than a usual run; the default of SQS is 4 days
SHORTEST_RETENTION_SECONDS = 24 * 3600


class Level(StrEnum):
    """Severity of a finding about the queue. A worker does not start if any finding is an error."""

    OK = "ok"
    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """Result of checking one requirement on the queue. A finding that is not ok has a remedy."""

    subject: str
    level: Level
    detail: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """Return this finding about the queue as one line of text: its detail and its remedy."""
        return "; ".join(filter(None, (self.detail, self.remedy)))


def require_contract(client: SQSClient, settings: Settings) -> tuple[Finding, ...]:
    """Check all requirements on the queue and return the findings.

    Raise EnvironmentFault if a finding is an error.
    """
    findings = check_contract(client, settings)
    for finding in findings:
        if finding.level is Level.ERROR:
            raise EnvironmentFault("SQS queue", finding.detail, finding.remedy, value=settings.queue.name)
    return findings


def check_contract(client: SQSClient, settings: Settings) -> tuple[Finding, ...]:
    """Check all requirements on the queue and return one finding for each.

    Raise EnvironmentFault if the queue does not exist or SQS does not answer.
    """
    queue = sqs_queue.read_attributes(client, sqs_queue.find_queue(client, settings.queue.name))
    return (
        _visibility(queue.visibility_timeout_seconds, settings.queue.visibility_timeout_seconds),
        *_redrive(client, queue),
        check_retention(queue),
        _long_poll(queue.long_poll_seconds),
        _leftovers(queue),
    )


def _visibility(timeout_seconds: int, expected_seconds: int) -> Finding:
    subject = "visibility timeout"
    detail = f"its visibility timeout is {timeout_seconds} s, the worker expects {expected_seconds} s"
    remedy = f"set AFORO_QUEUE_VISIBILITY_TIMEOUT_SECONDS to {timeout_seconds}, or change the queue's"
    if timeout_seconds < expected_seconds:
        return Finding(subject, Level.ERROR, f"{detail}: a task could run twice", remedy)
    if timeout_seconds > expected_seconds:
        return Finding(subject, Level.WARN, f"{detail}: the videos of a killed worker wait longer", remedy)
    return Finding(subject, Level.OK, f"its visibility timeout is {timeout_seconds} s")


def _redrive(client: SQSClient, queue: QueueAttributes) -> Iterator[Finding]:
    if queue.max_receive_count is None or queue.dead_letter_arn is None:
        remedy = "give it a dead-letter queue: without one, a message that always fails is received again and again"
        yield Finding("redrive policy", Level.ERROR, "it has no redrive policy", remedy)
        return
    is_ok = queue.max_receive_count >= FEWEST_RECEIVES
    remedy = "" if is_ok else f"set it to {FEWEST_RECEIVES} or more: not every receive leads to an execution"
    detail = f"its maxReceiveCount is {queue.max_receive_count}"
    yield Finding("redrive policy", Level.OK if is_ok else Level.ERROR, detail, remedy)
    yield _dead_letter_queue(client, queue.dead_letter_arn, queue.retention_seconds or 0)


def _dead_letter_queue(client: SQSClient, arn: str, retention_seconds: int) -> Finding:
    subject, name = "dead-letter queue", arn.rpartition(":")[2]
    try:
        queue = sqs_queue.queue_attributes(client, url_of_arn(client, arn))
    except client.exceptions.QueueDoesNotExist:
        return Finding(subject, Level.ERROR, f"its dead-letter queue {name} does not exist", f"create {name}")
    except (ClientError, BotoCoreError) as error:
        actions = "GetQueueUrl, GetQueueAttributes, ReceiveMessage, ChangeMessageVisibility and SendMessage"
        remedy = f"allow sqs:{actions} on {name}"
        return Finding(subject, Level.WARN, f"its dead-letter queue {name} cannot be read: {error}", remedy)
    if queue.retention_seconds is not None and queue.retention_seconds < retention_seconds:
        remedy = "raise its retention period: the age of a message counts from its first sending"
        return Finding(subject, Level.WARN, f"{name} deletes messages before the queue does", remedy)
    if queue.visible:
        return Finding(
            subject, Level.WARN, f"{name} holds {queue.visible} messages", "read their aforo_reason, then purge it"
        )
    return Finding(subject, Level.OK, f"{name} exists and is empty")


def check_retention(queue: QueueAttributes) -> Finding:
    """Check that the retention period of the queue is at least one day, and return the finding.

    The retention period is the age at which SQS deletes a message. A period below one day is a warning. An unknown
    period is ok.
    """
    subject, seconds = "retention period", queue.retention_seconds
    if seconds is None:
        return Finding(subject, Level.OK, "its retention period is unknown")
    detail = f"its retention period is {seconds} s"
    if seconds >= SHORTEST_RETENTION_SECONDS:
        return Finding(subject, Level.OK, detail)
    remedy = "raise it to 4 days, the default: SQS deletes older messages, so a longer run loses videos"
    return Finding(subject, Level.WARN, detail, remedy)


def _long_poll(wait_seconds: int) -> Finding:
    detail = f"its receive wait time is {wait_seconds} s"
    if wait_seconds:
        return Finding("long poll", Level.OK, detail)
    return Finding("long poll", Level.WARN, detail, "set 5 to 20 s: other readers poll, and pay, without a pause")


def _leftovers(queue: QueueAttributes) -> Finding:
    if not queue.total:
        return Finding("leftover messages", Level.OK, "it is empty")
    counts = f"{queue.visible} visible, {queue.in_flight} in flight, {queue.delayed} delayed"
    remedy = "let the worker drain them, or purge the queue, before you measure a run"
    return Finding("leftover messages", Level.WARN, f"it holds messages: {counts}", remedy)
