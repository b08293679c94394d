"""Subscriptions over plain HTTP: server-sent events, and Apollo's multipart protocol.

Sources: PROTOCOL.md of the graphql-sse project, "distinct connections mode"; "Multipart HTTP protocol for GraphQL
subscriptions" of the Apollo Router documentation.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

HEARTBEAT_SECONDS = 15.0
"""Shorter than the shortest idle timeout of proxies in use, 20 s."""
STALLED_SECONDS = 30.0
"""Seconds that a client may leave data unread before it counts as disconnected."""
SSE_TYPE = "text/event-stream"
MULTIPART_TYPE = "multipart/mixed"


@dataclass(frozen=True, slots=True)
class Framing:
    """The format in which results are written to a stream."""

    content_type: str
    begin: bytes
    heartbeat: bytes
    end: bytes
    result: Callable[[bytes], bytes]


SSE = Framing(
    content_type=f"{SSE_TYPE}; charset=utf-8",
    # An immediate comment flushes the headers, and makes a browser's EventSource report the connection.
    begin=b":\n\n",
    heartbeat=b":\n\n",
    end=b"event: complete\ndata:\n\n",
    result=lambda json: b"event: next\ndata: " + json + b"\n\n",
)


def _part(json: bytes) -> bytes:
    # Each part ends with the delimiter of the next one, so that a client sees at once that it is complete.
    return b"\r\nContent-Type: application/json\r\n\r\n" + json + b"\r\n--graphql"


MULTIPART = Framing(
    content_type=f'{MULTIPART_TYPE};boundary="graphql";subscriptionSpec=1.0',
    begin=b"--graphql",
    heartbeat=_part(b"{}"),
    end=b"--\r\n",
    result=lambda json: _part(b'{"payload":%b}' % json),
)

HEADERS = {
    # Proxies must not buffer, change or compress the stream.
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


class ResultStream(Response):
    """Streams results. Closes their source when the client disconnects or stalls, or when one of `ends` returns."""

    def __init__(
        self, results: AsyncGenerator[bytes], framing: Framing, ends: Sequence[Callable[[], Awaitable[object]]]
    ) -> None:
        """Create the response.

        Args:
            results: The results, as encoded JSON.
            framing: The format of the stream.
            ends: Functions that return when the stream must end.
        """
        super().__init__(headers={**HEADERS, "Content-Type": framing.content_type})
        del self.headers["content-length"]
        self._results = results
        self._framing = framing
        self._ends = ends

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream until the results end, the client disconnects, or one of `ends` returns."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        end_tasks: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(_wait_for_disconnect(receive)),
            *(asyncio.ensure_future(end()) for end in self._ends),
        ]
        try:
            async with aclosing(self._results):
                with suppress(TimeoutError):
                    await self._send_all(send, end_tasks)
        finally:
            for task in end_tasks:
                task.cancel()

    async def _send_all(self, send: Send, end_tasks: list[asyncio.Future[Any]]) -> None:
        await _write(send, self._framing.begin)
        result = asyncio.ensure_future(anext(self._results, None))
        try:
            while True:
                await asyncio.wait([result, *end_tasks], timeout=HEARTBEAT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if any(task.done() for task in end_tasks):
                    break
                if not result.done():
                    await _write(send, self._framing.heartbeat)
                    continue
                json = result.result()
                if json is None:
                    await _write(send, self._framing.end)
                    break
                await _write(send, self._framing.result(json))
                result = asyncio.ensure_future(anext(self._results, None))
        finally:
            result.cancel()
            with suppress(asyncio.CancelledError):
                await result
        if not end_tasks[0].done():
            await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _write(send: Send, piece: bytes) -> None:
    async with asyncio.timeout(STALLED_SECONDS):
        await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
