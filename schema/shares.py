"""The GraphQL types of shares: those of their owners, and those that anybody with a link may read.

`SharedConversation` and the types below it contain only what the owner shares. None of their fields leads to another
object of the owner.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry.scalars import JSON

from tertulia.db import paging, tables
from tertulia.db import shares as rows
from tertulia.resolvers import shares
from tertulia.schema.content import JsonBlock, TextBlock, ThinkingBlock
from tertulia.schema.declare import field, graphql_type
from tertulia.schema.relay import PageInfo

if TYPE_CHECKING:
    from tertulia.schema.types import Conversation


@graphql_type(rows.Share)
class Share:
    """A link with which anybody can read a branch of a conversation, as it was when the link was created.

    It is deleted with the conversation, and with any message that it shows.
    """

    id: strawberry.ID
    """The id, for `revokeShare`. It is not the token, and `Query.node` does not accept it."""
    conversation: Annotated["Conversation", strawberry.lazy("tertulia.schema.types")] = field(
        shares.conversation_of_share
    )
    title: str | None
    """The title that the link shows: that of the conversation when the link was created. Null if it had none."""
    include_thinking: bool
    """Whether the link shows Claude's thinking."""
    include_tools: bool
    """Whether the link shows the inputs and results of tool calls."""
    include_context: bool
    """Whether the link shows `Message.context`."""
    views: int
    """How often the link was opened. Views of the last 10 seconds may be missing."""
    created_at: datetime
    """When the link was created, in UTC."""
    expires_at: datetime | None
    """When the link stops working, in UTC. Null for no expiry."""


@graphql_type(paging.Edge)
class ShareEdge:
    """A link in a list."""

    cursor: str
    """The position of the link in the list, for `after` and `before`."""
    node: Share
    """The link."""


@graphql_type(paging.Connection)
class ShareConnection:
    """A page of links."""

    edges: list[ShareEdge]
    """The links, newest first."""
    page_info: PageInfo
    """The position of the page in the list."""


@graphql_type(shares.SharedToolCall)
class SharedToolCall:
    """A tool call in a shared conversation."""

    index: int
    """The position of the call in the message, counted from 0."""
    name: str
    """The name of the tool."""
    input: JSON | None
    """The arguments that Claude passed to the tool. Null if the owner does not share them."""


@graphql_type(shares.SharedToolResult)
class SharedToolResult:
    """The result of a tool call. It is part of a shared conversation only if the owner shares it."""

    index: int
    """The position of the result in the message, counted from 0."""
    output: JSON | None
    """The tool's output: JSON, a text, or text and image blocks of the Messages API. Null if there is none."""
    is_error: bool
    """Whether the call failed or was denied. `output` then contains the reason."""


@graphql_type(shares.SharedFile)
class SharedFile:
    """An attachment in a shared conversation. Only its owner can download it."""

    index: int
    """The position of the attachment in the message, counted from 0."""
    filename: str
    """The name of the file."""
    media_type: str
    """The media type: for example `image/png` or `application/pdf`."""


SharedBlock = Annotated[
    TextBlock | JsonBlock | ThinkingBlock | SharedToolCall | SharedToolResult | SharedFile,
    strawberry.union(
        "SharedBlock",
        description="A part of a message in a shared conversation. Parts that the owner does not share leave gaps in "
        "`index`. New types may be added: clients must ignore types that they do not know.",
    ),
]


@graphql_type(shares.SharedMessage)
class SharedMessage:
    """A message in a shared conversation."""

    role: tables.Role
    """The author of the message."""
    text: str
    """The concatenated text of all text blocks. Empty if there is none."""
    content: list[SharedBlock]
    """The parts of the message that the owner shares, in order."""
    context: JSON | None
    """The JSON that the application sent with the message. Null if there is none, or if the owner does not share it."""
    created_at: datetime
    """When the message was sent, in UTC. For an answer, when it was requested."""


@graphql_type(paging.Edge)
class SharedMessageEdge:
    """A message in a list of a shared conversation."""

    cursor: str
    """The message's position in the list, for `after` and `before`."""
    node: SharedMessage
    """The message."""


@graphql_type(paging.Connection)
class SharedMessageConnection:
    """A page of the messages of a shared conversation."""

    edges: list[SharedMessageEdge]
    """The messages, oldest first."""
    page_info: PageInfo
    """The position of the page in the list."""


@graphql_type(shares.SharedConversation)
class SharedConversation:
    """A branch of a conversation as it was when its owner shared it. It says nothing about its owner."""

    title: str | None
    """The title when it was shared. Null if it had none."""
    shared_at: datetime
    """When it was shared, in UTC."""
    expires_at: datetime | None
    """When the link stops working, in UTC. Null for no expiry."""
    messages: SharedMessageConnection = field(shares.shared_messages)


@graphql_type(shares.ShareConversationPayload)
class ShareConversationPayload:
    """A new link. Its token cannot be read again later: the server stores only a hash of it."""

    share: Share
    """The link's settings, for its owner."""
    token: str
    """The secret of the link, for `sharedConversation`. Everybody who has it can read the branch."""
    url: str
    """The path of the page on this server, which needs no sign-in."""


@graphql_type(shares.RevokedShare)
class RevokedShare:
    """A link that was revoked."""

    revoked_id: strawberry.ID
    """The id of the revoked link."""
