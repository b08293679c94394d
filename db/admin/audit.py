"""The audit log of the server."""

from uuid import UUID

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.admin.pages import cursor_of, newest_first
from tertulia.db.identities import AuditEntry
from tertulia.db.paging import Connection, Page, connect
from tertulia.json import clean_text


async def page(session: AsyncSession, page: Page, user_id: UUID | None, action: str | None) -> Connection[AuditEntry]:
    """Return a page of the audit log, newest first.

    Args:
        session: The session to use.
        page: The requested page.
        user_id: The user whose entries are returned; None for all entries.
        action: The action of the entries; None for all.
    """
    query = select(AuditEntry)
    if user_id is not None:
        query = query.where(col(AuditEntry.user_id) == user_id)
    if action is not None:
        query = query.where(col(AuditEntry.action) == clean_text(action))
    rows = (await session.exec(newest_first(query, col(AuditEntry.id), page))).all()
    return connect(rows, page, lambda entry: cursor_of(entry.id))
