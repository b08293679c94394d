"""Following an answer: the subscription and its list, from memory while the log lives, from the row afterwards."""

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from opentelemetry import trace

from claude.spans import QUIET, tracer
from db import tool_calls
from db.paging import MAX_PAGE, Connection, Edge, PageError, PageInfo
from db.tables import UNFINISHED, Generation, Message, Status
from db.tool_calls import CallStatus
from resolvers.arguments import AfterEvents, FirstEvents, GenerationId, Resume
from resolvers.context import Context, Info, as_uuid
from resolvers.errors import BadUserInput
from streams.events import (
    GenerationCompleted,
    GenerationEvent,
    GenerationFailed,
    GenerationStopped,
    TerminalEvent,
    ToolResultsRequired,
    fold,
)
from streams.stream import Follower

NOT_FOUND = "there is no generation with this id."


class SnapshotReason(StrEnum):
    """Why a snapshot stands in for events that were asked for."""

    EXPIRED = "expired"
    UNKNOWN_SEQUENCE = "unknown_sequence"


@dataclass(slots=True)
class MessageSnapshot(GenerationEvent):
    """All that is written up to `sequence`."""

    message: Message
    reason: SnapshotReason | None = None


async def generation_events(
    info: Info, generation_id: GenerationId, after: Resume = None
) -> AsyncGenerator[GenerationEvent]:
    """The token stream of one answer: before the first token, midway or after the end, for any number of listeners.

    Without `after` it begins with a `MessageSnapshot` of all that is written; with it, exactly the events behind that
    number follow. Where they are no longer kept, a snapshot says why. It completes behind the one terminal event, and
    who leaves never stops the answer.

    It fails with the code BAD_USER_INPUT where there is no such answer, and RATE_LIMITED where the server follows as
    many as it can (20,000, and 100 on one socket, unless it says otherwise).
    """
    context = info.context
    generation, answer = await _mine(context, generation_id)
    with context.services.subscriptions.one(ends=True):
        async with aclosing(follow(context, generation, after, answer)) as followed:
            async for event in followed:
                yield event


async def follow(
    context: Context, generation: Generation, after: int | None, answer: Message | None = None
) -> AsyncGenerator[GenerationEvent]:
    """Give a snapshot first where `after` is none or cannot be served, then all that is behind it, to the end.

    `answer`: its message, where the caller has it.
    """
    follower = Follower(0 if after is None else after, context.push)
    with _traced(generation, follower) as span:
        # Not for longer: what a generator attaches its reader would have too.
        with trace.use_span(span, **QUIET):
            beginning, ended = await _beginning(context, generation, after, answer)
        how = _how(beginning)
        span.set_attribute("tertulia.follow.how", how)
        context.services.watch.followed(how)
        for event in beginning:
            follower.after = event.sequence
            yield event
        while not ended:
            async with aclosing(context.log.follow(generation.id, follower)) as batches:
                async for batch in batches:
                    # Silence: another process may have ended it without a word, or the log cannot be reached.
                    fresh, ended = (batch, False) if batch else await _news(context, generation.id, follower.after)
                    for event in fresh:
                        yield event
                    if fresh:
                        follower.after = fresh[-1].sequence
                    if ended or (fresh and isinstance(fresh[-1], TerminalEvent)):
                        return


@contextmanager
def _traced(generation: Generation, follower: Follower) -> Generator[trace.Span]:
    """Open the span of one who follows, from the first event to the last, or until they leave."""
    ids: dict[str, str | int] = {
        "gen_ai.conversation.id": str(generation.conversation_id),
        "tertulia.generation.id": str(generation.id),
        "tertulia.follow.after": follower.after,
    }
    span = tracer.start_span("follow", attributes=ids)
    try:
        yield span
    finally:
        span.set_attribute("tertulia.follow.sequence", follower.after)
        span.end()


def _how(beginning: Sequence[GenerationEvent]) -> str:
    first = beginning[0] if beginning else None
    if not isinstance(first, MessageSnapshot):
        return "resumed"
    return "snapshot" if first.reason is None else first.reason.value


async def _beginning(
    context: Context, generation: Generation, after: int | None, answer: Message | None = None
) -> tuple[Sequence[GenerationEvent], bool]:
    """Give what stands before the live events: nothing, or a snapshot; and whether that is all there will be."""
    written = await context.log.read(generation.id)
    if written is None:
        return await _from_row(context, generation.id, after)
    if after is not None and 0 <= after <= written.shown:
        return [], written.over and after == written.shown
    seen = written.behind(0)
    # While this waits, the log goes on: what was seen and its number belong together.
    shown, content = written.shown, fold(seen)
    # What ends the answer, or says what it waits for still, is no part of a snapshot: it always comes by itself, last.
    last = seen[-1] if seen else None
    waits = isinstance(last, ToolResultsRequired) and await _waits(context, generation)
    sequence = shown - (isinstance(last, TerminalEvent) or waits)
    reason = None if after is None else SnapshotReason.UNKNOWN_SEQUENCE
    message = answer or await context.loaders.messages.load(generation.message_id)
    if message is None:
        raise BadUserInput("generationId", NOT_FOUND)
    # The row is as old as its last checkpoint; the log is what was really sent.
    return [MessageSnapshot(generation.id, sequence, message.model_copy(update={"content": content}), reason)], False


async def _waits(context: Context, generation: Generation) -> bool:
    """Say whether an answer waits for the client still; a row that was read before its log may not know it yet."""
    if generation.status is Status.AWAITING_TOOL_RESULTS:
        return True
    now = await context.loaders.generations.load(generation.id)
    return now is not None and now.status is Status.AWAITING_TOOL_RESULTS


async def _news(context: Context, generation_id: UUID, seen: int) -> tuple[Sequence[GenerationEvent], bool]:
    """Look into the row: what it has that was not seen, and whether that is all there will be."""
    found = await context.loaders.with_answers.load(generation_id)
    if found is None:
        raise BadUserInput("generationId", "the conversation was deleted.")
    generation, message = found
    if generation.status not in UNFINISHED:
        return _ended(generation, message, seen), True
    return await _standing(context, generation, message, seen) if generation.sequence > seen else [], False


async def events(
    info: Info, root: Generation, after: AfterEvents = None, first: FirstEvents = None
) -> Connection[GenerationEvent]:
    """The stream's events as a list, for those who must poll: the same numbers as `generationEvents`.

    At most 100 a page. Where the log is gone or `after` is unknown, a `MessageSnapshot` that says why stands first.
    """
    size = MAX_PAGE if first is None else first
    if not 0 <= size <= MAX_PAGE:
        raise PageError("first", f"takes 0 to {MAX_PAGE}, not {size}")
    found = await _listed(info.context, root, after)
    edges = [Edge(str(event.sequence), event) for event in found[:size]]
    ends = (edges[0].cursor, edges[-1].cursor) if edges else (None, None)
    return Connection(edges, PageInfo(len(found) > size, bool(after), *ends))


async def _listed(context: Context, root: Generation, after: int | None) -> Sequence[GenerationEvent]:
    begun = after or 0
    first, _ = await _beginning(context, root, begun)
    written = await context.log.read(root.id)
    behind = written.each(first[-1].sequence if first else begun) if written else ()
    return [*first, *behind]


async def _mine(context: Context, generation_id: str) -> tuple[Generation, Message]:
    wanted = as_uuid(generation_id)
    found = await context.loaders.with_answers.load(wanted) if wanted else None
    if found is None:
        raise BadUserInput("generationId", NOT_FOUND)
    return found


async def _from_row(context: Context, generation_id: UUID, after: int | None) -> tuple[Sequence[GenerationEvent], bool]:
    """Serve an answer whose log is gone, or not to be reached: a snapshot that says so, and the end if it has one."""
    found = await context.loaders.with_answers.load(generation_id)
    if found is None:
        raise BadUserInput("generationId", NOT_FOUND)
    generation, message = found
    if generation.status not in UNFINISHED:
        return _ended(generation, message, after), True
    if after is not None and after == generation.sequence:
        return [], False
    reason = None
    if after is not None:
        reason = SnapshotReason.EXPIRED if 0 <= after < generation.sequence else SnapshotReason.UNKNOWN_SEQUENCE
    return await _standing(context, generation, message, after, reason), False


async def _standing(
    context: Context,
    generation: Generation,
    message: Message,
    after: int | None,
    reason: SnapshotReason | None = None,
) -> list[GenerationEvent]:
    """Give what a row says of an answer that goes on; what it waits for comes by itself, as in its log."""
    required = None
    if generation.status is Status.AWAITING_TOOL_RESULTS and generation.tools_expire_at is not None:
        async with context.read() as session:
            calls = await tool_calls.of_generation(session, generation.id)
        waits = {id: call for id, call in calls.items() if call.status is CallStatus.WAITING}
        uses = {index: block for index, block in enumerate(message.content) if block.get("id") in waits}
        approvals = [index for index, block in uses.items() if waits[block["id"]].asks_first]
        required = ToolResultsRequired(generation.id, generation.sequence, uses, approvals, generation.tools_expire_at)
        if after == generation.sequence - 1:
            return [required]
    sequence = generation.sequence - (required is not None)
    snapshot = MessageSnapshot(generation.id, sequence, message, reason)
    return [snapshot] if required is None else [snapshot, required]


def _ended(generation: Generation, message: Message, after: int | None) -> list[GenerationEvent]:
    terminal = _terminal(generation)
    if after == terminal.sequence:
        return []
    if after == terminal.sequence - 1:
        return [terminal]
    return [_row_snapshot(terminal, message, after), terminal]


def _row_snapshot(terminal: TerminalEvent, message: Message, after: int | None) -> MessageSnapshot:
    reason = None
    if after is not None:
        known = 0 <= after < terminal.sequence
        reason = SnapshotReason.EXPIRED if known else SnapshotReason.UNKNOWN_SEQUENCE
    return MessageSnapshot(terminal.generation_id, terminal.sequence - 1, message, reason)


def _terminal(generation: Generation) -> TerminalEvent:
    sequence = max(generation.sequence, 1)
    if generation.status is Status.COMPLETED:
        return GenerationCompleted(generation.id, sequence)
    if generation.status is Status.STOPPED:
        return GenerationStopped(generation.id, sequence)
    return GenerationFailed(generation.id, sequence, generation.error or {})


async def event_generation(info: Info, root: GenerationEvent) -> Generation | None:
    """The generation as it is now."""
    return await info.context.loaders.generations.load(root.generation_id)
