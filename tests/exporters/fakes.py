"""A fake SQS with queues in a dictionary, for the SQS exporter."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

ACCOUNT = "000000000000"


class FakeQueues:
    """Queues by name, errors by queue or operation, and a fake of boto3's client."""

    def __init__(self, page: int = 1000) -> None:
        self.queues: dict[str, dict[str, str]] = {}
        self.broken: dict[str, Exception] = {}
        self.page = page
        self.client: Any = FakeClient(self)

    def make(
        self,
        name: str,
        visible: int = 0,
        in_flight: int = 0,
        delayed: int = 0,
        dead_letters: str | None = None,
        max_receive_count: int = 0,
    ) -> None:
        self.queues[name] = {
            "ApproximateNumberOfMessages": str(visible),
            "ApproximateNumberOfMessagesNotVisible": str(in_flight),
            "ApproximateNumberOfMessagesDelayed": str(delayed),
            "VisibilityTimeout": "60",
        }
        if dead_letters:
            arn = f"arn:aws:sqs:us-east-1:{ACCOUNT}:{dead_letters}"
            policy = {"deadLetterTargetArn": arn, "maxReceiveCount": max_receive_count}
            self.queues[name]["RedrivePolicy"] = json.dumps(policy)


class FakeClient:
    """The methods of boto3's client that the exporter calls, with its `before-send` event."""

    def __init__(self, sqs: FakeQueues) -> None:
        self.sqs, self.meta, self.events = sqs, self, self
        self.endpoint_url = "http://sqs.test"
        self._on_send: Callable[..., None] = lambda **_: None

    def register(self, _event: str, on_send: Callable[..., None]) -> None:
        self._on_send = on_send

    def get_queue_url(self, QueueName: str, **_: str) -> dict[str, str]:  # noqa: N803 (boto3's spelling)
        self._on_send(event_name="before-send.sqs.GetQueueUrl")
        if QueueName not in self.sqs.queues:
            code = "AWS.SimpleQueueService.NonExistentQueue"
            raise ClientError({"Error": {"Code": code}}, "GetQueueUrl")
        return {"QueueUrl": f"http://sqs.test/{ACCOUNT}/{QueueName}"}

    def get_queue_attributes(self, QueueUrl: str, AttributeNames: list[str]) -> dict[str, dict[str, str]]:  # noqa: N803
        self._on_send(event_name="before-send.sqs.GetQueueAttributes")
        name = QueueUrl.rpartition("/")[2]
        if name in self.sqs.broken:
            raise self.sqs.broken[name]
        return {"Attributes": self.sqs.queues[name]}

    def get_paginator(self, operation: str) -> FakeClient:
        assert operation == "list_queues"
        return self

    def paginate(self, QueueNamePrefix: str, **_: object) -> Iterator[dict[str, list[str]]]:  # noqa: N803
        if "ListQueues" in self.sqs.broken:
            raise self.sqs.broken["ListQueues"]
        urls = [f"http://sqs.test/{ACCOUNT}/{name}" for name in self.sqs.queues if name.startswith(QueueNamePrefix)]
        for start in range(0, len(urls) or 1, self.sqs.page):
            self._on_send(event_name="before-send.sqs.ListQueues")
            page = urls[start : start + self.sqs.page]
            yield {"QueueUrls": page} if page else {}
