"""Run an HTTP proxy between a worker and SQS or S3 that injects faults.

A fault applies to one SQS action, to one HTTP method, or to all requests.
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

ALL = "*"
LONGEST_HANG_SECONDS = 120
HOP_BY_HOP = {"connection", "transfer-encoding", "date", "server"}
#: status, content, headers
Answer = tuple[int, bytes, dict[str, str]]


@dataclass(frozen=True)
class Fault:
    """Fault that the proxy applies to a request.

    The field `kind` is one of these:

    - status: answer with the HTTP status `status` and an SQS error with the code `code`
    - content: answer with the HTTP status `status` and the body `content`
    - reset: end the connection with RST
    - hang: never answer
    - latency: wait `seconds`, then forward the request
    - drop: forward the request, then end the connection with RST
    - replay: answer with the last answer to the same action
    - s3_error: answer with the HTTP status `status` and an S3 error with the code `code`
    - shorten: answer with the first half of the S3 object and the Content-Length of the half
    - cut: answer with the first half of the S3 object and the Content-Length of the whole object
    - corrupt: answer with the S3 object after changing its first bytes
    """

    kind: str
    status: int = 500
    code: str = "InternalFailure"
    seconds: float = 0.0
    content: bytes = b""


@dataclass
class FaultProxy:
    """HTTP proxy that forwards requests to the URL `upstream`, with faults that a test sets.

    The proxy runs in a `with` block. In the block, the method `inject` sets a fault, and the method `heal` removes all
    faults.
    """

    upstream: str
    port: int = 0
    faults: dict[str, Fault] = field(default_factory=dict)
    seen: list[tuple[float, str]] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)

    def __enter__(self) -> FaultProxy:
        self._healed = threading.Event()
        proxy = self

        class Handler(_Handler):
            faulty = proxy

        self._server = _Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_error: Any) -> None:
        self._healed.set()
        self.close()

    @property
    def url(self) -> str:
        """Return the URL at which this proxy accepts requests."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Refuse new connections, and end open connections at their next request."""
        self.inject(Fault("reset"))
        self._server.shutdown()
        self._server.server_close()

    def inject(self, fault: Fault, action: str = ALL) -> None:
        """Apply the fault to all later requests for `action`, an SQS action or an HTTP method.

        By default, apply it to all requests.
        """
        self.faults[action] = fault

    def heal(self) -> float:
        """Remove all faults, so that all later requests are forwarded. Return the time of the removal.

        Pass this time to the method `count` as its argument `since`, to count only later requests. A request that hangs
        already gets no answer.
        """
        self.faults.clear()
        return time.monotonic()

    def count(self, action: str, since: float = 0.0) -> int:
        """Return how many requests for `action`, an SQS action or an HTTP method, have arrived.

        With `since`, count only requests from that time on. The method `heal` returns such a time. Without `since`,
        count all requests.
        """
        return sum(1 for at, name in list(self.seen) if name == action and at >= since)

    def fault_for(self, action: str) -> Fault | None:
        """Return the fault that applies to a request, or None.

        `action` is the SQS action of the request, or its HTTP method.
        """
        return self.faults.get(action) or self.faults.get(ALL)

    def hang(self) -> None:
        """Block the calling thread until the proxy's `with` block ends, but at most 120 s.

        The thread of a request calls this for a fault of the kind `hang`.
        """
        self._healed.wait(LONGEST_HANG_SECONDS)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log nothing, because the proxy breaks connections on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faulty: FaultProxy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        action = self.headers.get("X-Amz-Target", "").rpartition(".")[2] or self.command
        self.faulty.seen.append((time.monotonic(), action))
        fault = self.faulty.fault_for(action)
        if fault is None:
            return self._answer(*self._forward(action, body))
        return getattr(self, f"_{fault.kind}")(fault, action, body)

    do_GET = do_HEAD = do_PUT = do_DELETE = do_POST  # noqa: N815 (http.server's names)

    def _status(self, fault: Fault, _action: str, _body: bytes) -> None:
        self._answer(fault.status, json.dumps({"__type": f"com.amazonaws.sqs#{fault.code}"}).encode())

    def _content(self, fault: Fault, _action: str, _body: bytes) -> None:
        self._answer(fault.status, fault.content)

    def _reset(self, _fault: Fault, _action: str, _body: bytes) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def _hang(self, _fault: Fault, _action: str, _body: bytes) -> None:
        self.faulty.hang()
        self.close_connection = True

    def _latency(self, fault: Fault, action: str, body: bytes) -> None:
        time.sleep(fault.seconds)
        self._answer(*self._forward(action, body))

    def _drop(self, fault: Fault, action: str, body: bytes) -> None:
        self._forward(action, body)
        self._reset(fault, action, body)

    def _replay(self, _fault: Fault, action: str, body: bytes) -> None:
        self._answer(*(self.faulty.answers.get(action) or self._forward(action, body)))

    def _s3_error(self, fault: Fault, _action: str, _body: bytes) -> None:
        self._answer(fault.status, f"<Error><Code>{fault.code}</Code></Error>".encode())

    def _shorten(self, _fault: Fault, action: str, body: bytes) -> None:
        status, content, headers = self._forward(action, body)
        self._answer(status, content[: len(content) // 2], headers)

    def _cut(self, _fault: Fault, action: str, body: bytes) -> None:
        status, content, headers = self._forward(action, body)
        self._answer(status, content, headers, sent=len(content) // 2)
        self.close_connection = True

    def _corrupt(self, _fault: Fault, action: str, body: bytes) -> None:
        status, content, headers = self._forward(action, body)
        self._answer(status, b"!!!!" + content[4:], headers)

    def _forward(self, action: str, body: bytes) -> Answer:
        upstream = http.client.HTTPConnection(urlsplit(self.faulty.upstream).netloc, timeout=30)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in {"host", "connection"}}
        upstream.request(self.command, self.path, body, headers)
        response = upstream.getresponse()
        answer = response.status, response.read(), dict(response.getheaders())
        upstream.close()
        if b'"Messages"' in answer[1] or action != "ReceiveMessage":
            self.faulty.answers[action] = answer
        return answer

    def _answer(
        self, status: int, content: bytes, headers: dict[str, str] | None = None, sent: int | None = None
    ) -> None:
        headers = headers or {"Content-Type": "application/x-amz-json-1.0"}
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in (HOP_BY_HOP if self.command == "HEAD" else HOP_BY_HOP | {"content-length"}):
                self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[:sent])

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing, because tests do not need an access log."""
