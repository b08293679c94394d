"""All users of the server, with what operators see of them."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, case, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.admin.pages import cursor_of, newest_first
from tertulia.db.cases import UnicodeLower
from tertulia.db.conversations import NEVER
from tertulia.db.guests import ISSUER as GUEST
from tertulia.db.paging import Connection, Page, connect
from tertulia.db.tables import Conversation, User
from tertulia.json import clean_text


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Selects users. Fields that are None do not restrict."""

    search: str | None = None
    plan: str | None = None
    role: str | None = None
    disabled: bool | None = None
    guests: bool | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return the conditions of a statement."""
        conditions: list[ColumnElement[bool]] = []
        if self.search:
            conditions.append(_matches(clean_text(self.search)))
        if self.plan is not None:
            conditions.append(col(User.plan) == clean_text(self.plan))
        if self.role is not None:
            conditions.append(col(User.role) == clean_text(self.role))
        if self.disabled is not None:
            conditions.append(col(User.disabled_at).is_not(None) if self.disabled else col(User.disabled_at).is_(None))
        if self.guests is not None:
            is_guest = func.coalesce(col(User.issuer), "") == GUEST
            conditions.append(is_guest if self.guests else ~is_guest)
        return conditions


@dataclass(frozen=True, slots=True)
class UserCounts:
    """The numbers of all users, of disabled users and of guests."""

    users: int
    disabled: int
    guests: int


@dataclass(frozen=True, slots=True)
class Activity:
    """The number of a user's conversations, and when one of them was last used."""

    conversations: int
    last_active_at: datetime | None


async def page(session: AsyncSession, page: Page, filter: UserFilter) -> Connection[User]:
    """Return a page of users, newest first."""
    query = newest_first(select(User).where(*filter.conditions()), col(User.id), page)
    return connect((await session.exec(query)).all(), page, lambda user: cursor_of(user.id))


async def by_ids(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, User]:
    """Return the users with these ids, by id."""
    rows = (await session.exec(select(User).where(col(User.id).in_(ids)))).all()
    return {user.id: user for user in rows}


async def count(session: AsyncSession) -> UserCounts:
    """Return the numbers of users."""
    disabled = func.coalesce(func.sum(case((col(User.disabled_at).is_not(None), 1), else_=0)), 0)
    guests = func.coalesce(func.sum(case((col(User.issuer) == GUEST, 1), else_=0)), 0)
    row = (await session.exec(select(func.count(), disabled, guests).select_from(User))).one()
    return UserCounts(*map(int, row))


async def activity(session: AsyncSession, owners: Sequence[UUID]) -> dict[UUID, Activity]:
    """Return the activity of users who have conversations, by id."""
    query = select(Conversation.owner_id, func.count(), func.max(Conversation.updated_at)).where(
        col(Conversation.owner_id).in_(owners), Conversation.updated_at > NEVER
    )
    rows = (await session.exec(query.group_by(col(Conversation.owner_id)))).all()
    return {owner: Activity(number, last_active_at) for owner, number, last_active_at in rows}


def _matches(text: str) -> ColumnElement[bool]:
    """Return the condition that a name contains a text in any case, or that the text is a whole id or subject."""
    name = UnicodeLower(col(User.name)).contains(text.lower(), autoescape=True)
    conditions = [name, and_(col(User.issuer) != GUEST, col(User.subject) == text)]
    with suppress(ValueError):
        conditions.append(col(User.id) == UUID(text))
    return or_(*conditions)
