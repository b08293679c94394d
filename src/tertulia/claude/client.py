"""The client of the Messages API: the official SDK with our own deadlines.

The SDK has 3,000 modules, which take a second to import, so it is imported at its first use. It is always imported as
`import anthropic`, because importing one of its modules while another thread imports the SDK can deadlock.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from tertulia.claude.backpressure import Backpressure
from tertulia.claude.deltas import clean_event
from tertulia.claude.errors import (
    UNREADABLE,
    BrokenStream,
    ErrorCode,
    GenerationError,
    StreamError,
    from_error_event,
    request_id_of,
    retry_after,
    without_key,
)
from tertulia.claude.parser import event_of, message_of
from tertulia.claude.sse import EventReader
from tertulia.claude.tracing import Chat, chat_span
from tertulia.json import Json, clean, loads

if TYPE_CHECKING:
    import anthropic
    import httpx2

    from tertulia.claude.transport import Body

logger = logging.getLogger("tertulia.claude")

PRELOAD_AFTER = 0.5
"""The seconds between the start and the import of the SDK, which slows down everything else."""
MAX_RETRIES = 2
"""The number of retries of a request that fails before Claude's first event."""
BETA_PARTS = ("betas", "context_management", "fallbacks", "fallback_credit_token")
FAILURES = 400
"""The lowest HTTP status that is a failure."""
MAX_RETRY_AFTER = 10.0
"""The longest Retry-After after which a request is retried, in seconds. The SDK has no limit."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A failed request to the Messages API, or a part of a response in which `model` has refused."""

    request_id: str | None = None
    usage: Mapping[str, int] = field(default_factory=dict[str, int])
    model: str | None = None


class RequestSource(Protocol):
    """A request, and its replacement if Claude refuses it."""

    async def body(self) -> Json:
        """Return the body of `POST /v1/messages`; its `betas` are sent as a header."""
        ...

    async def body_without_refused(self, error: "anthropic.APIStatusError") -> Json | None:
        """Return a body without the part that Claude has refused with this error; None if there is none."""
        ...


_attempts: ContextVar[list[Attempt] | None] = ContextVar("attempts", default=None)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The time limits of a request in seconds: for connecting, between two bytes, and for the whole answer."""

    connect: float = 10.0
    silence: float = 90.0
    answer: float = 30 * 60.0


class Claude:
    """Sends requests to a Messages API server. All generations of a process share one instance."""

    def __init__(self, *, api_key: str, base_url: str | None, deadlines: Deadlines | None = None) -> None:
        """Initialize without a connection. If `base_url` is None, the SDK's default is used."""
        self.deadlines = deadlines or Deadlines()
        self.backpressure = Backpressure()
        self.api_key = api_key
        self.base_url = base_url
        self._sdk: anthropic.AsyncAnthropic | None = None
        self._streaming: anthropic.AsyncAnthropic | None = None

    async def sdk(self) -> "anthropic.AsyncAnthropic":
        """Return the SDK's client, which is created at its first use."""
        if self._sdk is None:
            # In a thread, so that the import does not block the event loop.
            await asyncio.to_thread(import_module, "anthropic")
        return self._create_sdk()

    async def preload(self) -> None:
        """Import the SDK soon after the start, so that the first message need not wait for it."""
        await asyncio.sleep(PRELOAD_AFTER)
        await self.sdk()

    def _create_sdk(self) -> "anthropic.AsyncAnthropic":
        # If several callers waited for the import, the first one creates the client.
        if self._sdk is not None:
            return self._sdk
        import anthropic
        import httpx2

        from tertulia.claude.transport import Transport

        timeout = httpx2.Timeout(self.deadlines.silence, connect=self.deadlines.connect, pool=self.deadlines.connect)
        self._sdk = anthropic.AsyncAnthropic(
            api_key=self.api_key,
            base_url=self.base_url,
            timeout=timeout,
            max_retries=MAX_RETRIES,
            middleware=[_watch_attempts],
            open_telemetry={"propagation": False, "traces": {"content_mode": "metadata_only"}},
            default_headers={"Accept-Encoding": "identity"},
            http_client=httpx2.AsyncClient(transport=Transport(), timeout=timeout, follow_redirects=True),
        )
        return self._sdk

    async def stream(self, source: RequestSource, failed: list[Attempt] | None = None) -> AsyncIterator[list[Json]]:
        """Send a request, and yield the events of its stream, except `ping`, in the batches in which they arrive.

        A request is retried only before its first event.

        Args:
            source: The request.
            failed: Receives each attempt that has failed.

        Raises:
            StreamError: Claude sent an error or malformed data, or the stream ended without `message_stop`. The other
                exceptions are those of `claude.errors.request_errors`.
        """
        from tertulia.claude.transport import BODY

        async with AsyncExitStack() as stack:
            response, chat = await self._open(stack, source, failed)
            request_id = request_id_of(response.http_response)
            reader = EventReader()
            body: Body = response.http_response.extensions[BODY]
            while data := await body.read():
                events, error = _read(reader.feed(data), response.http_response)
                if events:
                    if chat is not None:
                        chat.record_events(events)
                    yield events
                if error is not None:
                    raise error
                if events and events[-1]["type"] == "message_stop":
                    return
                if self.backpressure.delay:
                    await body.pause_reading(self.backpressure.delay)
        raise BrokenStream(GenerationError(ErrorCode.CONNECTION, "Claude's response ended early.", request_id))

    async def ask(self, request: Json, failed: list[Attempt]) -> Json:
        """Send a request for a short response without streaming, and return it. Raises the same as `stream`."""
        _attempts.set(failed)
        # The raw response, because the SDK's models print a warning with the content of blocks of unknown types.
        create: Any = (await self.sdk()).messages.with_raw_response.create
        response = await create(**request)
        try:
            return message_of(clean(loads(response.http_response.content)))
        except ValueError as error:
            request_id = request_id_of(response.http_response)
            raise StreamError(GenerationError(ErrorCode.API_ERROR, UNREADABLE, request_id)) from error

    async def _open(
        self, stack: AsyncExitStack, source: RequestSource, failed: list[Attempt] | None
    ) -> "tuple[anthropic.AsyncAPIResponse[Any], Chat | None]":
        """Send the request. If Claude refuses it, retry it with the bodies that the source returns."""
        sdk = await self.sdk()
        import anthropic

        _attempts.set(failed)
        body = await source.body()
        chat = stack.enter_context(chat_span(body, sdk.base_url.host))
        # The SDK's own span would miss the events, because we read the bytes of the stream ourselves.
        streaming = self._streaming = self._streaming or sdk.with_options(open_telemetry=False)
        while True:
            try:
                create = streaming.messages.with_streaming_response.create
                response = await stack.enter_async_context(create(**_arguments(body, chat), stream=True))
            except (anthropic.BadRequestError, anthropic.NotFoundError, anthropic.ContentTooLargeError) as error:
                reduced_body = await source.body_without_refused(error)
                if reduced_body is None:
                    raise
                reason = without_key(error.message, error.request)
                logger.warning("Claude refused a part of earlier turns; the request is retried without it: %s", reason)
                body = reduced_body
            else:
                if chat is not None:
                    chat.record_request_id(response.headers.get("request-id"))
                return response, chat

    async def close(self) -> None:
        """Close all connections."""
        if self._sdk is not None:
            await self._sdk.close()


def _arguments(body: Json, chat: Chat | None) -> Json:
    """Return the arguments for the SDK, whose typed signature does not include beta features."""
    arguments = {name: value for name, value in body.items() if name not in BETA_PARTS}
    headers = {} if chat is None else chat.headers()
    if "betas" in body:
        headers["anthropic-beta"] = ",".join(body["betas"])
        arguments["extra_body"] = {name: body[name] for name in BETA_PARTS if name in body and name != "betas"}
    if headers:
        arguments["extra_headers"] = headers
    return arguments


def _read(
    named_events: Iterable[tuple[bytes, bytes]], response: "httpx2.Response"
) -> tuple[list[Json], StreamError | None]:
    """Return the events up to the end of the stream or to the first error, and that error."""
    request_id = request_id_of(response)
    events: list[Json] = []
    for name, data in named_events:
        if name == b"error":
            return events, from_error_event(data, response)
        if name == b"ping":
            continue
        try:
            event = event_of(loads(data))
            kind = event["type"]
            event = clean_event(event)
        except (ValueError, KeyError, TypeError):
            return events, BrokenStream(GenerationError(ErrorCode.API_ERROR, UNREADABLE, request_id))
        if kind == "error":
            return events, from_error_event(data, response)
        if kind == "message_start":
            event["request_id"] = request_id
        events.append(event)
        if kind == "message_stop":
            break
    return events, None


def forget_attempts() -> None:
    """Stop recording the failed attempts of this task, for requests that are not part of an answer."""
    _attempts.set(None)


async def _watch_attempts(request: "anthropic.APIRequest", call_next: Any) -> Any:
    """Record each failed attempt, and prevent retries if the API requires a wait longer than MAX_RETRY_AFTER."""
    failed = _attempts.get()
    try:
        response = await call_next(request)
    except Exception:
        if failed is not None:
            failed.append(Attempt())
        raise
    if failed is not None and response.status_code >= FAILURES:
        failed.append(Attempt(request_id_of(response)))
    wait = retry_after(response.headers.get("retry-after"))
    if wait is not None and wait > MAX_RETRY_AFTER:
        response.headers["x-should-retry"] = "false"
    return response
