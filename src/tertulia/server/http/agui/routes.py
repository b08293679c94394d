"""The routes of AG-UI: runs, and stopping an answer."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Header
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tertulia.ratelimit.errors import RateLimited
from tertulia.resolvers.context import Context
from tertulia.resolvers.errors import ExpectedError, InvalidInput, NotFound
from tertulia.resolvers.send import stop
from tertulia.server.auth.authenticator import Authenticated
from tertulia.server.http.agui.cursor import Cursor, parse_cursor
from tertulia.server.http.agui.projection import Projection
from tertulia.server.http.agui.run_input import RunAgentInput, ToolMessage
from tertulia.server.http.agui.start import Run, begin, follow_answer
from tertulia.server.http.agui.stream import RunStream
from tertulia.server.http.body_limit import limited_route
from tertulia.server.http.problems import problem
from tertulia.server.http.refusals import refused
from tertulia.server.http.rest import ENCODED_EVENTS
from tertulia.server.http.streams import SSE_TYPE, ResultStream

MAX_BODY = 8_000_000
"""Bytes. A client sends the whole thread with each run."""
FIELDS = {
    "text": "messages",
    "systemPrompt": "messages",
    "file": "messages",
    "attachmentIds": "messages",
    "metadata": "messages",
    "tools.client": "tools",
    "conversationId": "threadId",
    "externalId": "threadId",
    "idempotencyKey": "runId",
    "options.model": "forwardedProps.model",
    "assistantId": "forwardedProps.assistantId",
}
"""The names of fields of mutations in a run."""
RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The events of the run", "content": {SSE_TYPE: {"schema": {"type": "string"}}}},
    204: {"description": "The run has no events after `Last-Event-ID`"},
    410: {"description": "The events after `Last-Event-ID` are no longer stored: repeat the run without it"},
}
LastEventId = Annotated[
    str | None,
    Header(
        alias="Last-Event-ID",
        description="The `id` of the last event that the client has. The run then continues after it, and sends "
        "nothing to Claude.",
    ),
]


class Expired(ExpectedError):
    """The events after a cursor are no longer stored."""


def agui_router(admit: Callable[[Request], Awaitable[Authenticated]]) -> APIRouter:
    """Return the routes. `admit` authenticates a request."""
    router = APIRouter(tags=["ag-ui"], route_class=limited_route(MAX_BODY))

    @router.post(
        "/ag-ui",
        summary="Run AG-UI's agent: answer a thread's new messages or tool results, or follow its answer",
        response_class=Response,
        responses=RESPONSES,
    )
    async def run(
        body: RunAgentInput, admitted: Annotated[Authenticated, Depends(admit)], last_event_id: LastEventId = None
    ) -> Response:
        context = admitted.context
        async with AsyncExitStack() as stack:
            try:
                # Before a message is stored, so that a refused request has no effect.
                await stack.enter_async_context(context.limits.connection_slot(context.viewer.user_id))
                if last_event_id is None:
                    stream = RunStream(context, body, await begin(context, body))
                    return _response(admitted, stream.frames(stack.pop_all()))
                cursor = parse_cursor(last_event_id)
                if cursor is None:
                    return _invalid_cursor()
                if cursor.is_end:
                    return Response(status_code=204)
                resumed, projection = await _resumed(context, body, cursor)
                return _response(admitted, RunStream(context, body, resumed).rest(projection, cursor, stack.pop_all()))
            except (ExpectedError, RateLimited) as error:
                return _refused(error)

    @router.delete(
        "/ag-ui/{id}",
        summary="Stop an answer: `id` is `metadata.tertulia.generationId` of RUN_STARTED",
        status_code=204,
        response_class=Response,
    )
    async def stop_run(id: str, admitted: Annotated[Authenticated, Depends(admit)]) -> Response:
        try:
            await stop(admitted.context, id)
        except NotFound as error:
            return _refused(error)
        return Response(status_code=204)

    return router


def _response(admitted: Authenticated, frames: AsyncGenerator[bytes]) -> Response:
    return ResultStream(frames, ENCODED_EVENTS, (admitted.context.services.closing.wait, admitted.lapsed))


async def _resumed(context: Context, body: RunAgentInput, cursor: Cursor) -> tuple[Run, Projection]:
    """Return the run that a cursor continues, and the state of its events there; raise NotFound or Expired."""
    generation = await context.loaders.generations.load(cursor.generation_id)
    if generation is None:
        raise NotFound(str(cursor.generation_id), "run")
    answered = frozenset(message.tool_call_id for message in body.messages if isinstance(message, ToolMessage))
    projection = Projection(str(generation.message_id), answered)
    if cursor.after:
        await _replay(context, generation.id, cursor.after, projection)
    return await follow_answer(context, None, generation), projection


async def _replay(context: Context, generation_id: UUID, last: int, projection: Projection) -> None:
    """Bring the state of the events to that after event `last` of the answer; raise Expired."""
    log = await context.log.read(generation_id)
    if log is None or not log.begins_at_one or log.last_visible < last:
        raise Expired("The events after `Last-Event-ID` are no longer stored. Repeat the run without it.")
    for event in log.events_after(0):
        # Of the last event, a merged delta may have only the beginning: it changes no state.
        if event.sequence > last:
            break
        projection.convert(event)


def _refused(error: ExpectedError | RateLimited) -> JSONResponse:
    if isinstance(error, Expired):
        return problem(410, "EVENTS_EXPIRED", error.message)
    if isinstance(error, InvalidInput):
        error = InvalidInput(error.field.replace(".inputSchema", ".parameters"), error.predicate)
    return refused(error, FIELDS)


def _invalid_cursor() -> JSONResponse:
    message = "`Last-Event-ID` must be the id of an event of the run."
    detail = {"loc": ["header", "Last-Event-ID"], "msg": message, "type": "value_error"}
    return JSONResponse({"detail": [detail]}, 422)
