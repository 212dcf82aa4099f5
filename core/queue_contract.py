"""What a worker needs of its queue, checked before it takes a message and by `make doctor`; findings say what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from core import sqs_queue
from core.errors import EnvironmentFault
from core.settings import Settings

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

FEWEST_RECEIVES = 5


class Level(StrEnum):
    """How bad a finding is; with an error the worker does not start."""

    OK = "ok"
    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True)
class Finding:
    """One point of the contract: what was looked at, what was found, and what to do unless it is ok."""

    point: str
    level: Level
    found: str
    remedy: str = ""


def require_contract(client: SQSClient, settings: Settings) -> tuple[Finding, ...]:
    """Return all findings; raise EnvironmentFault for the first that is an error."""
    findings = check_contract(client, settings)
    for finding in findings:
        if finding.level is Level.ERROR:
            raise EnvironmentFault("SQS queue", finding.found, finding.remedy, value=settings.queue.name)
    return findings


def check_contract(client: SQSClient, settings: Settings) -> tuple[Finding, ...]:
    """Return what was found of every point; raise EnvironmentFault when there is no queue or SQS does not answer."""
    facts = sqs_queue.read_attributes(client, sqs_queue.find_queue(client, settings.queue.name))
    return (
        _visibility(int(facts["VisibilityTimeout"]), settings.queue.visibility_timeout_seconds),
        *_redrive(client, facts),
        _long_poll(int(facts.get("ReceiveMessageWaitTimeSeconds", 0))),
        _leftovers(facts),
    )


def _visibility(timeout_seconds: int, expected_seconds: int) -> Finding:
    found = f"its visibility timeout is {timeout_seconds} s, the worker expects {expected_seconds} s"
    remedy = f"set AFORO_QUEUE_VISIBILITY_TIMEOUT_SECONDS to {timeout_seconds}, or change the queue's"
    if timeout_seconds < expected_seconds:
        return Finding("visibility timeout", Level.ERROR, f"{found}: a task could run twice", remedy)
    if timeout_seconds > expected_seconds:
        return Finding("visibility timeout", Level.WARN, f"{found}: a killed worker's videos wait longer", remedy)
    return Finding("visibility timeout", Level.OK, f"its visibility timeout is {timeout_seconds} s")


def _redrive(client: SQSClient, facts: Mapping[str, str]) -> Iterator[Finding]:
    policy = json.loads(facts.get("RedrivePolicy") or "{}")
    if not policy:
        remedy = "give it a dead-letter queue: a message that cannot be processed would come again for ever"
        yield Finding("redrive policy", Level.ERROR, "it has no redrive policy", remedy)
        return
    receives = int(policy["maxReceiveCount"])
    remedy = f"set it to {FEWEST_RECEIVES} or more: a receive is not yet an execution"
    level = Level.OK if receives >= FEWEST_RECEIVES else Level.ERROR
    yield Finding("redrive policy", level, f"its maxReceiveCount is {receives}", "" if level is Level.OK else remedy)
    yield _dead_letter_queue(client, policy["deadLetterTargetArn"], int(facts.get("MessageRetentionPeriod", 0)))


def _dead_letter_queue(client: SQSClient, arn: str, retention_seconds: int) -> Finding:
    point, name = "dead-letter queue", arn.rpartition(":")[2]
    try:
        url = sqs_queue.url_of_arn(client, arn)
        facts = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    except client.exceptions.QueueDoesNotExist:
        return Finding(point, Level.ERROR, f"its dead-letter queue {name} does not exist", f"create {name}")
    except (ClientError, BotoCoreError) as error:
        actions = "GetQueueUrl, GetQueueAttributes, ReceiveMessage, ChangeMessageVisibility and SendMessage"
        remedy = f"allow sqs:{actions} on {name}"
        return Finding(point, Level.WARN, f"its dead-letter queue {name} cannot be read: {error}", remedy)
    if int(facts.get("MessageRetentionPeriod", retention_seconds)) < retention_seconds:
        remedy = "keep messages there longer than in the queue: their age counts from the first sending"
        return Finding(point, Level.WARN, f"{name} forgets messages before the queue does", remedy)
    waiting = int(facts.get("ApproximateNumberOfMessages", 0))
    if waiting:
        return Finding(point, Level.WARN, f"{name} holds {waiting} messages", "read their aforo_reason, then purge it")
    return Finding(point, Level.OK, f"{name} is there and empty")


def _long_poll(wait_seconds: int) -> Finding:
    found = f"its receive wait time is {wait_seconds} s"
    if wait_seconds:
        return Finding("long poll", Level.OK, found)
    return Finding("long poll", Level.WARN, found, "set 5 to 20 s: other readers poll, and pay, without end")


def _leftovers(facts: Mapping[str, str]) -> Finding:
    kinds = {"visible": "", "in flight": "NotVisible", "delayed": "Delayed"}
    counts = {kind: int(facts.get(f"ApproximateNumberOfMessages{suffix}", 0)) for kind, suffix in kinds.items()}
    if not any(counts.values()):
        return Finding("leftover messages", Level.OK, "it is empty")
    shown = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    remedy = "let the worker drain them, or purge the queue, before a run is measured"
    return Finding("leftover messages", Level.WARN, f"it holds messages: {shown}", remedy)
