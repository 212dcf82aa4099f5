"""A fake SQS client that records its calls and raises configured errors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any


@dataclass(frozen=True)
class Call:
    """One recorded call of the fake SQS client, with its result or its exception."""

    operation: str
    options: dict[str, Any]
    result: Any


class FakeSqs:
    """Fake SQS client that records its calls and answers with results that the test gives.

    Each call takes the next item of `results`, and the last item repeats. An item that is an exception is raised.
    `by_queue` maps a queue's URL to separate results. `calls` has the recorded calls.
    """

    def __init__(self, *results: Any, **by_queue: list[Any]) -> None:
        self.calls: list[Call] = []
        self._results, self._by_queue = list(results) or [{}], by_queue

    def __getattr__(self, operation: str) -> Any:
        return partial(self._call, operation)

    def _call(self, operation: str, **options: Any) -> Any:
        results = self._by_queue.get(options.get("QueueUrl", ""), self._results)
        result = results.pop(0) if len(results) > 1 else results[0]
        self.calls.append(Call(operation, options, result))
        if isinstance(result, Exception):
            raise result
        return result

    @property
    def deleted(self) -> list[str]:
        """Return the receipt handles of all messages that were deleted with this client."""
        return [handle for call in list(self.calls) for handle in _deleted_by(call)]


def _deleted_by(call: Call) -> list[str]:
    if isinstance(call.result, Exception):
        return []
    if call.operation == "delete_message":
        return [call.options["ReceiptHandle"]]
    if call.operation != "delete_message_batch":
        return []
    failed = {entry["Id"] for entry in call.result.get("Failed", ())}
    return [entry["ReceiptHandle"] for entry in call.options["Entries"] if entry["Id"] not in failed]
