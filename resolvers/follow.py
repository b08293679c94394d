"""The events of a generation, as a subscription and as a list.

They come from the log. After the log was deleted, the database row replaces them: a snapshot and the last event.
"""

import logging
import re
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from uuid import UUID

from graphql import GRAPHQL_MAX_INT
from opentelemetry import trace

from tertulia.claude.tracing import QUIET, tracer
from tertulia.db import answer_tails, tool_calls
from tertulia.db.errors import AWAY
from tertulia.db.paging import MAX_PAGE, Connection, Page, PageError, connect
from tertulia.db.rows import AnyGeneration, GenerationRow, MessageRow
from tertulia.db.tables import UNFINISHED, Status
from tertulia.generation.retry import retry_while_unavailable
from tertulia.generation.state import terminal_event, tool_results_required
from tertulia.log_lines import log_fields
from tertulia.resolvers.arguments import (
    AfterEvent,
    AfterEvents,
    BeforeEvent,
    BeforeEvents,
    First,
    FirstEvents,
    GenerationId,
    Last,
    LastEvents,
    Resume,
)
from tertulia.resolvers.context import RESTART_SECONDS, Context, Info, as_uuid
from tertulia.resolvers.errors import BadUserInput
from tertulia.resolvers.replay import LogState, Phase, Replay, RowState, SnapshotReason, Source, plan_replay
from tertulia.streams.events import (
    GenerationEvent,
    GenerationSteered,
    GenerationStopped,
    TerminalEvent,
    ToolResultsRequired,
    fold,
)
from tertulia.streams.stream import Follower, Push, Stream

logger = logging.getLogger("tertulia.follow")
NOT_FOUND = "is not the id of a generation."
DELETED = "is the id of a generation whose conversation was deleted."


@dataclass(slots=True)
class MessageSnapshot(GenerationEvent):
    """The answer as written up to `sequence`."""

    message: MessageRow
    reason: SnapshotReason | None = None


@dataclass(frozen=True, slots=True)
class EventStream:
    """The events of a generation, for one follower."""

    context: Context
    generation_id: str
    after: int | None

    def __aiter__(self) -> AsyncGenerator[GenerationEvent]:
        return self.follow()

    def follow(self, push: Push | None = None) -> AsyncGenerator[GenerationEvent]:
        """Yield the events that `push` does not deliver, as `follow_after` does."""
        return follow_after(self.context, self.generation_id, self.after, push)


def generation_events(info: Info, generation_id: GenerationId, after: Resume = None) -> EventStream:
    """Subscribe to the events of one generation, before it starts, while Claude writes, or after its end.

    Without `after`, the stream begins with a `MessageSnapshot` of everything written so far. With `after`, it sends
    exactly the events after that number. If these are no longer stored, if the generation has no event with that
    number, or if it is the number of the terminal event, a snapshot with a `reason` replaces what the client has. The
    stream completes after the terminal event. Any number of clients can subscribe, and a client that disconnects does
    not stop the generation.

    Fails with the code BAD_USER_INPUT if the generation does not exist. Fails with the code RATE_LIMITED if the server
    has too many subscriptions: by default 20,000, and 100 on one socket.
    """
    return EventStream(info.context, generation_id, after)


async def follow_after(
    context: Context, generation_id: str, after: int | None, push: Push | None = None
) -> AsyncGenerator[GenerationEvent]:
    """Yield the events of one of the viewer's generations, within the server's limit on subscriptions.

    Args:
        context: The viewer's context.
        generation_id: The id of the generation, from the client.
        after: The sequence of the last event that the client has; None to begin with a snapshot.
        push: Delivers events as they are appended. Events that it delivers are not yielded.

    Raises:
        BadUserInput: The viewer has no such generation.
        GraphQLError: The server has too many subscriptions.
    """
    rows = _Rows(
        *await retry_while_unavailable(context.database, lambda: _owned_rows(context, generation_id), RESTART_SECONDS)
    )
    with context.services.subscriptions.slot(ends=True):
        async with aclosing(_follow(context, rows, after, push)) as followed:
            # Many followers wait for a long time, and must not keep rows and events in memory meanwhile.
            del rows
            async for event in followed:
                yield event
                del event


@dataclass(frozen=True, slots=True)
class _Rows:
    """A generation and its answer, read together."""

    generation: GenerationRow
    message: MessageRow

    @property
    def state(self) -> RowState:
        match self.generation.status:
            case Status.AWAITING_TOOL_RESULTS if self.generation.tools_expire_at is not None:
                return RowState(self.generation.sequence, Phase.WAITING)
            case status if status in UNFINISHED:
                return RowState(self.generation.sequence)
            case _:
                # A generation that ended before its first event still has a terminal event.
                return RowState(max(self.generation.sequence, 1), Phase.ENDED)


@dataclass(frozen=True, slots=True)
class _Beginning:
    """The beginning of a stream: first `events`, then those of `log`, if any, with a sequence greater than `after`."""

    events: list[GenerationEvent]
    after: int
    log: Stream | None

    @property
    def ended(self) -> bool:
        return bool(self.events) and isinstance(self.events[-1], TerminalEvent)


async def follow(context: Context, generation_id: UUID, after: int | None = None) -> AsyncGenerator[GenerationEvent]:
    """Yield a snapshot, or the events after the number `after`, then all events until the terminal event."""
    rows = await _read(context, generation_id)
    async with aclosing(_follow(context, rows, after)) as followed:
        async for event in followed:
            yield event


async def _follow(
    context: Context, rows: _Rows, after: int | None, push: Push | None = None
) -> AsyncGenerator[GenerationEvent]:
    generation_id = rows.generation.id
    follower = Follower(0 if after is None else after, push)
    with _span(rows.generation.conversation_id, generation_id, follower) as span:
        # The span is current only during this call. If it were still current at a `yield`, it would also be current
        # in the consumer.
        with trace.use_span(span, **QUIET):
            beginning = await _begin(context, rows, after)
        mode = _mode(beginning.events)
        span.set_attribute("tertulia.follow.how", mode)
        context.services.observer.on_follow(mode)
        log_fields(logger, logging.DEBUG, "Followed", generation_id=generation_id, how=mode, after=after)
        ended, events = beginning.ended, beginning.events[::-1]
        del rows, beginning
        while events:
            follower.after = events[-1].sequence
            yield events.pop()
        context.renew_loaders()
        while not ended:
            async with aclosing(context.log.follow(generation_id, follower)) as batches:
                async for batch in batches:
                    # An empty batch is a request to read the row: the log is unavailable, or another process may have
                    # ended the generation.
                    for event in batch or await _new_events(context, generation_id, follower.after):
                        follower.after = event.sequence
                        yield event
                        ended = isinstance(event, TerminalEvent)
                        del event
                    if ended:
                        return
                    del batch


@contextmanager
def _span(conversation_id: UUID, generation_id: UUID, follower: Follower) -> Generator[trace.Span]:
    """Open the span of a follower, which ends with the last event or when the client disconnects."""
    span = tracer.start_span("follow")
    if span.is_recording():
        span.set_attribute("gen_ai.conversation.id", str(conversation_id))
        span.set_attribute("tertulia.generation.id", str(generation_id))
        span.set_attribute("tertulia.follow.after", follower.after)
    try:
        yield span
    finally:
        span.set_attribute("tertulia.follow.sequence", follower.after)
        span.end()


def _mode(beginning: Sequence[GenerationEvent]) -> str:
    first = beginning[0] if beginning else None
    if not isinstance(first, MessageSnapshot):
        return "resumed"
    return "snapshot" if first.reason is None else first.reason.value


async def _begin(context: Context, rows: _Rows, after: int | None, *, waited: bool = False) -> _Beginning:
    """Return the beginning of a stream: read the log and the row, and plan the replay.

    Args:
        context: The viewer's context.
        rows: The generation and its answer, read before the log.
        after: The sequence of the last event that the client has; None to begin with a snapshot.
        waited: Whether the log has had time to receive the events that the row already includes.
    """
    stream = await context.log.read(rows.generation.id)
    newest = stream.newest if stream else None
    if stream is None or isinstance(newest, TerminalEvent | ToolResultsRequired):
        # Read the row again: reading the log may have taken seconds, and the end of a generation, or its wait for
        # tool results, is written to the row before the log.
        rows = await _read(context, rows.generation.id)
    log_state = LogState(stream.last_visible, stream.is_over) if stream else None
    replay = plan_replay(after, log_state, rows.state, waited=waited)
    message = rows.message
    if replay.snapshot is Source.LOG and stream:
        # Nothing was awaited since `log_state` was computed, so its sequence matches the text of the log.
        message = message._replace(content=fold(stream.events_after(0)))
    events: list[GenerationEvent] = []
    if replay.snapshot is not None:
        events.append(MessageSnapshot(rows.generation.id, replay.after, message, replay.reason))
    if replay.row_event:
        events.append(await _last_event(context, rows))
    return _Beginning(events, events[-1].sequence if events else replay.after, stream)


async def _new_events(context: Context, generation_id: UUID, last_sequence: int) -> list[GenerationEvent]:
    """Return the events after `last_sequence`, after an empty batch.

    They come from the row of an ended generation, or from the log of a process that has taken over the generation. If
    the row has no newer events either, the list is empty.
    """
    try:
        rows = await _read(context, generation_id)
    except AWAY:
        # The generation continues without the database, and so do its followers.
        return []
    except BadUserInput:
        # It was stopped and deleted before this follower could read the terminal event.
        return [GenerationStopped(generation_id, last_sequence + 1)]
    if plan_replay(last_sequence, LogState(last_sequence), rows.state, waited=True) == Replay(last_sequence):
        return []
    beginning = await _begin(context, rows, last_sequence, waited=True)
    return beginning.events or (beginning.log.events_after(last_sequence) if beginning.log else [])


async def _read(context: Context, generation_id: UUID) -> _Rows:
    """Return the rows with the sequence and the content of the last checkpoint."""
    generation_and_answer = await context.read_with_answer(generation_id)
    if generation_and_answer is None:
        raise BadUserInput("generationId", DELETED)
    generation, message = generation_and_answer
    if generation.status is Status.RUNNING:
        async with context.read() as session:
            saved = await answer_tails.find(session, generation_id)
        if saved is not None:
            generation = generation._replace(sequence=saved.sequence)
            message = message._replace(content=saved.content)
    return _Rows(generation, message)


async def events(
    info: Info,
    root: AnyGeneration,
    after: AfterEvents = None,
    first: FirstEvents = None,
    last: LastEvents = None,
    before: BeforeEvents = None,
) -> Connection[GenerationEvent]:
    """The generation's events as a list, for clients that poll. They have the same numbers as in `generationEvents`.

    A page has at most 100 events. If the requested events are no longer stored, or if `after` is the number of no event
    or of the terminal event, the page begins with a `MessageSnapshot` that has a `reason`. `after` and `before` are
    numbers; `eventLog` accepts cursors instead.
    """
    size = MAX_PAGE if first is None and last is None else first
    page = Page(size, str(after) if after else None, last, None if before is None else str(before))
    return await _event_page(info.context, root, page, after or 0, before)


async def event_log(
    info: Info,
    root: AnyGeneration,
    first: First = None,
    after: AfterEvent = None,
    last: Last = None,
    before: BeforeEvent = None,
) -> Connection[GenerationEvent]:
    """The same list as `events` with the arguments of other connections, for Relay's `@connection`.

    A page has at most 100 events, and 50 by default. If the requested events are no longer stored, the page begins with
    a `MessageSnapshot` that has a `reason`, as in `events`.
    """
    page = Page(first, after, last, before)
    sequences = (_sequence("after", after), _sequence("before", before))
    return await _event_page(info.context, root, page, sequences[0] or 0, sequences[1])


def _sequence(argument: str, cursor: str | None) -> int | None:
    """Return the sequence that a cursor of `eventLog` names; raise PageError for anything but a GraphQL Int."""
    if cursor is None:
        return None
    if not re.fullmatch(r"[0-9]{1,10}", cursor) or int(cursor) > GRAPHQL_MAX_INT:
        raise PageError(argument, "is not a cursor of this list.")
    return int(cursor)


async def _event_page(
    context: Context, root: AnyGeneration, page: Page, after: int, before: int | None
) -> Connection[GenerationEvent]:
    beginning = await _begin(context, await _read(context, root.id), after, waited=True)
    page_events = [
        *beginning.events,
        *(beginning.log.iter_events(beginning.after) if beginning.log and not beginning.ended else ()),
    ]
    if before is not None:
        # A snapshot is kept even if its sequence is higher than `before`: it replaces all events up to its sequence,
        # including the requested ones.
        page_events = [event for event in page_events if event.sequence < before or isinstance(event, MessageSnapshot)]
    return connect(page_events[::-1] if page.backward else page_events, page, lambda event: str(event.sequence))


async def _owned_rows(context: Context, generation_id: str) -> tuple[GenerationRow, MessageRow]:
    uuid = as_uuid(generation_id)
    generation_and_answer = await context.read_with_answer(uuid) if uuid else None
    if generation_and_answer is None:
        raise BadUserInput("generationId", NOT_FOUND)
    return generation_and_answer


async def _last_event(context: Context, rows: _Rows) -> GenerationEvent:
    """Return the last event of a generation that has ended or waits for the client, from its row."""
    generation = rows.generation
    if rows.state.phase is Phase.WAITING:
        async with context.read() as session:
            calls = await tool_calls.of_generation(session, generation.id)
        if (required := tool_results_required(generation, rows.message.content, calls)) is not None:
            return required
    return terminal_event(generation.id, rows.state.sequence, generation.status, generation.error)


async def event_generation(info: Info, root: GenerationEvent) -> GenerationRow:
    """The generation in its current state."""
    generation = await info.context.loaders.generations.load(root.generation_id)
    if generation is None:
        raise BadUserInput("generationId", DELETED)
    return generation


async def steered_by(info: Info, root: GenerationSteered) -> GenerationRow | None:
    """The generation that answers the message. Null if it was deleted."""
    return await info.context.loaders.generations.load(root.steered_by)
