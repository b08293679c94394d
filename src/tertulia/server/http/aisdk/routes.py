"""The routes of the AI SDK: a chat's answers, resuming and stopping them, and its stored messages."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tertulia.claude.errors import GenerationError
from tertulia.db.rows import AnyConversation, AnyGeneration
from tertulia.json import Json, encode
from tertulia.ratelimit.errors import RateLimited
from tertulia.resolvers.app_data import check_external_id
from tertulia.resolvers.context import Context, as_uuid
from tertulia.resolvers.errors import ExpectedError, InvalidInput
from tertulia.resolvers.follow import follow
from tertulia.resolvers.send import stop
from tertulia.server.auth.authenticator import Authenticated
from tertulia.server.http.aisdk.chunks import AnswerChunks
from tertulia.server.http.aisdk.messages import generated_file_chunks, history, metadata_of, path_of
from tertulia.server.http.aisdk.request import MAX_ID, AiSdkRequest
from tertulia.server.http.aisdk.sending import Answer, begin, find_chat
from tertulia.server.http.body_limit import limited_route
from tertulia.server.http.refusals import refused
from tertulia.server.http.streams import SSE, SSE_TYPE, Framing, ResultStream
from tertulia.streams.events import (
    GenerationEvent,
    GenerationFailed,
    GenerationStopped,
    TerminalEvent,
    ToolResultsRequired,
)

MAX_BODY = 16_000_000
"""Bytes. A client sends the whole chat with each message, with its files."""
PROTOCOL = {"x-vercel-ai-ui-message-stream": "v1"}
CHUNKS = Framing(
    SSE.content_type,
    begin=b"",
    heartbeat=SSE.heartbeat,
    end=b"data: [DONE]\n\n",
    result=lambda json: b"data: %b\n\n" % json,
)
FIELDS = {
    "text": "messages",
    "file": "messages",
    "attachmentIds": "messages",
    "metadata": "messages",
    "options.model": "model",
    "externalId": "id",
    "conversationId": "id",
    "tools.client": "tools",
}
"""The names of fields of mutations in a request."""
FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content-filter",
    "tool_use": "tool-calls",
}
"""The AI SDK's finish reasons, by Claude's stop reasons."""
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The chunks of the answer", "content": {SSE_TYPE: {"schema": {"type": "string"}}}}
}
MessageId = Annotated[
    str | None,
    Query(
        alias="messageId",
        max_length=MAX_ID,
        description="An answer that the client has only a part of. It is also sent if it has ended.",
    ),
]
Admit = Callable[[Request], Awaitable[Authenticated]]


def aisdk_router(admit: Admit) -> APIRouter:
    """Return the routes. `admit` authenticates a request."""
    router = APIRouter(tags=["ai-sdk"], route_class=limited_route(MAX_BODY))

    @router.post(
        "/ai-sdk",
        summary="Answer a chat of the AI SDK: its last message, the results of its tools, or the last question again",
        response_class=Response,
        responses=RESPONSES,
    )
    async def chat(body: AiSdkRequest, admitted: Annotated[Authenticated, Depends(admit)]) -> Response:
        context = admitted.context
        async with AsyncExitStack() as stack:
            try:
                # Before a message is stored, so that a refused request has no effect.
                await stack.enter_async_context(context.limits.connection_slot(context.viewer.user_id))
                answer = await begin(context, body)
            except (ExpectedError, RateLimited) as error:
                return refused(error, FIELDS)
            return _stream(admitted, answer, stack.pop_all())

    _add_chat_routes(router, admit)
    return router


def _add_chat_routes(router: APIRouter, admit: Admit) -> None:
    @router.get(
        "/ai-sdk/{id}/stream",
        summary="Receive the answer of a chat that is being written, from its beginning",
        response_class=Response,
        responses=RESPONSES | {204: {"description": "No answer is being written"}},
    )
    async def resume(
        id: str, admitted: Annotated[Authenticated, Depends(admit)], message_id: MessageId = None
    ) -> Response:
        context = admitted.context
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(context.limits.connection_slot(context.viewer.user_id))
            except RateLimited as limited:
                return refused(limited, FIELDS)
            generation = await _generation(context, id, message_id)
            if generation is None:
                return Response(status_code=204)
            return _stream(admitted, Answer(generation), stack.pop_all())

    @router.delete(
        "/ai-sdk/{id}/stream",
        summary="Stop the answer of a chat that is being written",
        status_code=204,
        response_class=Response,
    )
    async def stop_answer(id: str, admitted: Annotated[Authenticated, Depends(admit)]) -> Response:
        generation = await _generation(admitted.context, id)
        if generation is not None:
            await stop(admitted.context, str(generation.id))
        return Response(status_code=204)

    @router.get("/ai-sdk/{id}/messages", summary="The last hundred messages of a chat, as the AI SDK's UI messages")
    async def messages(id: str, admitted: Annotated[Authenticated, Depends(admit)]) -> Response:
        conversation = await _chat(admitted.context, id)
        rows = [] if conversation is None else await history(admitted.context, conversation)
        return JSONResponse(
            {"conversationId": None if conversation is None else str(conversation.id), "messages": rows}
        )


async def _chat(context: Context, id: str) -> AnyConversation | None:
    """Return the conversation of a chat. A chat that has no message yet has none."""
    try:
        return await find_chat(context, check_external_id(id))
    except InvalidInput:
        return None


async def _generation(context: Context, id: str, message_id: str | None = None) -> AnyGeneration | None:
    """Return the running generation of a chat, or that of one of its answers; None if there is none."""
    conversation = await _chat(context, id)
    if conversation is None:
        return None
    answer_id = as_uuid(message_id) if message_id is not None else None
    answer = await context.loaders.generation_of.load(answer_id) if answer_id is not None else None
    if answer is not None and answer.conversation_id == conversation.id:
        return answer
    return await context.loaders.active_in.load(conversation.id)


def _stream(admitted: Authenticated, answer: Answer, slot_stack: AsyncExitStack) -> Response:
    ends = (admitted.context.services.closing.wait, admitted.lapsed)
    response = ResultStream(_chunks(admitted.context, answer, slot_stack), CHUNKS, ends)
    response.headers.update(PROTOCOL)
    return response


async def _chunks(context: Context, answer: Answer, slot_stack: AsyncExitStack) -> AsyncGenerator[bytes]:
    generation = answer.generation
    chunks = AnswerChunks(lambda id: path_of(context, id))
    chunks.skip(answer.known)
    ids = {"conversationId": str(generation.conversation_id), "generationId": str(generation.id)}
    async with slot_stack, aclosing(follow(context, generation.id)) as events:
        yield encode({"type": "start", "messageId": str(generation.message_id), "messageMetadata": ids})
        async for event in events:
            for chunk in chunks.convert(event):
                yield encode(chunk)
            ending = await _end(context, generation, event)
            for chunk in ending:
                yield encode(chunk)
            if isinstance(event, ToolResultsRequired):
                return


async def _end(context: Context, of: AnyGeneration, event: GenerationEvent) -> Sequence[Json]:
    """Return the chunks of the end of an answer, or of the end of a request whose tools the client must run."""
    if isinstance(event, ToolResultsRequired):
        return [{"type": "finish", "finishReason": "tool-calls"}]
    if not isinstance(event, TerminalEvent):
        return []
    generation = await context.loaders.generations.load(of.id)
    files = await generated_file_chunks(context, of.message_id)
    metadata = {} if generation is None else {"messageMetadata": await metadata_of(context, generation)}
    if isinstance(event, GenerationFailed):
        failure = {"type": "error", "errorText": GenerationError.from_json(event.error).message}
        described = [{"type": "message-metadata", **metadata}] if metadata else []
        return [*files, *described, failure, {"type": "finish", "finishReason": "error"}]
    if isinstance(event, GenerationStopped):
        stopped = [{"type": "abort", "reason": "The answer was stopped."}]
        return [*files, *stopped, {"type": "finish", "finishReason": "interrupted", **metadata}]
    stop_reason = generation.stop_reason if generation is not None else None
    return [*files, {"type": "finish", "finishReason": FINISH_REASONS.get(stop_reason or "", "other"), **metadata}]
