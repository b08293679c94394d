"""The GraphQL types of a conversation that an operator reads."""

from datetime import datetime
from typing import Annotated

import strawberry

from tertulia.db import paging, rows, tables
from tertulia.resolvers import messages
from tertulia.resolvers.admin import reading
from tertulia.schema.admin.users import AdminUser
from tertulia.schema.declare import field, graphql_type
from tertulia.schema.errors import Forbidden, NotFound
from tertulia.schema.relay import PageInfo


@graphql_type(rows.MessageRow)
class AdminMessage:
    """A message as operators read it: only its text, without files, thinking and tools."""

    role: tables.Role
    """The author of the message."""
    text: str = field(messages.text)
    created_at: datetime
    """When the message was sent, in UTC. For an answer, when it was requested."""


@graphql_type(paging.Edge)
class AdminMessageEdge:
    """A message in a list."""

    cursor: str
    """The message's position in the list, for `after` and `before`."""
    node: AdminMessage
    """The message."""


@graphql_type(paging.Connection)
class AdminMessageConnection:
    """A page of the messages of a conversation."""

    edges: list[AdminMessageEdge]
    """The messages, oldest first."""
    page_info: PageInfo
    """The position of the page in the list."""


@graphql_type(reading.AdminConversation)
class AdminConversation:
    """A conversation of any user, as an operator reads it. The audit log has an entry about it."""

    id: strawberry.ID
    """The id of the conversation. `Query.node` does not accept it."""
    user: AdminUser
    """The user to whom it belongs."""
    title: str | None
    """The title. Null if it has none."""
    created_at: datetime
    """When it was created, in UTC."""
    updated_at: datetime
    """When it was last used, in UTC."""
    messages: AdminMessageConnection = field(reading.messages)


AdminReadConversationResult = Annotated[
    AdminConversation | NotFound | Forbidden,
    strawberry.union("AdminReadConversationResult", description="The conversation, or the error."),
]
