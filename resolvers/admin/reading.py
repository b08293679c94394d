"""How operators read a conversation, if the server allows it. Each time is recorded in the audit log first."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from tertulia.db import branches
from tertulia.db.admin import conversations as rows
from tertulia.db.identities import Action
from tertulia.db.paging import Connection, Page
from tertulia.db.rows import MessageRow
from tertulia.resolvers.admin.access import audit, require_operator
from tertulia.resolvers.admin.users import Account, AccountLoaders
from tertulia.resolvers.arguments import After, Before, ConversationId, First, Last
from tertulia.resolvers.context import Info, as_uuid
from tertulia.resolvers.errors import Forbidden, NotFound

NOT_ALLOWED = (
    "The server does not allow operators to read conversations: its setting TERTULIA_OPERATORS_MAY_READ is false."
)


@dataclass(frozen=True, slots=True)
class AdminConversation:
    """A conversation that an operator reads. It exists only if the audit log has an entry about it."""

    id: UUID
    user: Account
    title: str | None
    created_at: datetime
    updated_at: datetime
    active_leaf_id: UUID | None


def may_read(info: Info) -> bool:
    """Whether `adminReadConversation` is allowed: the setting `TERTULIA_OPERATORS_MAY_READ`."""
    return info.context.services.info.operators_may_read


async def admin_read_conversation(info: Info, id: ConversationId) -> AdminConversation:
    """Read a conversation of any user: its title, and the texts of its active branch.

    An entry `conversation_read` is added to the audit log first. If this fails, nothing is returned. Temporary
    conversations cannot be read.

    - `NotFound`: There is no such conversation, or it is temporary.
    - `Forbidden`: The viewer is not an operator, or the server does not allow operators to read.
    """
    context, conversation_id = require_operator(info), as_uuid(id)
    if not may_read(info):
        raise Forbidden(NOT_ALLOWED)
    async with context.database.write() as session:
        found = None if conversation_id is None else await rows.find(session, conversation_id)
        if found is None:
            raise NotFound(id, "conversation")
        row, user = found
        await audit(session, context, Action.CONVERSATION_READ, user, conversation=str(row.id))
    account = Account(user, AccountLoaders(context))
    return AdminConversation(row.id, account, row.title, row.created_at, row.updated_at, row.active_leaf_id)


async def messages(
    info: Info,
    root: AdminConversation,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Connection[MessageRow]:
    """The messages of the active branch, oldest first. A page has at most 100 messages, and 50 by default.

    `last: 20` returns the latest 20 messages.
    """
    async with info.context.read() as session:
        return await branches.page(session, root.user.id, root.active_leaf_id, Page(first, after, last, before))
