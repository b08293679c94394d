"""The audit log, as operators read it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from tertulia.db.admin import audit as rows
from tertulia.db.admin import users
from tertulia.db.identities import AuditEntry
from tertulia.db.paging import Connection, Edge, Page
from tertulia.resolvers.admin.generations import OfUser, id_of_user
from tertulia.resolvers.admin.users import Account, AccountLoaders
from tertulia.resolvers.arguments import After, Before, First, Last, argument
from tertulia.resolvers.context import Info

OF_OPERATOR = ("operator", "operator_name", "request_id")
"""The details of an entry that name the operator and the request."""


@dataclass(frozen=True, slots=True)
class AuditLine:
    """An entry of the audit log. `user` is None if the user was deleted."""

    entry: AuditEntry
    user: Account | None

    @property
    def id(self) -> UUID:
        """The id of the entry."""
        return self.entry.id

    @property
    def action(self) -> str:
        """The action that the entry records."""
        return self.entry.action

    @property
    def created_at(self) -> datetime:
        """When it was done."""
        return self.entry.created_at

    @property
    def address(self) -> str | None:
        """The address of the client."""
        return self.entry.address

    @property
    def user_id(self) -> UUID | None:
        """The id of the user."""
        return self.entry.user_id

    @property
    def operator_id(self) -> str | None:
        """The id of the operator."""
        return self.entry.detail.get("operator")

    @property
    def operator_name(self) -> str | None:
        """The name of the operator."""
        return self.entry.detail.get("operator_name")

    @property
    def request_id(self) -> str | None:
        """The id of the request."""
        return self.entry.detail.get("request_id")

    @property
    def details(self) -> Any:
        """The other details."""
        return {name: value for name, value in self.entry.detail.items() if name not in OF_OPERATOR}


async def audit_log(
    info: Info,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
    user_id: OfUser = None,
    action: Annotated[str | None, argument("The only action to list, such as `signed_in`. Null lists all.")] = None,
) -> Connection[AuditLine]:
    """The audit log, newest entry first. A page has at most 100 entries, and 50 by default.

    It never contains content of conversations. Entries of deleted users are deleted, except the one of the deletion.
    """
    page, owner = Page(first, after, last, before), id_of_user(user_id)
    async with info.context.read() as session:
        found = await rows.page(session, page, owner, action)
        ids = {edge.node.user_id for edge in found.edges}
        known = await users.by_ids(session, [id for id in ids if id is not None])
    loaders = AccountLoaders(info.context)
    accounts = {id: Account(user, loaders) for id, user in known.items()}
    edges = [
        Edge(edge.cursor, AuditLine(edge.node, accounts.get(edge.node.user_id) if edge.node.user_id else None))
        for edge in found.edges
    ]
    return Connection(edges, found.page_info)
