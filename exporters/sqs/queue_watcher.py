"""Which queues are watched, and one concurrent reading of all of them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from core.errors import EnvironmentFault
from core.sqs_queue import QueueFacts, read_facts
from exporters.faults import Fault, fault_of

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

#: As many as boto3 keeps connections.
CONCURRENCY = 10
PAGE = 1000
#: How often prefixes are listed again: ListQueues is charged as any call.
DISCOVERY_SECONDS = 60.0

T = TypeVar("T")


@dataclass
class CallCounter:
    """Counts the HTTP requests a client sends, retries included: what AWS charges."""

    calls: Counter[str] = field(default_factory=Counter)

    def attach(self, client: SQSClient) -> None:
        """IncrementalCount this client's requests from now on."""
        client.meta.events.register("before-send.sqs", self._count)

    def _count(self, event_name: str, **_: Any) -> None:
        self.calls[event_name.rpartition(".")[2]] += 1


@dataclass(frozen=True)
class Reading:
    """One reading of every watched queue, by queue name: what SQS said, or why it did not."""

    facts: dict[str, QueueFacts]
    dead_letters: dict[str, int]
    failures: dict[str, BaseException]

    @property
    def is_busy(self) -> bool:
        """Say whether any queue holds a message."""
        return any(facts.total for facts in self.facts.values())


@dataclass
class QueueWatcher:
    """Finds queues by name or prefix and reads them; safe for one caller at a time.

    The dead-letter queue of a watched queue is not watched itself: nobody consumes it, by design.
    """

    client: SQSClient
    patterns: tuple[str, ...]
    monotonic: Callable[[], float] = time.monotonic
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(CONCURRENCY, thread_name_prefix="sqs"))
    _urls: dict[str, str] = field(default_factory=dict)
    _listed: dict[str, dict[str, str]] = field(default_factory=dict)
    _listed_at: float | None = None
    #: by queue, as it last said: one that does not answer now still has its dead-letter queue
    _holders: dict[str, str | None] = field(default_factory=dict)

    def read(self) -> Reading:
        """Read every queue once, and each dead-letter queue once."""
        unlisted = self._discover()
        targets = self._targets()
        facts, failures = self._each(targets, self._facts)
        for name, error in failures.items():
            if fault_of(error) is Fault.NOT_FOUND:  # made again, it may have another URL
                self._urls.pop(name, None)
        told = self._holders | {name: fact.dead_letter_arn for name, fact in facts.items()}
        self._holders = {name: told.get(name) for name in targets}
        holders = {name: fact.dead_letter_arn for name, fact in facts.items() if fact.dead_letter_arn}
        known = {name: facts[name] for name in facts.keys() & {_name_of(arn) for arn in holders.values()}}
        unread = {arn for arn in holders.values() if _name_of(arn) not in known}
        found, refused = self._each(sorted(unread), self._facts_of_arn)
        totals = {arn: facts.total for arn, facts in found.items()}
        totals |= {arn: known[_name_of(arn)].total for arn in holders.values() if _name_of(arn) in known}
        failures |= {name: refused[arn] for name, arn in holders.items() if arn in refused} | unlisted
        dead_letters = {name: totals[arn] for name, arn in holders.items() if arn in totals}
        return Reading(self._without_dead_letter_queues(facts), dead_letters, failures)

    def close(self) -> None:
        """Give up what is not asked yet: a program that ends waits for the calls under way only."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _targets(self) -> list[str]:
        named = [pattern for pattern in self.patterns if not pattern.endswith("*")]
        return list(dict.fromkeys([*named, *(name for urls in self._listed.values() for name in urls)]))

    def _without_dead_letter_queues(self, facts: dict[str, QueueFacts]) -> dict[str, QueueFacts]:
        named = {_name_of(arn) for arn in self._holders.values() if arn}
        return {name: fact for name, fact in facts.items() if name not in named}

    def _discover(self) -> dict[str, BaseException]:
        """List prefixes anew when it is time; return what SQS refused, by pattern: what was listed before stays."""
        now, refused = self.monotonic(), dict[str, BaseException]()
        if self._listed_at is not None and now - self._listed_at < DISCOVERY_SECONDS:
            return refused
        for pattern in (pattern for pattern in self.patterns if pattern.endswith("*")):
            try:
                self._listed[pattern] = dict(self._list(pattern[:-1]))
            except (BotoCoreError, ClientError) as error:  # the named queues, and the other prefixes, are read on
                refused[pattern] = error
            self._urls |= self._listed.get(pattern, {})
        self._listed_at = None if refused else now
        return refused

    def _list(self, prefix: str) -> Iterator[tuple[str, str]]:
        pages = self.client.get_paginator("list_queues").paginate(
            QueueNamePrefix=prefix, PaginationConfig={"PageSize": PAGE}
        )
        for page in pages:
            for url in page.get("QueueUrls", []):
                yield url.rpartition("/")[2], url

    def _facts(self, name: str) -> QueueFacts:
        if name not in self._urls:
            self._urls[name] = self.client.get_queue_url(QueueName=name)["QueueUrl"]
        return read_facts(self.client, self._urls[name])

    def _facts_of_arn(self, arn: str) -> QueueFacts:
        if arn not in self._urls:
            found = self.client.get_queue_url(QueueName=_name_of(arn), QueueOwnerAWSAccountId=arn.split(":")[4])
            self._urls[arn] = found["QueueUrl"]
        return read_facts(self.client, self._urls[arn])

    def _each(
        self, keys: Iterable[str], read: Callable[[str], QueueFacts]
    ) -> tuple[dict[str, QueueFacts], dict[str, BaseException]]:
        """Read all keys side by side; return what was read, and what went wrong, by key."""
        pending = {key: self._pool.submit(read, key) for key in keys}
        facts: dict[str, QueueFacts] = {}
        failures: dict[str, BaseException] = {}
        for key, future in pending.items():
            error = future.exception()
            if error is None:
                facts[key] = future.result()
            else:
                failures[key] = _cause(error)
        return facts, failures


def _cause(error: BaseException) -> BaseException:
    """Return what boto3 raised: core.sqs_queue tells it to people in a line of its own."""
    return error.__cause__ if isinstance(error, EnvironmentFault) and error.__cause__ else error


def _name_of(arn: str) -> str:
    return arn.rpartition(":")[2]
