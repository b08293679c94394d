"""The answers of all users that are being written or have failed, without their content."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, func, literal_column
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import Select

from tertulia.db.accounts import first_id_after
from tertulia.db.admin.pages import cursor_of, newest_first
from tertulia.db.paging import Connection, Page, connect
from tertulia.db.tables import UNFINISHED, Conversation, Generation, Status, User

HAS_FAILED: ColumnElement[bool] = col(Generation.status) == literal_column("'failed'")
"""The status as a literal: a database would not use the index of failures for a parameter."""


@dataclass(frozen=True, slots=True)
class AnswerSummary:
    """An answer of any user. `assistant` is the id of the conversation's assistant."""

    row: Generation
    user: User
    assistant: str | None


async def unfinished(session: AsyncSession, page: Page, owner: UUID | None) -> Connection[AnswerSummary]:
    """Return a page of the answers that are running, waiting or queued, of one user or of all, newest first."""
    return await _page(session, col(Generation.status).in_(UNFINISHED), page, owner)


async def failed(session: AsyncSession, page: Page, owner: UUID | None) -> Connection[AnswerSummary]:
    """Return a page of the answers that have failed, of one user or of all, newest first."""
    return await _page(session, HAS_FAILED, page, owner)


async def find(session: AsyncSession, generation_id: UUID) -> AnswerSummary | None:
    """Return the answer with this id."""
    row = (await session.exec(_summaries().where(col(Generation.id) == generation_id))).one_or_none()
    return None if row is None else AnswerSummary(*row)


async def count_unfinished(session: AsyncSession) -> Mapping[Status, int]:
    """Return the numbers of unfinished answers by status. Statuses without answers are missing."""
    query = select(col(Generation.status), func.count()).where(col(Generation.status).in_(UNFINISHED))
    rows = (await session.exec(query.group_by(col(Generation.status)))).all()
    return dict(rows)


async def count_failed(session: AsyncSession, since: datetime) -> int:
    """Return the number of failed answers that were requested after a time."""
    query = select(func.count()).select_from(Generation).where(HAS_FAILED, col(Generation.id) >= first_id_after(since))
    return int((await session.exec(query)).one())


def _summaries() -> Select[Generation, User, str | None]:
    return (
        select(Generation, User, col(Conversation.assistant))
        .join(Conversation, col(Conversation.id) == col(Generation.conversation_id))
        .join(User, col(User.id) == col(Conversation.owner_id))
    )


async def _page(
    session: AsyncSession, condition: ColumnElement[bool], page: Page, owner: UUID | None
) -> Connection[AnswerSummary]:
    query = _summaries().where(condition)
    if owner is not None:
        query = query.where(col(Conversation.owner_id) == owner)
    rows = (await session.exec(newest_first(query, col(Generation.id), page))).all()
    return connect([AnswerSummary(*row) for row in rows], page, lambda summary: cursor_of(summary.row.id))
