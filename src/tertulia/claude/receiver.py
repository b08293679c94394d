"""Deliver the body of a response in the turn of the event loop in which its bytes arrive.

Reading a body with `await` costs a future, a wake-up of the task, and a new timer for each piece, and each token is a
piece. A receiver costs none of these. While it is attached, it is the protocol of the connection: it passes everything
on to aiohttp's protocol, which parses HTTP and decompresses the body, and then delivers what has been received. Only a
chunk that arrives alone is delivered without aiohttp. The receiver uses only public interfaces of asyncio and aiohttp.
tests/test_receiver.py compares it with reading.
"""

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler

Take = Callable[[bytes], bool]
"""Processes a piece of a body, and returns whether it accepts the next piece in the same way."""
EARLY = 0.001
"""The seconds by which a timer may be early."""
LONGEST_SIZE = 10
"""The number of bytes in which the size of a chunk must end."""


class Receiver(asyncio.Protocol):
    """Calls a function with each piece of a body, until the function returns False or the body ends."""

    __slots__ = (
        "_attached",
        "_call_later",
        "_content",
        "_delivered",
        "_ended",
        "_error",
        "_heard_at",
        "_is_between_chunks",
        "_is_encoded",
        "_protocol",
        "_silence",
        "_take",
        "_time",
        "_timer",
        "_translated",
        "_transport",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        protocol: ResponseHandler,
        response: aiohttp.ClientResponse,
        take: Take,
        translated: Callable[[Exception], Exception],
    ) -> None:
        """Initialize without an effect on the connection.

        Args:
            transport: The transport of the connection.
            protocol: aiohttp's protocol of the connection.
            response: The response, whose body may already have been received in part.
            take: Called with each piece, in the context of the task that creates the receiver. Its exceptions end
                receiving.
            translated: Returns the exception to raise for one of aiohttp's.
        """
        loop = asyncio.get_running_loop()
        self._transport = transport
        self._protocol = protocol
        self._content = response.content
        self._is_encoded = "content-encoding" in response.headers
        self._is_between_chunks = False
        self._take = _within(copy_context(), take)
        self._translated = translated
        self._delivered = 0
        self._silence = protocol.read_timeout
        self._call_later, self._time = loop.call_later, loop.time
        self._heard_at = loop.time()
        self._timer: asyncio.TimerHandle | None = None
        self._ended: asyncio.Future[bool] = loop.create_future()
        self._error: Exception | None = None
        self._attached = False

    async def receive(self) -> bool:
        """Deliver the body. Return True if the function has returned False, and False at the end of the body."""
        received = self._content.total_bytes
        data = self._read()
        self._delivered = received
        if data and not self._take(data):
            return True
        self._attach()
        try:
            self._deliver()
            stopped = await self._ended
        finally:
            self._detach()
        if self._error is not None:
            raise self._error
        return stopped

    def data_received(self, data: bytes) -> None:
        """Deliver the piece of the body in the data, which aiohttp parses unless it is a single chunk."""
        self._heard_at = self._time()
        chunk = self._only_chunk(data)
        if chunk is None or not self._is_between_chunks or self._ended.done():
            received = self._content.total_bytes
            self._protocol.data_received(data)
            # If it was a chunk for aiohttp too, aiohttp now expects the next one.
            self._is_between_chunks = chunk is not None and self._content.total_bytes - received == len(chunk)
            self._deliver()
            return
        try:
            if not self._take(chunk):
                self._end(stopped=True)
        except Exception as error:  # noqa: BLE001 - it is raised where the task waits
            self._fail(error)

    def _only_chunk(self, data: bytes) -> bytes | None:
        """Return the content of a chunk if the data is exactly one in the usual form, and not the last one.

        Source: "Chunked Transfer Coding", RFC 9112, section 7.1. Servers send each event as one. While aiohttp expects
        a chunk, a complete one does not change its state, so it need not parse it. That halves the time of reading.
        """
        if self._is_encoded or not data.endswith(b"\r\n"):
            return None
        end = data.find(b"\r\n", 0, LONGEST_SIZE)
        size = len(data) - end - 4
        return data[end + 2 : -2] if end > 0 and size > 0 and data[:end] == b"%x" % size else None

    def eof_received(self) -> bool | None:
        """Pass on the end of the stream."""
        self._protocol.eof_received()
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on the loss of the connection, which may be the end of the body."""
        self._protocol.connection_lost(exc)
        self._deliver()
        if not self._ended.done():
            # aiohttp has closed it because of invalid framing, and does not report that to the readers of the body.
            self._fail(self._translated(aiohttp.ClientPayloadError("The response is not valid HTTP.")))

    def pause_writing(self) -> None:
        """Pass on that the request is written too fast."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Pass on that more of the request can be written."""
        self._protocol.resume_writing()

    def _attach(self) -> None:
        self._attached = True
        self._transport.set_protocol(self)
        # aiohttp would restart its timer for each piece.
        self._protocol.read_timeout = None
        self._protocol.start_timeout()
        if self._silence is not None:
            self._timer = self._call_later(self._silence, self._check_silence)

    def _detach(self) -> None:
        """Return the connection to aiohttp, which has closed it, or prepared it for the next request, at the end."""
        if not self._attached:
            return
        self._attached = False
        if self._timer is not None:
            self._timer.cancel()
        self._transport.set_protocol(self._protocol)
        self._protocol.read_timeout = self._silence
        if not self._content.is_eof() and self._content.exception() is None:
            self._protocol.start_timeout()

    def _deliver(self) -> None:
        """Deliver the new bytes. If the task was cancelled, they stay in aiohttp's buffer."""
        if self._ended.done():
            return
        content = self._content
        try:
            # Reading can make aiohttp decompress more, so this is a loop.
            while content.total_bytes > self._delivered:
                data = self._read()
                self._delivered += len(data)
                if not self._take(data):
                    self._end(stopped=True)
                    return
            if content.is_eof():
                self._end(stopped=False)
            elif content.exception() is not None:
                self._read()
        except Exception as error:  # noqa: BLE001 - it is raised where the task waits
            self._fail(error)

    def _read(self) -> bytes:
        try:
            return self._content.read_nowait()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._translated(error) from error

    def _check_silence(self) -> None:
        """Fail if nothing was received for too long. There is one timer, and not a new one for each piece."""
        seconds_left = self._heard_at + (self._silence or 0.0) - self._time()
        if seconds_left > EARLY:
            self._timer = self._call_later(seconds_left, self._check_silence)
        else:
            self._fail(self._translated(aiohttp.SocketTimeoutError("Timeout on reading data from socket")))

    def _fail(self, error: Exception) -> None:
        self._error = error
        self._end(stopped=True)

    def _end(self, *, stopped: bool) -> None:
        # Before the task runs, because the connection may already be free for the next request.
        self._detach()
        if not self._ended.done():
            self._ended.set_result(stopped)


def _within(context: Context, take: Take) -> Take:
    # Any, because mypy does not know the type of a partial call of `run`.
    run: Any = context.run
    return partial(run, take)
