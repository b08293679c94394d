"""The table of tool calls, and its queries. A call is stored before it runs, so that it never runs twice.

The row is kept for usage statistics after its conversation is deleted, without the submitted result.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import JSON, ColumnElement, Enum, Index, bindparam, func, update
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.ownership import owned
from tertulia.db.tables import METADATA, Generation, Status, UtcDateTime, new_id, now, optional_time
from tertulia.json import Json

KEPT = "result"
"""The key in `ToolCall.answer` of a result that was stored together with the effect of its call."""


class CallStatus(StrEnum):
    """The status of a call.

    It is waiting for its client or its user, was answered by them, is running, or has ended. `unknown` means that the
    process that ran it was lost, so that the call may or may not have been carried out.
    """

    WAITING = "waiting"
    ANSWERED = "answered"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"


class ToolCall(SQLModel, table=True):
    """A call of a tool that runs on the server or at the client."""

    __tablename__: ClassVar[Any] = "tool_calls"
    __table_args__: ClassVar[Any] = (
        Index("tool_calls_by_generation", "generation_id", "tool_use_id", unique=True),
        Index("tool_calls_by_owner", "owner_id", "created_at"),
    )

    id: UUID = Field(default_factory=new_id, primary_key=True)
    owner_id: UUID = Field(foreign_key="users.id", ondelete="CASCADE", nullable=False)
    conversation_id: UUID
    generation_id: UUID
    tool_use_id: str
    name: str
    status: CallStatus = Field(sa_type=Enum(CallStatus, native_enum=False, length=32, values_callable=list))
    asks_first: bool = False
    # The submitted or kept result, until Claude has received it. Its fingerprint is kept to detect duplicates.
    answer: Json | None = Field(default=None, sa_type=JSON)
    fingerprint: str | None = None
    created_at: datetime = Field(default_factory=now, sa_type=UtcDateTime, nullable=False)
    started_at: datetime | None = optional_time()
    finished_at: datetime | None = optional_time()


_CALLS = METADATA.tables["tool_calls"]
_GENERATIONS = METADATA.tables["generations"]
_OF_GENERATION = select(ToolCall).where(ToolCall.generation_id == bindparam("generation")).order_by(col(ToolCall.id))
_OWNED = (
    select(Generation)
    .where(Generation.id == bindparam("generation"), owned(Generation.conversation_id))
    .with_for_update(key_share=True)
)


async def of_generation(session: AsyncSession, generation_id: UUID) -> dict[str, ToolCall]:
    """Return the calls of a generation by tool use id. The caller holds the lease or has checked the owner."""
    rows = await session.exec(_OF_GENERATION, params={"generation": generation_id})
    return {row.tool_use_id: row for row in rows.all()}


async def settle(session: AsyncSession, generation_id: UUID, ended: dict[str, CallStatus]) -> None:
    """Store the final status of calls, and delete their submitted results."""
    for tool_use_id, status in ended.items():
        where = (_CALLS.c.generation_id == generation_id, _CALLS.c.tool_use_id == tool_use_id)
        await session.exec(update(_CALLS).where(*where).values(status=status, finished_at=now(), answer=None))


async def begin(session: AsyncSession, generation_id: UUID, tool_use_ids: Sequence[str]) -> None:
    """Mark calls as running. From now on, they may have been carried out."""
    where = (_CALLS.c.generation_id == generation_id, _CALLS.c.tool_use_id.in_(tool_use_ids))
    await session.exec(update(_CALLS).where(*where).values(status=CallStatus.RUNNING, started_at=now()))


async def close(session: AsyncSession, generation_id: UUID) -> None:
    """End all open calls of a generation. Running calls become `unknown`, the others `failed`."""
    mine = _CALLS.c.generation_id == generation_id
    closing = update(_CALLS).values(finished_at=now(), answer=None)
    for before, after in (
        ((CallStatus.WAITING, CallStatus.ANSWERED), CallStatus.FAILED),
        ((CallStatus.RUNNING,), CallStatus.UNKNOWN),
    ):
        await session.exec(closing.where(mine, _CALLS.c.status.in_(before)).values(status=after))


async def get(session: AsyncSession, generation_id: UUID, tool_use_id: str) -> ToolCall | None:
    """Return a call as it is stored now. The caller has locked its owner."""
    query = _OF_GENERATION.where(ToolCall.tool_use_id == tool_use_id).execution_options(populate_existing=True)
    return (await session.exec(query, params={"generation": generation_id})).one_or_none()


async def keep_result(session: AsyncSession, call: ToolCall, text: str) -> None:
    """Store the text of a result in the transaction that carries out its call, until the result is in the answer."""
    await session.exec(update(_CALLS).where(_CALLS.c.id == call.id).values(answer={KEPT: text}))


async def owned_generation(session: AsyncSession, owner: UUID, generation_id: UUID) -> Generation | None:
    """Return a generation of the owner, or None, and lock its row. The caller has locked the owner."""
    result = await session.exec(_OWNED, params={"generation": generation_id, "owner": owner})
    return result.one_or_none()


async def submit(session: AsyncSession, call: ToolCall, answer: Json, fingerprint: str) -> None:
    """Store the submitted result of a waiting call."""
    values = {"status": CallStatus.ANSWERED, "answer": answer, "fingerprint": fingerprint}
    await session.exec(update(_CALLS).where(_CALLS.c.id == call.id).values(**values))


async def resume(session: AsyncSession, generation_id: UUID, holder: UUID, until: datetime) -> bool:
    """Acquire the lease of a generation whose calls are all answered. Return False if another process has it.

    The deadline stays in the row until the answer continues (see `tertulia.generation.state.tool_results_required`).
    """
    waiting = (
        _GENERATIONS.c.id == generation_id,
        _GENERATIONS.c.status == Status.AWAITING_TOOL_RESULTS,
        _GENERATIONS.c.holder.is_(None),
    )
    values = {"status": Status.RUNNING, "holder": holder, "lease_until": until}
    return bool((await session.exec(update(_GENERATIONS).where(*waiting).values(**values))).rowcount)


@dataclass(frozen=True, slots=True)
class ToolUsage:
    """The number of calls of a tool, and how many of them failed."""

    name: str
    calls: int
    failed: int


async def usage(session: AsyncSession, owner: UUID, since: datetime | None) -> list[ToolUsage]:
    """Count an owner's calls of each tool, ordered by its name. `since` is the earliest time, or None for all calls."""
    conditions = [] if since is None else [col(ToolCall.created_at) >= since]
    return await _count(session, col(ToolCall.owner_id) == owner, *conditions)


async def usage_of_all(session: AsyncSession, first_id: UUID) -> list[ToolUsage]:
    """Count the calls of each tool by all users, ordered by its name. `first_id` is the lowest id of the calls."""
    return await _count(session, col(ToolCall.id) >= first_id)


async def _count(session: AsyncSession, *conditions: ColumnElement[bool]) -> list[ToolUsage]:
    failed = func.count().filter(col(ToolCall.status).in_((CallStatus.FAILED, CallStatus.UNKNOWN)))
    query = select(ToolCall.name, func.count(), failed).where(*conditions)
    query = query.group_by(ToolCall.name).order_by(ToolCall.name)
    return [ToolUsage(*row) for row in (await session.exec(query)).all()]
