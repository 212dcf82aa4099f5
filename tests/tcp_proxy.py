"""A TCP proxy that is slow, silent or gone as told: for databases and for whatever speaks no HTTP."""

from __future__ import annotations

import asyncio
import threading
from contextlib import suppress
from typing import Any

CHUNK_BYTES = 65536


class TcpProxy:
    """Forwards to `host:port`; what `delay_seconds`, `hold` and `cut` change holds for open connections too."""

    def __init__(self, host: str, port: int, delay_seconds: float = 0.0) -> None:
        self.upstream, self.delay_seconds = (host, port), delay_seconds
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
        """Pass no byte on from now, closing nothing: a server that hangs."""
        self._loop.call_soon_threadsafe(self._flowing.clear)

    def release(self) -> None:
        """Pass on what was held."""
        self._loop.call_soon_threadsafe(self._flowing.set)

    def cut(self) -> None:
        """Break every connection and each new one: a server that is gone."""

        async def abort() -> None:
            self._cut = True
            for writer in self._writers:
                writer.transport.abort()

        self._do(abort())

    def mend(self) -> None:
        """Accept connections again."""
        self._cut = False

    def _do(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            return writer.transport.abort()
        upstream_reader, upstream_writer = await asyncio.open_connection(*self.upstream)
        self._writers |= {writer, upstream_writer}
        there = self._pass(reader, upstream_writer, delayed=True)
        await asyncio.gather(there, self._pass(upstream_reader, writer, delayed=False))
        self._writers -= {writer, upstream_writer}
        return None

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, delayed: bool) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                await asyncio.sleep(self.delay_seconds if delayed else 0)
                await self._flowing.wait()
                writer.write(chunk)
                await writer.drain()
        writer.close()
