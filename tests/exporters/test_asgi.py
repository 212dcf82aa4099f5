"""The adapter between Hypercorn and the application of an exporter."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

from exporters.http.asgi import LONGEST_BODY_BYTES, adapted


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """Answer with the request as it arrived, and with the thread that answers."""
    start_response("202 Accepted", [("Content-Type", "text/plain")])
    accept = environ["HTTP_ACCEPT"]
    is_main = threading.current_thread() is threading.main_thread()
    return [f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} {accept} ".encode(), f"{is_main}".encode()]


def answer(*, is_blocking: bool, body: bytes = b"") -> list[dict[str, Any]]:
    scope = {"type": "http", "method": "GET", "path": "/metrics", "headers": [(b"accept", b"text/plain")]}
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(adapted(application, is_blocking=is_blocking)(scope, receive, send))
    return sent


def test_a_page_from_memory_is_answered_in_the_event_loop_without_a_change_of_thread() -> None:
    started, body = answer(is_blocking=False)
    assert (started["status"], started["headers"]) == (202, [(b"content-type", b"text/plain")])
    assert body["body"] == b"GET /metrics text/plain True"


def test_a_page_that_waits_for_the_database_is_answered_in_a_thread() -> None:
    assert answer(is_blocking=True)[1]["body"] == b"GET /metrics text/plain False"


def test_a_request_with_a_long_body_is_refused() -> None:
    assert answer(is_blocking=False, body=b"x" * (LONGEST_BODY_BYTES + 1))[0]["status"] == 400
    assert answer(is_blocking=False, body=b"x" * LONGEST_BODY_BYTES)[0]["status"] == 202
