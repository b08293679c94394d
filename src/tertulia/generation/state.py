"""The state of a generation that this process runs, and how it ends. This module does no I/O."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from uuid import UUID

from tertulia.backoff import Backoff
from tertulia.claude.attempts import Attempt
from tertulia.claude.errors import INTERRUPTED, ErrorCode, GenerationError, describe, request_errors
from tertulia.db.answer_tails import tail_of
from tertulia.db.progress import Progress, TailProgress
from tertulia.db.rows import AnyGeneration
from tertulia.db.tables import Status, now
from tertulia.db.tool_calls import ToolCall
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.generation.input import GenerationInput
from tertulia.generation.observer import End
from tertulia.generation.request import MessagesRequest
from tertulia.json import Json, dumps
from tertulia.streams.events import (
    GenerationCompleted,
    GenerationFailed,
    GenerationStopped,
    TerminalEvent,
    ToolResultsRequired,
)
from tertulia.streams.lease import Lease

CANCEL_SECONDS = 3.0
"""The seconds that a cancelled task has to end, because a tool may ignore its cancellation."""
SIZE_PER_CHECKPOINT = 16 * 1024
"""The characters that a checkpoint saves of an answer, on average: after a content of n times as many, n checkpoints
save only what is new, so that the bytes written grow with the time and not with its square."""
EXPIRED = GenerationError(
    ErrorCode.TIMEOUT, "The tool results were not submitted in time. The text written until then is kept."
)

logger = logging.getLogger("tertulia.generator")


class Ending(Enum):
    """Why a generation's task was cancelled."""

    STOPPED = auto()
    INTERRUPTED = auto()
    EXPIRED = auto()
    LOST = auto()
    RELEASED = auto()
    """The process is shutting down, and another one, or the next start, continues the answer."""


class Suspended(Exception):
    """The generation waits for tool results of the client, or for the user's approval of calls."""

    def __init__(self, tool_uses: dict[int, Json], approvals: list[int], expires_at: datetime) -> None:
        """Initialize with the pending calls by block index, the indexes of calls to approve, and the deadline."""
        super().__init__("The generation waits for tool results.")
        self.tool_uses, self.approvals, self.expires_at = tool_uses, approvals, expires_at


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of a generation, and its conversation.

    `name` is the one in the owner's row. `subject` is the owner's id at the identity provider or in the application.
    """

    id: UUID
    name: str
    conversation_id: UUID
    subject: str | None = None


@dataclass(slots=True)
class Base:
    """The content of a long answer as it was saved completely. Until the next time, checkpoints save what follows it.

    Attributes:
        sequence: The last event of the content.
        content: The content.
        tokens: The tokens that Claude had reported. If there are others, the answer is saved completely.
        checkpoints: The number of checkpoints that may still save only what follows.
        room: The number of characters that they may still write.
        is_saved: Whether the content is saved.
    """

    sequence: int
    content: Sequence[Json]
    tokens: int
    checkpoints: int
    room: int
    is_saved: bool = False


@dataclass(slots=True)
class ActiveGeneration:
    """The state of a generation whose lease this process holds.

    Attributes:
        answer: The content so far.
        lease: The lease on this process's own clock.
        work: The input. It is read from the rows if it is None, and is dropped when the task starts.
        owner: The owner; None until the input is read.
        message_id: The message that is written; None until the input is read.
        model: The model's id; None until the input is read.
        request: The request to Claude; None until it is built.
        failed: The failed API calls of this round.
        allowance: The maximum cost of the answer, in units; None without a budget.
        started_at: When this process started the task.
        first_token_at: When Claude's first event arrived, in whichever process.
        saved: The sequence up to which the content is saved.
        base: The content to which the next checkpoints may add; None if the next one saves the whole content.
        trace: The `traceparent` of the span of the task; None if it is not recorded.
        ending: Why the task was cancelled, if it was.
        steered_by: The queued generation whose message ends the answer after a round of tools, if there is one.
        suspended: Whether the generation waits for tool results, without a process.
        lost: Whether the lease was lost or released.
        may_continue: Whether the answer is continued if it is interrupted.
        backoff: The delays before the answer is continued; None before the first one.
        join_timer: Ends the time for which the beginning of a continuation is held back; None if nothing is.
        has_lost_request: Whether another process has sent a request of whose response nothing was saved.
        interruption: What interrupted the answer in another process, if Claude must be asked to continue it.
        begun_at: When the answer began, in whichever process.
        renewed: Is set whenever the checkpoint renews the lease.
        abandoned: Is resolved if the task ignores its cancellation.
        writing: The task that writes the answer.
        finalizing: The task that waits for `writing` and then saves the end.
    """

    answer: AnswerAccumulator
    lease: Lease
    work: GenerationInput | None = None
    owner: Owner | None = None
    message_id: UUID | None = None
    model: str | None = None
    request: MessagesRequest | None = None
    failed: list[Attempt] = field(default_factory=list[Attempt])
    allowance: int | None = None
    started_at: datetime = field(default_factory=now)
    first_token_at: datetime | None = None
    saved: int = 0
    base: Base | None = None
    trace: str | None = None
    ending: Ending | None = None
    steered_by: UUID | None = None
    suspended: bool = False
    lost: bool = False
    may_continue: bool = False
    has_lost_request: bool = False
    interruption: GenerationError | None = None
    backoff: Backoff | None = None
    join_timer: asyncio.TimerHandle | None = None
    begun_at: datetime = field(default_factory=now)
    renewed: asyncio.Event = field(default_factory=asyncio.Event)
    abandoned: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    writing: asyncio.Task[None] = field(init=False)
    finalizing: asyncio.Task[None] = field(init=False)

    @property
    def generation_id(self) -> UUID:
        """The generation's id."""
        return self.answer.generation_id

    @property
    def ended_by_message(self) -> UUID | None:
        """The generation whose message has ended the answer, after its task has ended; None if it ended otherwise."""
        if self.ending is not None or self.writing.cancelled() or self.writing.exception() is not None:
            return None
        return self.steered_by

    async def may_write(self) -> None:
        """If the lease has lapsed, wait until the checkpoint renews it or, if it is lost, cancels the task."""
        if not self.lease.holds:
            self.renewed.clear()
            await self.renewed.wait()

    def progress(self) -> Progress | TailProgress | None:
        """Return the content to save; None if there is no new content, or if the end is being saved."""
        is_over = self.writing.done() or self.abandoned.done()
        if self.message_id is None or is_over or self.answer.sequence <= self.saved:
            return None
        answer, content = self.answer, self.answer.content
        if self.base is not None and (tail := self._tail(self.base, content)) is not None:
            return TailProgress(self.generation_id, self.message_id, self.base.sequence, answer.sequence, tail)
        encoded = dumps(content)
        checkpoints = len(encoded) // SIZE_PER_CHECKPOINT
        self.base = None
        if checkpoints:
            self.base = Base(answer.sequence, content, answer.reported_tokens, checkpoints, len(encoded))
        return Progress(
            self.generation_id,
            self.message_id,
            answer.sequence,
            self.first_token_at,
            encoded,
            answer.total(),
        )

    def _tail(self, base: Base, content: Sequence[Json]) -> str | None:
        if not (base.is_saved and base.checkpoints) or base.tokens != self.answer.reported_tokens:
            return None
        tail = tail_of(base.content, content)
        if len(tail) > base.room:
            return None
        base.checkpoints, base.room = base.checkpoints - 1, base.room - len(tail)
        return tail

    def note_saved(self, sequence: int) -> None:
        """Note the event up to which a checkpoint has saved the answer."""
        self.saved = sequence
        if self.base is not None and self.base.sequence == sequence:
            self.base.is_saved = True

    def end(self, ending: Ending) -> None:
        """Cancel the task. If this is called repeatedly, the first reason counts.

        A task that does not end within CANCEL_SECONDS is abandoned.
        """
        if self.ending is None and not self.writing.done():
            self.ending = ending
            self.writing.cancel()
            asyncio.get_running_loop().call_later(CANCEL_SECONDS, self._abandon)

    async def wait_until_written(self) -> None:
        """Wait until the task has ended or is abandoned."""
        # `outcome` does not look at the task's error if the generation ends for another reason. asyncio would log it.
        self.writing.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.wait([self.writing, self.abandoned], return_when=asyncio.FIRST_COMPLETED)

    def _abandon(self) -> None:
        if not self.writing.done() and not self.abandoned.done():
            logger.error("The task of generation %s ignores its cancellation and is abandoned", self.generation_id)
            self.abandoned.set_result(None)
            self.writing.cancel()


def outcome(active: ActiveGeneration) -> tuple[Status, GenerationError | None]:
    """Return the final status of a generation whose task has ended, and the error if it failed."""
    if active.ending is Ending.STOPPED:
        return Status.STOPPED, None
    if active.ending is Ending.EXPIRED:
        return Status.FAILED, EXPIRED
    if active.writing.cancelled() or active.ending is Ending.INTERRUPTED:
        return Status.FAILED, INTERRUPTED
    failure = active.writing.exception()
    if failure is None:
        return Status.COMPLETED if active.steered_by is None else Status.STOPPED, None
    if not isinstance(failure, request_errors()):
        logger.error("Generation %s failed because of an internal error", active.generation_id, exc_info=failure)
        return Status.FAILED, GenerationError(ErrorCode.API_ERROR, "The answer failed because of an internal error.")
    return Status.FAILED, describe(failure, active.answer.request_id)


def end_of(active: ActiveGeneration, status: Status, error: GenerationError | None) -> End:
    """Return how a generation has ended, for the observer."""
    first_token_seconds = None
    # Otherwise, another process has received the first event.
    if active.first_token_at is not None and active.first_token_at >= active.started_at:
        first_token_seconds = (active.first_token_at - active.started_at).total_seconds()
    seconds = (now() - active.started_at).total_seconds()
    # A timeout of tool results is not a failure of Claude, so it is counted separately.
    code = "tool_results_expired" if error is EXPIRED else None if error is None else error.code.value
    return End(
        status.value,
        code,
        active.model or "",
        seconds,
        first_token_seconds,
        active.answer.total().get("output_tokens", 0),
        active.answer.request_id or (None if error is None else error.request_id),
    )


def suspension(active: ActiveGeneration) -> Suspended | None:
    """Return what a generation whose task has ended waits for; None if it does not wait."""
    if active.writing.cancelled() or active.ending is not None:
        return None
    failure = active.writing.exception()
    return failure if isinstance(failure, Suspended) else None


def terminal_event(generation_id: UUID, sequence: int, status: Status, error: Json | None) -> TerminalEvent:
    """Return the terminal event for a final status. `error` is that of a failed generation."""
    match status:
        case Status.COMPLETED:
            return GenerationCompleted(generation_id, sequence)
        case Status.STOPPED:
            return GenerationStopped(generation_id, sequence)
        case _:
            return GenerationFailed(generation_id, sequence, error or {})


def tool_results_required(
    generation: AnyGeneration, content: Sequence[Json], calls: Mapping[str, ToolCall]
) -> ToolResultsRequired | None:
    """Return the event with which a generation was suspended, as it was sent, from its rows.

    Args:
        generation: The row, which has the event's sequence and the deadline until the generation continues.
        content: The content of the answer when the generation was suspended.
        calls: The rows of the generation's tool calls, by id. Results may have been submitted for some of them.

    Returns:
        The event; None if the generation is not suspended and was not just resumed.
    """
    if generation.tools_expire_at is None:
        return None
    answered = {block["tool_use_id"] for block in content if block.get("type") == "tool_result"}
    uses = {
        index: block
        for index, block in enumerate(content)
        if block.get("type") == "tool_use" and block["id"] in calls and block["id"] not in answered
    }
    approvals = [index for index, block in uses.items() if calls[block["id"]].asks_first]
    return ToolResultsRequired(generation.id, generation.sequence, uses, approvals, generation.tools_expire_at)
