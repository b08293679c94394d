"""The one connection to Claude: the official SDK, with deadlines of our own."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import anthropic
import httpx2

from claude.errors import ErrorCode, GenerationError, StreamError, from_error_event, retry_after

Json = dict[str, Any]

MAX_RETRIES = 2
MAX_RETRY_AFTER = 10.0
"""Seconds of Retry-After that we wait for ourselves; the SDK would honour weeks."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds that asking Claude may take: to connect, in silence between bytes, and as a whole."""

    connect: float = 10.0
    silence: float = 90.0
    answer: float = 30 * 60.0


class Claude:
    """Asks a Messages API server; one for the process, shared by all generations."""

    def __init__(self, *, api_key: str, base_url: str | None, deadlines: Deadlines | None = None) -> None:
        """Open nothing yet. Without `base_url`, the SDK's own."""
        self.deadlines = deadlines or Deadlines()
        timeout = httpx2.Timeout(self.deadlines.silence, connect=self.deadlines.connect, pool=self.deadlines.connect)
        self.client = anthropic.AsyncAnthropic(
            api_key=api_key,
            base_url=base_url,
            timeout=timeout,
            max_retries=MAX_RETRIES,
            middleware=[_refuse_long_waits],
            # aiohttp's transport costs half of the default's, and its pool does not slow down with its size.
            http_client=anthropic.DefaultAioHttpClient(timeout=timeout),
        )

    async def stream(self, request: Json) -> AsyncIterator[Json]:
        """Ask, and give the Messages API's events as they come, `ping` left out.

        Attempts are repeated only before the first event. Raises what `claude.errors.describe` knows; a body that ends
        without `message_stop` is a StreamError.
        """
        async with self.client.messages.with_streaming_response.create(**request, stream=True) as response:
            request_id = response.headers.get("request-id")
            async for sse in anthropic.AsyncStream.raw_events(response.http_response):
                if sse.event == "error":
                    raise from_error_event(sse.data, request_id)
                if sse.event in (None, "ping") or not sse.data:
                    continue
                event: Json = json.loads(sse.data)
                event.setdefault("request_id", request_id)
                yield event
                if sse.event == "message_stop":
                    return
        raise StreamError(GenerationError(ErrorCode.CONNECTION, "Claude's answer broke off.", request_id))

    async def close(self) -> None:
        """Close all connections."""
        await self.client.close()


async def _refuse_long_waits(request: anthropic.APIRequest, call_next: Any) -> Any:
    response = await call_next(request)
    wait = retry_after(response.headers.get("retry-after"))
    if wait is not None and wait > MAX_RETRY_AFTER:
        response.headers["x-should-retry"] = "false"
    return response
