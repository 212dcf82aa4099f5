"""Adapter that lets Hypercorn call a WSGI application, in its event loop or in a thread.

Hypercorn's own adapter starts a thread for each request, and the thread hands each part of the answer back to the event
loop. Each of these changes waits for the interpreter lock while the exporter reads SQS in other threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aforo.telemetry.host_check import WsgiApp

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
#: Status code, headers and body of a response.
Response = tuple[int, list[tuple[bytes, bytes]], bytes]
#: A request with a longer body is refused. No request to an exporter needs one.
LONGEST_BODY_BYTES = 16 * 1024
TOO_LONG: Response = 400, [], b""


def adapted(application: WsgiApp, *, is_blocking: bool) -> Callable[[Message, Receive, Send], Awaitable[None]]:
    """Return a WSGI application as an ASGI application.

    With `is_blocking`, each request runs in a thread of the event loop's default executor. Without it, the application
    answers in the event loop, so it must not wait for anything. A request with a body of more than 16 KiB is answered
    with 400.
    """

    async def answer(scope: Message, receive: Receive, send: Send) -> None:
        """Answer one HTTP request (ASGI). Ignore the messages of a server's start and end."""
        if scope["type"] != "http":
            return
        if not await _has_short_body(receive):
            status, headers, body = TOO_LONG
        elif is_blocking:
            loop = asyncio.get_running_loop()
            status, headers, body = await loop.run_in_executor(None, _respond, application, scope)
        else:
            status, headers, body = _respond(application, scope)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return answer


async def _has_short_body(receive: Receive) -> bool:
    """Read the body of a request and drop it. Return False if it is too long."""
    size_bytes, has_more = 0, True
    while has_more and size_bytes <= LONGEST_BODY_BYTES:
        message = await receive()
        size_bytes += len(message.get("body", b""))
        has_more = message.get("more_body", False)
    return size_bytes <= LONGEST_BODY_BYTES


def _respond(application: WsgiApp, scope: Message) -> Response:
    started: list[tuple[str, list[tuple[str, str]]]] = []
    body = b"".join(application(_environ(scope), lambda status, headers: started.append((status, headers))))
    status, headers = started[0]
    return int(status.split()[0]), [(name.lower().encode(), value.encode()) for name, value in headers], body


def _environ(scope: Message) -> dict[str, Any]:
    """Return what the exporters' application reads from a WSGI environment: method, path and headers."""
    headers = {f"HTTP_{name.decode('latin-1').upper().replace('-', '_')}": value for name, value in scope["headers"]}
    return {
        "REQUEST_METHOD": scope["method"],
        "PATH_INFO": scope["path"],
        **{name: value.decode("latin-1") for name, value in headers.items()},
    }
