"""One generation that this process writes, and how it ends: pure, but for the clock."""

import asyncio
import logging
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from uuid import UUID

from tertulia.claude.client import Attempt
from tertulia.claude.errors import INTERRUPTED, ErrorCode, GenerationError, describe, request_errors
from tertulia.db.leases import Progress
from tertulia.db.tables import Status, now
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.generation.input import GenerationInput
from tertulia.generation.observer import End
from tertulia.generation.request import MessagesRequest
from tertulia.json import Json
from tertulia.streams.events import GenerationCompleted, GenerationFailed, GenerationStopped, TerminalEvent
from tertulia.streams.lease import Lease

CANCEL_SECONDS = 3.0
"""Seconds for which a writer that was cancelled may go on, such as with a tool that ignores cancellation."""
EXPIRED = GenerationError(ErrorCode.TIMEOUT, "No results of tools came in time; what was written is kept.")

logger = logging.getLogger("tertulia.generator")


class Ending(Enum):
    """Why a job was cancelled."""

    STOPPED = auto()
    INTERRUPTED = auto()
    EXPIRED = auto()
    LOST = auto()


class Suspended(Exception):
    """The answer waits for results of the client's, or for the user's yes or no: calls by the index of their block."""

    def __init__(self, tool_uses: dict[int, Json], approvals: list[int], expires_at: datetime) -> None:
        """Take what is waited for, the indexes of those that wait for a yes or no, and until when."""
        super().__init__("waits for the results of tools")
        self.tool_uses, self.approvals, self.expires_at = tool_uses, approvals, expires_at


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose answer it is, and in which conversation."""

    id: UUID
    name: str
    conversation_id: UUID


@dataclass(slots=True)
class ActiveGeneration:
    """What a process knows of a generation whose lease it holds.

    `asking` is None until Claude is asked from here; `failed`: the calls that failed before one answered;
    `allowance`: what the answer may cost, in units, None for as much as it will.
    """

    answer: AnswerAccumulator
    lease: Lease
    work: GenerationInput | None = None
    owner: Owner | None = None
    message_id: UUID | None = None
    model: str | None = None
    asking: MessagesRequest | None = None
    failed: list[Attempt] = field(default_factory=list[Attempt])
    allowance: int | None = None
    begun_at: datetime = field(default_factory=now)
    first_token_at: datetime | None = None
    saved: int = 0
    ending: Ending | None = None
    suspended: bool = False
    lost: bool = False
    renewed: asyncio.Event = field(default_factory=asyncio.Event)
    abandoned: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    writing: asyncio.Task[None] = field(init=False)
    settling: asyncio.Task[None] = field(init=False)

    @property
    def generation_id(self) -> UUID:
        """The generation's id."""
        return self.answer.generation_id

    async def may_write(self) -> None:
        """Wait for the lease, should it have lapsed: the checkpoint renews it, or finds that it is lost."""
        if not self.lease.holds:
            self.renewed.clear()
            await self.renewed.wait()

    def progress(self) -> Progress | None:
        """Give what was written since it was last saved; None where there is nothing, or the end is being saved."""
        is_over = self.writing.done() or self.abandoned.done()
        if self.message_id is None or is_over or self.answer.sequence <= self.saved:
            return None
        answer = self.answer
        return Progress(
            self.generation_id,
            self.message_id,
            answer.sequence,
            self.first_token_at,
            answer.content,
            answer.total(),
        )

    def end(self, ending: Ending) -> None:
        """Cancel the writing; the first reason counts. A writer that does not end then is abandoned."""
        if self.ending is None and not self.writing.done():
            self.ending = ending
            self.writing.cancel()
            asyncio.get_running_loop().call_later(CANCEL_SECONDS, self._abandon)

    async def written(self) -> None:
        """Wait until nothing more is written."""
        await asyncio.wait([self.writing, self.abandoned], return_when=asyncio.FIRST_COMPLETED)

    def _abandon(self) -> None:
        if not self.writing.done() and not self.abandoned.done():
            logger.error("The writer of generation %s ignores its cancellation, and is abandoned", self.generation_id)
            self.abandoned.set_result(None)
            self.writing.cancel()


def outcome(active: ActiveGeneration) -> tuple[Status, GenerationError | None]:
    """Say how a job that is written ended."""
    if active.ending is Ending.STOPPED:
        return Status.STOPPED, None
    if active.ending is Ending.EXPIRED:
        return Status.FAILED, EXPIRED
    if active.writing.cancelled() or active.ending is Ending.INTERRUPTED:
        return Status.FAILED, INTERRUPTED
    failure = active.writing.exception()
    if failure is None:
        return Status.COMPLETED, None
    if not isinstance(failure, request_errors()):
        logger.error("Generation %s failed by a fault of ours", active.generation_id, exc_info=failure)
        return Status.FAILED, GenerationError(ErrorCode.API_ERROR, "The answer could not be written.")
    return Status.FAILED, describe(failure, active.answer.request_id)


def end_of(active: ActiveGeneration, status: Status, error: GenerationError | None) -> End:
    """Say how a job ended, for who looks at the whole."""
    first = None if active.first_token_at is None else (active.first_token_at - active.begun_at).total_seconds()
    seconds = (now() - active.begun_at).total_seconds()
    # A user who gives no results of tools is no fault of Claude's.
    code = "tool_results_expired" if error is EXPIRED else None if error is None else error.code.value
    return End(status.value, code, active.model or "", seconds, first, active.answer.total().get("output_tokens", 0))


def suspension(active: ActiveGeneration) -> Suspended | None:
    """Say what a job waits for; None where it has ended."""
    if active.writing.cancelled() or active.ending is not None:
        return None
    failure = active.writing.exception()
    return failure if isinstance(failure, Suspended) else None


def terminal_event(generation_id: UUID, sequence: int, status: Status, error: Json | None) -> TerminalEvent:
    """Return the terminal event of a generation that has ended with a status; `error` is that of a failed one."""
    match status:
        case Status.COMPLETED:
            return GenerationCompleted(generation_id, sequence)
        case Status.STOPPED:
            return GenerationStopped(generation_id, sequence)
        case _:
            return GenerationFailed(generation_id, sequence, error or {})
