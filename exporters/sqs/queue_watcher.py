"""Find the SQS queues to watch, and read the attributes of all of them at the same time."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from core.errors import EnvironmentFault
from core.sqs_queue import QueueAttributes, read_attributes
from exporters.faults import Fault, fault_of

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

#: boto3's default number of connections.
CONCURRENCY = 10
PAGE = 1000
#: Interval at which prefixes are listed again: AWS charges ListQueues like any call.
DISCOVERY_SECONDS = 60.0


@dataclass
class CallCounter:
    """Counter of HTTP requests to SQS, by operation. Retries count too, because AWS charges each request."""

    calls: Counter[str] = field(default_factory=Counter)

    def attach(self, client: SQSClient) -> None:
        """Count every HTTP request that this boto3 client sends to SQS from now on."""
        client.meta.events.register("before-send.sqs", self._count)

    def _count(self, event_name: str, **_: Any) -> None:
        self.calls[event_name.rpartition(".")[2]] += 1


@dataclass(frozen=True)
class Reading:
    """Result of reading all watched queues once.

    - `facts` maps the name of a queue to its attributes. Dead-letter queues of watched queues are left out.
    - `dead_letters` maps the name of a queue to the number of messages in its dead-letter queue.
    - `failures` maps the name of a queue to the error of reading the queue or its dead-letter queue. It maps a pattern
      such as `video*` to the error of listing the queues of the pattern.
    """

    facts: dict[str, QueueAttributes]
    dead_letters: dict[str, int]
    failures: dict[str, BaseException]

    @property
    def is_busy(self) -> bool:
        """Return True if any watched queue held a message at this reading. Dead-letter queues do not count."""
        return any(facts.total for facts in self.facts.values())


@dataclass
class QueueWatcher:
    """Find SQS queues by name or prefix, and read their attributes.

    A name in `patterns` that ends in `*` stands for all queues with this prefix. Call all methods from the same thread.
    """

    client: SQSClient
    patterns: tuple[str, ...]
    monotonic: Callable[[], float] = time.monotonic
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="sqs"))
    _urls: dict[str, str] = field(default_factory=dict)
    _listed: dict[str, dict[str, str]] = field(default_factory=dict)
    _listed_at: float | None = None
    #: DLQ ARN per queue from its last successful read. Kept while the queue does not answer.
    _dead_letter_arns: dict[str, str | None] = field(default_factory=dict)

    def read(self) -> Reading:
        """Read the attributes of every watched queue, and of its dead-letter queue, once.

        No error of SQS is raised. The result has the errors in its field `failures`.
        """
        list_failures = self._discover()
        names = self._names()
        facts, failures = self._read_all(names, self._facts)
        for name, error in failures.items():
            if fault_of(error) is Fault.NOT_FOUND:  # a queue that is created again may have another URL
                self._urls.pop(name, None)
        arns = self._dead_letter_arns | {name: fact.dead_letter_arn for name, fact in facts.items()}
        self._dead_letter_arns = {name: arns.get(name) for name in names}
        dead_letters, dead_letter_failures = self._dead_letters(facts)
        failures |= dead_letter_failures | list_failures
        return Reading(self._without_dead_letter_queues(facts), dead_letters, failures)

    def close(self) -> None:
        """Cancel the calls to SQS that have not started, and do not wait for those in progress."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _names(self) -> list[str]:
        exact = [pattern for pattern in self.patterns if not pattern.endswith("*")]
        return list(dict.fromkeys([*exact, *(name for urls in self._listed.values() for name in urls)]))

    def _dead_letters(self, facts: dict[str, QueueAttributes]) -> tuple[dict[str, int], dict[str, BaseException]]:
        """Return the DLQ depth by source queue, and the errors of the DLQs that could not be read."""
        arns = {name: fact.dead_letter_arn for name, fact in facts.items() if fact.dead_letter_arn}
        depths = {arn: facts[_name_of(arn)].total for arn in arns.values() if _name_of(arn) in facts}
        read, failures = self._read_all(sorted({*arns.values()} - depths.keys()), self._facts_of_arn)
        depths |= {arn: fact.total for arn, fact in read.items()}
        by_queue = {name: depths[arn] for name, arn in arns.items() if arn in depths}
        return by_queue, {name: failures[arn] for name, arn in arns.items() if arn in failures}

    def _without_dead_letter_queues(self, facts: dict[str, QueueAttributes]) -> dict[str, QueueAttributes]:
        dead_letter_queues = {_name_of(arn) for arn in self._dead_letter_arns.values() if arn}
        return {name: fact for name, fact in facts.items() if name not in dead_letter_queues}

    def _discover(self) -> dict[str, BaseException]:
        """List the queues of each pattern that ends in `*`, if the last list is too old.

        Return the errors by pattern. A pattern that fails keeps its previous list of queues.
        """
        now, failures = self.monotonic(), dict[str, BaseException]()
        if self._listed_at is not None and now - self._listed_at < DISCOVERY_SECONDS:
            return failures
        for pattern in (pattern for pattern in self.patterns if pattern.endswith("*")):
            try:
                self._listed[pattern] = dict(self._list(pattern[:-1]))
            except (BotoCoreError, ClientError) as error:  # the other patterns are still read
                failures[pattern] = error
            self._urls |= self._listed.get(pattern, {})
        self._listed_at = None if failures else now
        return failures

    def _list(self, prefix: str) -> Iterator[tuple[str, str]]:
        pages = self.client.get_paginator("list_queues").paginate(
            QueueNamePrefix=prefix, PaginationConfig={"PageSize": PAGE}
        )
        for page in pages:
            for url in page.get("QueueUrls", []):
                yield url.rpartition("/")[2], url

    def _facts(self, name: str) -> QueueAttributes:
        if name not in self._urls:
            self._urls[name] = self.client.get_queue_url(QueueName=name)["QueueUrl"]
        return read_attributes(self.client, self._urls[name])

    def _facts_of_arn(self, arn: str) -> QueueAttributes:
        if arn not in self._urls:
            answer = self.client.get_queue_url(QueueName=_name_of(arn), QueueOwnerAWSAccountId=arn.split(":")[4])
            self._urls[arn] = answer["QueueUrl"]
        return read_attributes(self.client, self._urls[arn])

    def _read_all(
        self, keys: Iterable[str], read: Callable[[str], QueueAttributes]
    ) -> tuple[dict[str, QueueAttributes], dict[str, BaseException]]:
        """Read all keys concurrently. Return the attributes and the errors by key."""
        pending = {key: self._pool.submit(read, key) for key in keys}
        facts: dict[str, QueueAttributes] = {}
        failures: dict[str, BaseException] = {}
        for key, future in pending.items():
            error = future.exception()
            if error is None:
                facts[key] = future.result()
            else:
                failures[key] = _cause(error)
        return facts, failures


def _cause(error: BaseException) -> BaseException:
    """Return the boto3 error, which `core.sqs_queue` wraps in an EnvironmentFault."""
    return error.__cause__ if isinstance(error, EnvironmentFault) and error.__cause__ else error


def _name_of(arn: str) -> str:
    return arn.rpartition(":")[2]
