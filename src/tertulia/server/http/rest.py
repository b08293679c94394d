"""`/chat` and `/chat/stream`: conversations without GraphQL, stored like all others."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query
from fastapi.responses import JSONResponse
from graphql import GRAPHQL_MAX_INT
from pydantic import AliasChoices, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response
from strawberry import ID

from tertulia.claude.continuation import writers_of
from tertulia.claude.errors import ErrorCode, GenerationError
from tertulia.db.rows import AnyGeneration
from tertulia.db.tables import Status
from tertulia.json import encode
from tertulia.ratelimit.errors import RateLimited
from tertulia.resolvers.content import joined_text
from tertulia.resolvers.context import Context, as_uuid
from tertulia.resolvers.errors import ExpectedError, NotFound
from tertulia.resolvers.follow import MessageSnapshot, follow
from tertulia.resolvers.inputs import MAX_TEXT, GenerationOptions, SendMessage
from tertulia.resolvers.messages import refusal
from tertulia.resolvers.send import SendMessagePayload, send
from tertulia.server.auth.authenticator import Authenticated
from tertulia.server.http.body_limit import limited_route
from tertulia.server.http.graphql_request import MAX_BODY
from tertulia.server.http.problems import envelope
from tertulia.server.http.refusals import refused
from tertulia.server.http.streams import SSE, Framing, ResultStream
from tertulia.streams.events import GenerationEvent, GenerationFailed, TerminalEvent, TextDelta, ToolResultsRequired

IdempotencyKeyHeader = Annotated[
    str | None, Header(alias="Idempotency-Key", description="A UUID, with the same meaning as in `sendMessage`.")
]
AfterQuery = Annotated[
    int | None,
    Query(ge=0, le=GRAPHQL_MAX_INT, description="The `id` of the last event that the client has. Default: none."),
]
LastEventId = Annotated[
    int | None,
    Header(
        alias="Last-Event-ID",
        ge=0,
        le=GRAPHQL_MAX_INT,
        description="The same as `after`, which it precedes: an `EventSource` sends it when it connects again.",
    ),
]
EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "The events of the answer", "content": {"text/event-stream": {"schema": {"type": "string"}}}}
}
"""The response of a route that streams, for OpenAPI."""

ENCODED_EVENTS = Framing(SSE.content_type, begin=b"", heartbeat=SSE.heartbeat, end=b"", result=bytes)
"""A framing for results that are already encoded as events."""
STOPPED = "stopped"
STATUS = {
    ErrorCode.INVALID_REQUEST: 400,
    ErrorCode.AUTHENTICATION: 401,
    ErrorCode.BUDGET_EXCEEDED: 402,
    ErrorCode.PERMISSION: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.REQUEST_TOO_LARGE: 413,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.OVERLOADED: 503,
    ErrorCode.CONNECTION: 503,
    ErrorCode.INTERRUPTED: 503,
    ErrorCode.TIMEOUT: 504,
}
OWN_CODES = (ErrorCode.BUDGET_EXCEEDED, ErrorCode.INTERRUPTED)
"""The codes of failed answers that are not errors of Claude's API."""


BODY_FIELDS = {
    "text": "message",
    "options.model": "model",
    "idempotencyKey": "Idempotency-Key",
    "assistantId": "assistant_id",
    "conversationId": "conversation_id",
    "externalId": "external_id",
    "conversationMetadata": "conversation_metadata",
}
"""The names of fields of `sendMessage` in a request."""


class ChatRequest(BaseModel):
    """A message, and the conversation to add it to."""

    model_config = ConfigDict(extra="forbid")

    message: str = Field(min_length=1, max_length=MAX_TEXT, description="The user's message.")
    model: str | None = Field(
        default=None, description="The id of a model. Default: the conversation's model, or the server's default model."
    )
    conversation_id: str | None = Field(default=None, description="The conversation to continue. Default: a new one.")
    context: Any = Field(
        default=None,
        description="JSON that tells Claude what the application knows now, at most 32,768 bytes. The same as in "
        "`sendMessage`.",
    )
    metadata: Any = Field(
        default=None, description="The JSON object that the application stores with the message, as in `sendMessage`."
    )
    external_id: str | None = Field(
        default=None,
        description="The application's id of the conversation, which is created if it does not exist. The same as in "
        "`sendMessage`. Not accepted with `conversation_id`.",
    )
    assistant_id: str | None = Field(
        default=None,
        max_length=64,
        # The first name of this field.
        validation_alias=AliasChoices("assistant_id", "assistant"),
        description="The assistant that answers in a new conversation. Default: the default one, if there is one.",
    )
    conversation_metadata: Any = Field(
        default=None, description="The JSON object that the application stores with a new conversation."
    )


class ChatRefusal(BaseModel):
    """Why Claude declined."""

    category: str | None = Field(description="The policy area, such as `cyber`. Null if Claude named none.")
    explanation: str | None = Field(description="Claude's explanation for people. Null if there is none.")


class ChatResponse(BaseModel):
    """Claude's answer."""

    response: str
    model_used: str = Field(description="The model that wrote the answer: a fallback model if one wrote its end.")
    conversation_id: str
    stop_reason: str | None = Field(
        description="Why the answer ended, as in the Messages API: `end_turn` if it is complete, `max_tokens` if it "
        "was cut off, `refusal` if Claude declined to answer or to continue; and `stopped` if a user stopped it."
    )
    refusal: ChatRefusal | None = Field(default=None, description="Why Claude declined. Null if it has not declined.")


def rest_router(admit: Callable[[Request], Awaitable[Authenticated]]) -> APIRouter:
    """Return the routes. `admit` authenticates a request."""
    router = APIRouter(tags=["chat"], route_class=limited_route(MAX_BODY))

    @router.post("/chat", summary="Send a message, and receive Claude's complete answer", response_model=ChatResponse)
    async def chat(
        body: ChatRequest,
        admitted: Annotated[Authenticated, Depends(admit)],
        idempotency_key: IdempotencyKeyHeader = None,
    ) -> Any:
        request_context = admitted.context
        payload = await _send(request_context, body, idempotency_key)
        if isinstance(payload, Response):
            return payload
        events = await _until_end(follow(request_context, payload.generation.id))
        last_event = events[-1]
        if isinstance(last_event, GenerationFailed):
            return _claude_failed(GenerationError.from_json(last_event.error))
        if isinstance(last_event, ToolResultsRequired):
            return JSONResponse(_tool_results_required(payload.generation, last_event), 409)
        text = ""
        for event in events:
            text += _text(event, text)
        return await _answer(request_context, payload.generation, text)

    _add_streams(router, admit)
    return router


def _add_streams(router: APIRouter, admit: Callable[[Request], Awaitable[Authenticated]]) -> None:
    @router.post(
        "/chat/stream",
        summary="Send a message, and receive Claude's answer as server-sent events",
        response_class=Response,
        responses=EVENTS,
    )
    async def chat_stream(
        body: ChatRequest,
        admitted: Annotated[Authenticated, Depends(admit)],
        idempotency_key: IdempotencyKeyHeader = None,
    ) -> Response:
        request_context = admitted.context
        async with AsyncExitStack() as stack:
            try:
                # Before the message is stored, so that a refused request has no effect.
                await stack.enter_async_context(request_context.limits.connection_slot(request_context.viewer.user_id))
            except RateLimited as limited:
                return refused(limited, BODY_FIELDS)
            payload = await _send(request_context, body, idempotency_key)
            if isinstance(payload, Response):
                return payload
            return _stream(admitted, _sse(request_context, payload.generation, None, stack.pop_all()))

    @router.get(
        "/chat/stream/{id}",
        summary="Receive the events of an answer again, or those after the last one that the client has",
        response_class=Response,
        responses=EVENTS,
    )
    async def resume(
        id: str,
        admitted: Annotated[Authenticated, Depends(admit)],
        after: AfterQuery = None,
        last_event_id: LastEventId = None,
    ) -> Response:
        """`id` is the `generation_id` of the event `start`."""
        context = admitted.context
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(context.limits.connection_slot(context.viewer.user_id))
            except RateLimited as limited:
                return refused(limited, BODY_FIELDS)
            uuid = as_uuid(id)
            generation = await context.loaders.generations.load(uuid) if uuid else None
            if generation is None:
                return refused(NotFound(id, "generation"), BODY_FIELDS)
            last_id = after if last_event_id is None else last_event_id
            return _stream(admitted, _sse(context, generation, last_id, stack.pop_all()))


def _stream(admitted: Authenticated, frames: AsyncGenerator[bytes]) -> Response:
    return ResultStream(frames, ENCODED_EVENTS, (admitted.context.services.closing.wait, admitted.lapsed))


async def _send(context: Context, body: ChatRequest, key: str | None) -> SendMessagePayload | Response:
    options = GenerationOptions(model=body.model) if body.model is not None else None
    conversation = ID(body.conversation_id) if body.conversation_id is not None else None
    assistant = ID(body.assistant_id) if body.assistant_id is not None else None
    message = SendMessage(
        body.message,
        conversation,
        options=options,
        idempotency_key=ID(key) if key else None,
        assistant_id=assistant,
        context=body.context,
        metadata=body.metadata,
        external_id=body.external_id,
        conversation_metadata=body.conversation_metadata,
    )
    try:
        return await send(context, message)
    except (ExpectedError, RateLimited) as error:
        return refused(error, BODY_FIELDS)


async def _answer(context: Context, of: AnyGeneration, text: str | None) -> ChatResponse:
    """Return an answer that has ended. Its text is `text`, or the stored one if that is None."""
    generation = await context.loaders.generations.load(of.id)
    message = await context.loaders.messages.load(of.message_id)
    content = message.content if message else []
    writers = [writer for block in content for writer in writers_of(block)]
    name = await model_name(context, writers[-1] if writers else of.model)
    declined = refusal(generation) if generation is not None else None
    return ChatResponse(
        response=joined_text(content) if text is None else text,
        model_used=name,
        conversation_id=str(of.conversation_id),
        stop_reason=stop_reason_of(generation) if generation is not None else None,
        refusal=ChatRefusal(category=declined.category, explanation=declined.explanation) if declined else None,
    )


async def model_name(context: Context, id: str) -> str:
    """Return the name of a model for people, which says whether it is simulated."""
    model = await context.models.get(id)
    return f"{model.id} (simulated)" if model.simulated else model.id


def stop_reason_of(generation: AnyGeneration) -> str | None:
    """Return why an answer ended: Claude's stop reason, or `stopped` if a user stopped it."""
    return STOPPED if generation.status is Status.STOPPED else generation.stop_reason


def _text(event: GenerationEvent, before: str = "") -> str:
    """Return the text that an event adds to `before`; a snapshot in the middle of a stream repeats that text."""
    if isinstance(event, MessageSnapshot):
        return joined_text(event.message.content)[len(before) :]
    return event.text if isinstance(event, TextDelta) else ""


async def _until_end(events: AsyncGenerator[GenerationEvent]) -> list[GenerationEvent]:
    received: list[GenerationEvent] = []
    async with aclosing(events):
        async for event in events:
            received.append(event)
            if isinstance(event, ToolResultsRequired):
                break
    return received


def _tool_results_required(of: AnyGeneration, event: ToolResultsRequired) -> dict[str, Any]:
    """Return the error of an answer that waits for tool results, which clients submit with GraphQL."""
    return envelope(
        "TOOL_RESULTS_REQUIRED",
        "The answer waits for tool results: submit them with the mutation `submitToolResults`.",
        generation_id=str(of.id),
        tool_use_ids=[block["id"] for block in event.tool_uses.values()],
        expires_at=event.expires_at.isoformat(),
    )


async def _sse(
    context: Context, generation: AnyGeneration, after: int | None, slot_stack: AsyncExitStack
) -> AsyncGenerator[bytes]:
    # A client that resumes has a text that this server does not know, until a snapshot replaces it.
    text = "" if after is None else None
    async with slot_stack, aclosing(follow(context, generation.id, after)) as events:
        # Immediately, so that a client can stop or follow an answer that has not started.
        start = {"conversation_id": str(generation.conversation_id), "generation_id": str(generation.id)}
        yield _event("start", start)
        async for event in events:
            if text is None and isinstance(event, MessageSnapshot):
                text = joined_text(event.message.content)
                yield _event("snapshot", {"text": text, "reason": event.reason}, event.sequence)
            elif added := _text(event, text or ""):
                text = None if text is None else text + added
                yield _event("delta", {"text": added}, event.sequence)
            if isinstance(event, ToolResultsRequired):
                # The stream stays open, and continues when the results have been submitted.
                yield _event(
                    "tool_results_required", _tool_results_required(generation, event)["error"], event.sequence
                )
            elif isinstance(event, GenerationFailed):
                yield _event("error", _failure(GenerationError.from_json(event.error)), event.sequence)
            elif isinstance(event, TerminalEvent):
                yield _event("done", (await _answer(context, generation, text)).model_dump(), event.sequence)


def _event(name: str, data: dict[str, Any], sequence: int | None = None) -> bytes:
    id = b"" if sequence is None else b"id: %d\n" % sequence
    return b"%bevent: %b\ndata: %b\n\n" % (id, name.encode(), encode(data))


def _body(error: GenerationError) -> dict[str, Any]:
    api_code = {} if error.api_code is None else {"api_code": error.api_code}
    source = "tertulia" if error.code in OWN_CODES else "claude"
    return envelope(error.code.name, error.message, source=source, request_id=error.request_id, **api_code)


def _failure(error: GenerationError) -> dict[str, Any]:
    """Return the data of the event `error` of a stream, with the status and headers that a response would have."""
    fields: dict[str, Any] = {"status": _status(error)}
    if error.code is ErrorCode.RATE_LIMITED:
        fields["retry_after_seconds"] = int(error.retry_after_seconds or 1)
    return {"error": _body(error)["error"] | fields}


def _status(error: GenerationError) -> int:
    return STATUS.get(error.code, 502)


def _claude_failed(error: GenerationError) -> JSONResponse:
    headers: dict[str, str] = {}
    if error.code is ErrorCode.RATE_LIMITED:
        headers["Retry-After"] = str(int(error.retry_after_seconds or 1))
    return JSONResponse(_body(error), _status(error), headers)
