"""The events of a run as server-sent events: RUN_STARTED, those of the answer, and RUN_FINISHED or RUN_ERROR."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from uuid import UUID

from tertulia.claude.errors import GenerationError
from tertulia.db import branches, tool_calls
from tertulia.db.paging import MAX_PAGE, Page
from tertulia.db.rows import AnyGeneration, MessageRow
from tertulia.db.tool_calls import CallStatus
from tertulia.json import Json, encode
from tertulia.resolvers.context import Context
from tertulia.resolvers.errors import BadUserInput
from tertulia.resolvers.follow import MessageSnapshot, follow
from tertulia.resolvers.messages import refusal, usage
from tertulia.server.http.agui.cursor import Cursor
from tertulia.server.http.agui.messages import arguments_of, of_answer, of_rows
from tertulia.server.http.agui.projection import Projection, custom
from tertulia.server.http.agui.run_input import RunAgentInput
from tertulia.server.http.agui.start import Run
from tertulia.streams.events import (
    GenerationEvent,
    GenerationFailed,
    GenerationStopped,
    TerminalEvent,
    ToolResultsRequired,
)

PROTOCOL_VERSION = "1.0"
OWN_DATA = "tertulia"
"""The key of Tertulia's own data in the metadata of events."""
ANSWER_SCHEMA: Json = {
    "type": "object",
    "properties": {"approved": {"type": "boolean"}, "reason": {"type": "string"}},
    "required": ["approved"],
}
"""The payload with which a client answers an interrupt."""


MAX_SHOWN = 1_000
"""Characters of a call's input in the text that asks the user."""


class RunStream:
    """The response to one run."""

    def __init__(self, context: Context, input: RunAgentInput, run: Run) -> None:
        """Create the response; nothing is read before it is iterated."""
        self._context = context
        self._run = run
        self._ids = {"threadId": input.thread_id, "runId": input.run_id}

    async def frames(self, slots: AsyncExitStack) -> AsyncGenerator[bytes]:
        """Yield the run from its beginning. `slots` is closed at the end."""
        run, generation = self._run, self._run.generation
        async with slots:
            if generation is None:
                yield _frame(self._started())
                if run.conversation is not None:
                    yield _frame(await self._thread_snapshot(run.conversation.active_leaf_id))
                yield _frame({"type": "RUN_FINISHED", **self._ids, "outcome": {"type": "success"}})
                return
            cursor = Cursor(generation.id, run.after)
            projection = Projection(str(generation.message_id), run.answered)
            projection.restore(run.known)
            yield _frame(self._started(), cursor)
            async with aclosing(self._answer(generation, projection, cursor)) as frames:
                async for frame in frames:
                    yield frame

    async def rest(self, projection: Projection, cursor: Cursor, slots: AsyncExitStack) -> AsyncGenerator[bytes]:
        """Yield the events after a cursor. `projection` has the state there."""
        generation = self._run.generation
        async with slots:
            if generation is not None:
                async with aclosing(self._answer(generation, projection, cursor)) as frames:
                    async for frame in frames:
                        yield frame

    async def _answer(self, generation: AnyGeneration, projection: Projection, cursor: Cursor) -> AsyncGenerator[bytes]:
        skip = cursor.skip
        try:
            async with aclosing(follow(self._context, generation.id, cursor.after)) as events:
                async for event in events:
                    converted = await self._convert(projection, event)
                    for frame in _framed(converted, event, cursor)[skip:]:
                        yield frame
                    skip = 0
                    if isinstance(event, TerminalEvent | ToolResultsRequired):
                        return
        except BadUserInput as deleted:
            yield _frame({"type": "RUN_ERROR", "message": str(deleted.message), "code": "NOT_FOUND"})

    async def _convert(self, projection: Projection, event: GenerationEvent) -> list[Json]:
        match event:
            case MessageSnapshot():
                snapshot = await self._thread_snapshot(event.message.id, event.message)
                return [*projection.close(), snapshot, *projection.restore(event.message.content)]
            case TerminalEvent():
                return [*projection.convert(event), *await self._end(event)]
            case ToolResultsRequired():
                return [*projection.convert(event), await self._wait(event)]
            case _:
                return projection.convert(event)

    def _started(self) -> Json:
        generation = self._run.generation
        started = {"type": "RUN_STARTED", **self._ids, "protocolVersion": PROTOCOL_VERSION}
        if generation is None:
            return started
        own = {"conversationId": generation.conversation_id, "generationId": generation.id}
        own |= {"messageId": generation.message_id}
        return {**started, "metadata": {OWN_DATA: {name: str(id) for name, id in own.items()}}}

    async def _thread_snapshot(self, leaf_id: UUID | None, answer: MessageRow | None = None) -> Json:
        """Return the last messages of the branch that ends with a message; `answer` is that message as it is now."""
        context = self._context
        async with context.read() as session:
            page = await branches.page(session, context.viewer.user_id, leaf_id, Page(last=MAX_PAGE))
        rows = [edge.node for edge in page.edges if answer is None or edge.node.id != answer.id]
        messages = of_rows(rows, context.path("/attachments"))
        if answer is not None:
            messages += of_answer(str(answer.id), answer.content, is_running=True)
        return {"type": "MESSAGES_SNAPSHOT", "messages": messages}

    async def _end(self, event: TerminalEvent) -> list[Json]:
        """Return the events at the end of an answer."""
        generation = await self._context.loaders.generations.load(event.generation_id)
        used = self._usage(generation) if generation is not None else {}
        if isinstance(event, GenerationFailed):
            error = GenerationError.from_json(event.error)
            return [{"type": "RUN_ERROR", "message": error.message, "code": error.code.name, **used}]
        declined = refusal(generation) if generation is not None else None
        extra = (
            [custom("refusal", {"category": declined.category, "explanation": declined.explanation})]
            if declined
            else []
        )
        finished = {"type": "RUN_FINISHED", **self._ids, **used}
        if isinstance(event, GenerationStopped):
            return [*extra, {**finished, "outcome": {"type": "cancelled"}}]
        result = {"stopReason": generation.stop_reason} if generation is not None else {}
        return [*extra, {**finished, "outcome": {"type": "success"}, "result": result}]

    async def _wait(self, event: ToolResultsRequired) -> Json:
        """Return the end of a run whose answer waits for the client or the user."""
        async with self._context.read() as session:
            calls = await tool_calls.of_generation(session, event.generation_id)
        waiting = {id for id, call in calls.items() if call.status is CallStatus.WAITING}
        uses = {index: use for index, use in event.tool_uses.items() if use["id"] in waiting} or event.tool_uses
        interrupts = [_interrupt(use, event) for index, use in uses.items() if index in event.approvals]
        outcome: Json = {"type": "interrupt", "interrupts": interrupts}
        if not interrupts:
            outcome = {"type": "success", "pendingToolCallIds": [use["id"] for use in uses.values()]}
        generation = await self._context.loaders.generations.load(event.generation_id)
        used = self._usage(generation) if generation is not None else {}
        return {"type": "RUN_FINISHED", **self._ids, **used, "outcome": outcome}

    def _usage(self, generation: AnyGeneration) -> Json:
        """Return the usage of this run: that of the answer, without what earlier runs have reported."""
        total, before = usage(generation), self._run.reported
        if total is None:
            return {}
        cost = {} if total.cost_usd is None else {"metadata": {OWN_DATA: {"costUsd": str(total.cost_usd)}}}
        if before is None:
            return cost
        read = total.cache_read_tokens - before.cache_read_tokens
        written = total.cache_write_tokens - before.cache_write_tokens
        received = total.input_tokens - before.input_tokens + read + written
        output = total.output_tokens - before.output_tokens
        counts = {"inputTokens": received, "outputTokens": output, "totalTokens": received + output}
        parts = {"cachedInputTokens": read, "cacheWriteInputTokens": written}
        return {"usage": [{"provider": "anthropic", "model": generation.model, **counts, **parts}], **cost}


def _interrupt(use: Json, event: ToolResultsRequired) -> Json:
    return {
        "id": use["id"],
        "reason": "tool_call",
        "message": f"Allow Claude to call {use['name']} with {arguments_of(use)[:MAX_SHOWN]}?",
        "toolCallId": use["id"],
        "responseSchema": ANSWER_SCHEMA,
        "expiresAt": event.expires_at.isoformat(),
    }


def _framed(converted: list[Json], event: GenerationEvent, cursor: Cursor) -> list[bytes]:
    """Encode the events for one event of the answer, each with its id."""
    is_end = isinstance(event, TerminalEvent | ToolResultsRequired)
    last = Cursor(cursor.generation_id, event.sequence, is_end=is_end)
    # The event before is not a part of a merged one: only single events of AG-UI have merged events of the answer.
    before = None if isinstance(event, MessageSnapshot) else event.sequence - 1
    positions = [replace(last, after=before, skip=number + 1, is_end=False) for number in range(len(converted) - 1)]
    if before is None:
        positions = [replace(position, skip=0) for position in positions]
    return [_frame(item, id) for item, id in zip(converted, [*positions, last], strict=False)]


def _frame(event: Json, id: Cursor | None = None) -> bytes:
    line = b"" if id is None else b"id: %b\n" % str(id).encode()
    return b"%bdata: %b\n\n" % (line, encode(event))
