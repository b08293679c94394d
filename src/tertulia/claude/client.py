"""The client of the Messages API: the official SDK with our own deadlines.

The SDK has 3,000 modules, which take a second to import, so it is imported at its first use. It is always imported as
`import anthropic`, because importing one of its modules while another thread imports the SDK can deadlock.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

from tertulia.claude.attempts import Attempt, faults_logged, record_attempts, watch_attempts
from tertulia.claude.backpressure import Backpressure
from tertulia.claude.connections import (
    Access,
    Connection,
    Deadlines,
    ProviderConfigurationError,
    open_connection,
    reporting_credentials,
)
from tertulia.claude.errors import (
    UNREADABLE,
    BrokenStream,
    ErrorCode,
    GenerationError,
    StreamError,
    quotes_users,
    request_id_of,
)
from tertulia.claude.event_parser import EventParser
from tertulia.claude.parser import message_of
from tertulia.claude.provider_requests import adapted
from tertulia.claude.providers import PLATFORMS, ModelName, Provider, model_name
from tertulia.claude.rate_limits import RateLimits
from tertulia.claude.streaming import open_stream
from tertulia.claude.tracing import Chat, chat_span
from tertulia.json import Json, clean, loads
from tertulia.log_lines import log_fields

if TYPE_CHECKING:
    import anthropic
    import httpx2

    from tertulia.claude.transport import Body

logger = logging.getLogger("tertulia.claude")

PRELOAD_AFTER = 0.5
"""The seconds between the start and the import of the SDK, which slows down everything else."""
Push = Callable[[list[Json]], bool]
"""Called with events as soon as they arrive; returns whether it has processed them."""


class RequestSource(Protocol):
    """A request, and its replacement if Claude refuses it."""

    @property
    def has_begun(self) -> bool:
        """Whether the request continues an answer that users already read."""
        ...

    async def body(self) -> Json:
        """Return the body of `POST /v1/messages`; its `betas` are sent as a header."""
        ...

    async def body_without_refused(self, error: "anthropic.APIStatusError") -> Json | None:
        """Return a body without the part that Claude has refused with this error; None if there is none."""
        ...


class Claude:
    """Sends requests to a Messages API server. All generations of a process share one instance."""

    def __init__(
        self,
        *,
        api_key: str | None = None,
        base_url: str | None = None,
        deadlines: Deadlines | None = None,
        provider: Provider = Provider.ANTHROPIC,
    ) -> None:
        """Initialize without a connection.

        Args:
            api_key: The key of Anthropic's own API.
            base_url: Its address; None for the SDK's default.
            deadlines: The time limits of requests.
            provider: The provider of models whose ids name none.
        """
        self.deadlines = deadlines or Deadlines()
        self.backpressure = Backpressure()
        self.rate_limits = RateLimits()
        self.api_key = api_key or ""
        self.base_url = base_url
        self.platform = PLATFORMS[provider]
        self._connections: dict[Provider, Connection] = {}
        self._opening = asyncio.Lock()
        self._without_diagnostics = set[Provider]()
        """The providers that do not accept `diagnostics`. Some gateways do not either."""

    def model(self, model_id: str) -> ModelName:
        """Return the provider of a model's id, and the provider's own name of the model."""
        return model_name(model_id, self.platform.provider)

    def stores_files_for(self, model_id: str) -> bool:
        """Return whether requests to the model can refer to the files of the main provider's Files API."""
        return self.platform.stores_files and self.model(model_id).provider is self.platform.provider

    async def sdk(self) -> "anthropic.AsyncAnthropic":
        """Return the SDK's client of the main provider, which is created at its first use."""
        return (await self.connection(self.platform.provider)).sdk

    async def preload(self) -> None:
        """Import the SDK soon after the start, so that the first message need not wait for it."""
        await asyncio.sleep(PRELOAD_AFTER)
        try:
            await self.sdk()
        except ProviderConfigurationError as error:
            logger.error("%s: %s", self.platform.title, error)  # noqa: TRY400 - the reason is in the message

    async def connection(self, provider: Provider) -> Connection:
        """Return the connection to a provider, which is opened at its first use. Raise ProviderConfigurationError.

        All callers wait for the first one.
        """
        connection = self._connections.get(provider)
        if connection is None:
            async with self._opening:
                connection = self._connections.get(provider) or await self._open_connection(provider)
                self._connections[provider] = connection
        return connection

    async def _open_connection(self, provider: Provider) -> Connection:
        access = Access(self.api_key, self.base_url) if provider is Provider.ANTHROPIC else None
        # In a thread, because the import of the SDK, and the files of profiles, would block the event loop.
        return await asyncio.to_thread(open_connection, provider, self.deadlines, watch_attempts, access)

    async def stream(
        self, source: RequestSource, failed: list[Attempt] | None = None, push: Push | None = None
    ) -> AsyncIterator[list[Json]]:
        """Send a request, and yield the events of its stream, except `ping`, in the batches in which they arrive.

        Adjacent pieces of text in a batch are joined. A request is retried only before its first event.

        Args:
            source: The request.
            failed: Receives each attempt that has failed.
            push: Called with each batch as soon as its bytes arrive. This saves waking a task for each token. If it
                returns False, the batch is yielded, and the following ones wait until the next is requested.

        Raises:
            StreamError: Claude sent an error or malformed data, or the stream ended without `message_stop`. The other
                exceptions are those of `claude.errors.request_errors`, and those of `push`.
        """
        from tertulia.claude.transport import BODY

        async with AsyncExitStack() as stack:
            response, chat = await self._open(stack, source, failed)
            stack.enter_context(self.backpressure.reading())
            body: Body = response.extensions[BODY]
            reader = _Reader(EventParser(response), body, self.backpressure, chat, push)
            with faults_logged(response):
                while await body.receive(reader.take):
                    if reader.events:
                        yield reader.events
                    if reader.error is not None:
                        raise reader.error
                    if reader.has_ended:
                        return
                    reader.pace()
                error = GenerationError(ErrorCode.CONNECTION, "Claude's response ended early.", request_id_of(response))
                raise BrokenStream(error)

    async def ask(self, request: Json, failed: list[Attempt]) -> Json:
        """Send a request for a short response without streaming, and return it. Raises the same as `stream`."""
        record_attempts(failed)
        model = self.model(request["model"])
        connection = await self._connected(model.provider)
        # The raw response, because the SDK's models print a warning with the content of blocks of unknown types.
        create: Any = connection.sdk.messages.with_raw_response.create
        async with self._within_limits(request["model"], has_begun=False) as headers:
            with reporting_credentials(connection.platform):
                response = await create(**adapted(request, model))
            headers.update(response.headers)
        try:
            return message_of(clean(loads(response.http_response.content)))
        except ValueError as error:
            request_id = request_id_of(response.http_response)
            raise StreamError(GenerationError(ErrorCode.API_ERROR, UNREADABLE, request_id)) from error

    async def _open(
        self, stack: AsyncExitStack, source: RequestSource, failed: list[Attempt] | None
    ) -> "tuple[httpx2.Response, Chat | None]":
        """Send the request. If Claude refuses it, retry it with the bodies that the source returns."""
        record_attempts(failed)
        body = await source.body()
        model = self.model(body["model"])
        connection = await self._connected(model.provider)
        import anthropic

        platform = connection.platform
        log_fields(
            logger,
            logging.DEBUG,
            "Request to Claude",
            model=body["model"],
            max_tokens=body["max_tokens"],
            messages=len(body["messages"]),
            tools=len(body.get("tools") or ()),
        )
        chat = stack.enter_context(chat_span(body, connection.sdk.base_url.host, platform.span_name))
        while True:
            try:
                sent = adapted(self._accepted(body, model), model)
                request = open_stream(connection, sent, {} if chat is None else chat.headers())
                async with self._within_limits(body["model"], has_begun=source.has_begun) as headers:
                    with reporting_credentials(platform):
                        response = await stack.enter_async_context(request)
                    headers.update(response.headers)
            except (anthropic.BadRequestError, anthropic.NotFoundError, anthropic.ContentTooLargeError) as error:
                is_refused = "diagnostics" in str(error.body) and not quotes_users(str(error.body))
                if is_refused and model.provider not in self._without_diagnostics:
                    self._without_diagnostics.add(model.provider)
                    continue
                reduced_body = await source.body_without_refused(error)
                if reduced_body is None:
                    raise
                # The message is not logged, because it may quote users.
                id = request_id_of(error.response)
                logger.warning("Claude refused a part of earlier turns; the request %s is retried without it", id)
                body = reduced_body
            else:
                request_id = request_id_of(response)
                log_fields(logger, logging.DEBUG, "Claude's response begins", claude_request_id=request_id)
                if chat is not None:
                    chat.record_request_id(request_id)
                return response, chat

    async def _connected(self, provider: Provider) -> Connection:
        """Return the connection to the provider of a request. Raise StreamError if it cannot be opened."""
        with reporting_credentials(PLATFORMS[provider]):
            return await self.connection(provider)

    @asynccontextmanager
    async def _within_limits(self, model: str, *, has_begun: bool) -> AsyncGenerator[dict[str, str]]:
        """Wait for the account's rate limits before a request. Yields a dictionary for the headers of its response."""
        await self.rate_limits.wait(model, has_begun=has_begun)
        headers: dict[str, str] = {}
        try:
            yield headers
        except Exception as error:
            headers.update(getattr(getattr(error, "response", None), "headers", {}))
            raise
        finally:
            self.rate_limits.finish(model, headers)

    def _accepted(self, body: Json, model: ModelName) -> Json:
        """Return the body without the fields that the provider of the model has refused."""
        is_accepted = model.provider not in self._without_diagnostics
        return body if is_accepted else {name: value for name, value in body.items() if name != "diagnostics"}

    async def close(self) -> None:
        """Close all connections."""
        for connection in self._connections.values():
            await connection.close()


class _Reader:
    """Parses a response, and pushes its events, until the task that reads the response must act.

    Attributes:
        events: The events that were not pushed.
        error: The error after them.
        has_ended: Whether `message_stop` was received.
    """

    __slots__ = (
        "_backpressure",
        "_body",
        "_chat",
        "_parser",
        "_push",
        "error",
        "events",
        "has_ended",
    )

    def __init__(
        self, parser: EventParser, body: "Body", backpressure: Backpressure, chat: Chat | None, push: Push | None
    ) -> None:
        self._parser = parser
        self._body = body
        self._backpressure = backpressure
        self._chat = chat
        self._push = push
        self.events: list[Json] = []
        self.error: StreamError | None = None
        self.has_ended = False

    def take(self, data: bytes) -> bool:
        """Process a piece of the body. Return False if the task must act before the next one."""
        events = self._parser.parse(data)
        self.events, self.error = [], self._parser.error
        if events:
            self.has_ended = events[-1]["type"] == "message_stop"
            if self._chat is not None:
                self._chat.record_events(events)
            if self._push is None or not self._push(events):
                self.events = events
                return False
        if self.has_ended or self.error is not None:
            return False
        if self._backpressure.delay:
            self.pace()
        return True

    def pace(self) -> None:
        """Receive nothing for the current delay of backpressure."""
        if self._backpressure.delay:
            self._body.pause(self._backpressure.delay)
