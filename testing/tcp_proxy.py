"""Run a TCP proxy for tests, with latency, limited bandwidth, stalls and broken connections."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Any

CHUNK_BYTES = 65536


class TcpProxy:
    """TCP proxy to `host:port`, whose connections can be slowed, stalled and broken.

    Each request is delayed by `delay_seconds`. All connections together carry at most `bytes_per_second` in each
    direction. None means no limit. With `only_back`, the limit applies only to bytes from the server to the client.
    """

    def __init__(
        self,
        host: str,
        port: int,
        delay_seconds: float = 0.0,
        bytes_per_second: float | None = None,
        *,
        only_back: bool = False,
    ) -> None:
        self.upstream, self.delay_seconds, self.bytes_per_second = (host, port), delay_seconds, bytes_per_second
        self._free_at = {"back": 0.0} if only_back else {"there": 0.0, "back": 0.0}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._flowing, self._cut = asyncio.Event(), False
        self._writers: set[asyncio.StreamWriter] = set()

    def __enter__(self) -> TcpProxy:
        self._thread.start()
        self._flowing.set()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", 0))
        return self

    def __exit__(self, *_error: object) -> None:
        self.cut()
        self._loop.call_soon_threadsafe(self._server.close)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    def hold(self) -> None:
        """Stop forwarding bytes until the method `release` is called, like a server that hangs."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def release(self) -> None:
        """Continue after a call of the method `hold`: forward the held bytes and all later bytes."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def cut(self) -> None:
        """Abort every open connection, like a server that is down.

        Abort each new connection too, until the method `restore` is called.
        """

        async def abort() -> None:
            self._cut = True
            for writer in self._writers:
                writer.transport.abort()

        self._do(abort())

    def restore(self) -> None:
        """Accept connections again, after a call of the method `cut`."""
        self._cut = False

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            return writer.transport.abort()
        upstream_reader, upstream_writer = await asyncio.open_connection(*self.upstream)
        self._writers |= {writer, upstream_writer}
        sender = Sender()
        there = self._pass(reader, upstream_writer, sender, "there")
        await asyncio.gather(there, self._pass(upstream_reader, writer, sender, "back"))
        self._writers -= {writer, upstream_writer}
        return None

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sender: Sender, direction: str
    ) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                if sender.begins_request(direction):
                    await asyncio.sleep(self.delay_seconds)
                await self._carry(direction, len(chunk))
                await self._flowing.wait()
                writer.write(chunk)
                await writer.drain()
        writer.close()

    async def _carry(self, direction: str, size_bytes: int) -> None:
        """Wait until the shared bandwidth of this direction allows this chunk."""
        if self.bytes_per_second and direction in self._free_at:
            now = self._loop.time()
            self._free_at[direction] = max(now, self._free_at[direction]) + size_bytes / self.bytes_per_second
            await asyncio.sleep(self._free_at[direction] - now)


class Sender:
    """Find the beginning of each request on one connection of a TcpProxy.

    A request begins with bytes from the client, either the first of the connection or after bytes from the server.
    """

    def __init__(self) -> None:
        self._current = "back"

    def begins_request(self, direction: str) -> bool:
        """Record that bytes were sent in `direction`. Return True if these bytes begin a new request.

        `direction` is `there` (client to server) or `back` (server to client).
        """
        begins = direction == "there" != self._current
        self._current = direction
        return begins
