"""The GraphQL types of the audit log."""

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from tertulia.db import paging
from tertulia.resolvers.admin import audit
from tertulia.schema.admin.users import AdminUser
from tertulia.schema.declare import graphql_type
from tertulia.schema.relay import PageInfo


@graphql_type(audit.AuditLine)
class AdminAuditEntry:
    """An entry of the audit log."""

    id: strawberry.ID
    """The id of the entry. `Query.node` does not accept it."""
    action: str
    """The action, such as `signed_in` or `user_disabled`. New actions may be added."""
    created_at: datetime
    """When it was done, in UTC."""
    address: str | None
    """The network address of the client. Null for commands, and for what the server does itself."""
    user_id: strawberry.ID | None
    """The id of the user who did it, or to whom an operator did it. Null if it concerns no user."""
    user: AdminUser | None
    """The user. Null if the user was deleted, or if it concerns no user."""
    operator_id: strawberry.ID | None
    """The id of the operator who did it. Null for what users do themselves, and for commands."""
    operator_name: str | None
    """The name that the operator had. Null if no operator did it."""
    request_id: str | None
    """The id of the operator's request, which is also in the log of the server. Null if no operator did it."""
    details: JSON
    """Further details, by name."""


@graphql_type(paging.Edge)
class AdminAuditEdge:
    """An entry of the audit log in a list."""

    cursor: str
    """The position of the entry in the list, for `after` and `before`."""
    node: AdminAuditEntry
    """The entry."""


@graphql_type(paging.Connection)
class AdminAuditConnection:
    """A page of the audit log."""

    edges: list[AdminAuditEdge]
    """The entries, newest first."""
    page_info: PageInfo
    """The position of the page in the list."""
