"""The state of a generation that this process runs, and how it ends. No I/O; only the clock is read."""

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
"""Seconds that a cancelled task has to end: a tool may ignore its cancellation."""
EXPIRED = GenerationError(ErrorCode.TIMEOUT, "No results of tools came in time; what was written is kept.")

logger = logging.getLogger("tertulia.generator")


class Ending(Enum):
    """Why a job was cancelled."""

    STOPPED = auto()
    INTERRUPTED = auto()
    EXPIRED = auto()
    LOST = auto()


class Suspended(Exception):
    """The generation waits for tool results of the client, or for the user's approval of calls."""

    def __init__(self, tool_uses: dict[int, Json], approvals: list[int], expires_at: datetime) -> None:
        """Initialize with the pending calls by block index, the indexes of those to approve, and the deadline."""
        super().__init__("waits for the results of tools")
        self.tool_uses, self.approvals, self.expires_at = tool_uses, approvals, expires_at


@dataclass(frozen=True, slots=True)
class Owner:
    """The owner of a generation, and its conversation."""

    id: UUID
    name: str
    conversation_id: UUID


@dataclass(slots=True)
class ActiveGeneration:
    """The state of a generation whose lease this process holds.

    `request` is None until this process builds it. `failed` are the API calls that failed before one succeeded.
    `allowance` is what the answer may cost, in units; None means no limit.
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
    ending: Ending | None = None
    suspended: bool = False
    lost: bool = False
    renewed: asyncio.Event = field(default_factory=asyncio.Event)
    abandoned: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    writing: asyncio.Task[None] = field(init=False)
    finalizing: asyncio.Task[None] = field(init=False)

    @property
    def generation_id(self) -> UUID:
        """The generation's id."""
        return self.answer.generation_id

    async def may_write(self) -> None:
        """If the lease has lapsed, wait until the checkpoint renews it, or cancels the task because it is lost."""
        if not self.lease.holds:
            self.renewed.clear()
            await self.renewed.wait()

    def progress(self) -> Progress | None:
        """Return the content to save; None if there is nothing new, or if the end is being saved."""
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
        """Cancel the task; the first reason counts. A task that does not end in time is abandoned."""
        if self.ending is None and not self.writing.done():
            self.ending = ending
            self.writing.cancel()
            asyncio.get_running_loop().call_later(CANCEL_SECONDS, self._abandon)

    async def wait_until_written(self) -> None:
        """Wait until the task has ended or is abandoned."""
        await asyncio.wait([self.writing, self.abandoned], return_when=asyncio.FIRST_COMPLETED)

    def _abandon(self) -> None:
        if not self.writing.done() and not self.abandoned.done():
            logger.error("The writer of generation %s ignores its cancellation, and is abandoned", self.generation_id)
            self.abandoned.set_result(None)
            self.writing.cancel()


def outcome(active: ActiveGeneration) -> tuple[Status, GenerationError | None]:
    """Return the status with which a job has ended, and the error of a failed one."""
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
    """Return how a job has ended, for the observer."""
    first_token_seconds = (
        None if active.first_token_at is None else (active.first_token_at - active.started_at).total_seconds()
    )
    seconds = (now() - active.started_at).total_seconds()
    # Missing tool results are not a failure of Claude, so they are counted separately.
    code = "tool_results_expired" if error is EXPIRED else None if error is None else error.code.value
    return End(
        status.value,
        code,
        active.model or "",
        seconds,
        first_token_seconds,
        active.answer.total().get("output_tokens", 0),
    )


def suspension(active: ActiveGeneration) -> Suspended | None:
    """Return what a job waits for; None if it has ended."""
    if active.writing.cancelled() or active.ending is not None:
        return None
    failure = active.writing.exception()
    return failure if isinstance(failure, Suspended) else None


def terminal_event(generation_id: UUID, sequence: int, status: Status, error: Json | None) -> TerminalEvent:
    """Return the terminal event of a generation with this final status; `error` is that of a failed one."""
    match status:
        case Status.COMPLETED:
            return GenerationCompleted(generation_id, sequence)
        case Status.STOPPED:
            return GenerationStopped(generation_id, sequence)
        case _:
            return GenerationFailed(generation_id, sequence, error or {})
