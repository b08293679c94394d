"""Shares: the mutations and lists of owners, and the shared conversation for anybody who has the link."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from strawberry import ID
from strawberry.scalars import JSON

from tertulia.attachments.files import attachments_in
from tertulia.db import accounts, attachments, branches, conversations, generations, leases, messages
from tertulia.db import shares as rows
from tertulia.db.database import AsyncSession
from tertulia.db.identities import Action
from tertulia.db.inserting import insert
from tertulia.db.paging import Connection, Edge, Page
from tertulia.db.rows import AnyConversation, ConversationRow, MessageRow
from tertulia.db.shares import Share
from tertulia.db.tables import Attachment, Conversation, Role, now
from tertulia.json import exact_for_javascript
from tertulia.resolvers import content as blocks
from tertulia.resolvers.arguments import After, Before, ConversationId, First, Last, argument
from tertulia.resolvers.context import Context, Info, as_uuid
from tertulia.resolvers.errors import InvalidInput, NotFound

TOKEN_BYTES = 32
"""Random bytes of a token: 256 bits."""
LONGEST_TOKEN = 100
"""Characters. Longer texts are not hashed: no token is as long."""
ROUTE = "/s/"
"""The path of the page of a shared conversation, which the token follows."""


@dataclass(frozen=True, slots=True)
class ShareConversationPayload:
    """The new share, and its token, which is not stored."""

    share: Share
    token: str
    url: str


@dataclass(frozen=True, slots=True)
class RevokedShare:
    """The revoked share."""

    revoked_id: str


@dataclass(frozen=True, slots=True)
class SharedToolCall:
    """A tool call; its input only if the owner shares it."""

    index: int
    name: str
    input: JSON | None


@dataclass(frozen=True, slots=True)
class SharedToolResult:
    """The result of a tool call."""

    index: int
    output: JSON | None
    is_error: bool


@dataclass(frozen=True, slots=True)
class SharedFile:
    """An attachment, without its content."""

    index: int
    filename: str
    media_type: str


SharedBlock = (
    blocks.TextBlock | blocks.JsonBlock | blocks.ThinkingBlock | SharedToolCall | SharedToolResult | SharedFile
)


@dataclass(frozen=True, slots=True)
class SharedMessage:
    """A message as the share shows it."""

    role: Role
    text: str
    content: Sequence[SharedBlock]
    context: JSON | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SharedConversation:
    """The conversation of a valid share."""

    share: Share

    @property
    def title(self) -> str | None:
        """The title when the link was created."""
        return self.share.title

    @property
    def shared_at(self) -> datetime:
        """When the link was created."""
        return self.share.created_at

    @property
    def expires_at(self) -> datetime | None:
        """When the link expires."""
        return self.share.expires_at


async def share_conversation(
    info: Info,
    id: ConversationId,
    expires_at: Annotated[
        datetime | None, argument("When the link stops working: a time in the future. Null for no expiry.")
    ] = None,
    *,
    include_thinking: Annotated[bool, argument("Whether the link shows Claude's thinking.")] = False,
    include_tools: Annotated[bool, argument("Whether the link shows the inputs and results of tool calls.")] = False,
    include_context: Annotated[
        bool, argument("Whether the link shows `Message.context`, which the application sent.")
    ] = False,
) -> ShareConversationPayload:
    """Create a link with which anybody can read the active branch as it is now, without signing in.

    Later messages, edits and titles are not shown, and neither are answers that are not finished yet. Attachments are
    shown as their names. The result contains the token, which cannot be read again later. A repeated request creates
    another link.

    - `InvalidInput`: The conversation has no finished message, `expiresAt` is not in the future, or the server has
      sharing switched off.
    - `NotFound`: The conversation does not exist.
    - `RateLimited`: The viewer has sent too many messages. Creating a link counts as one.
    """
    context, conversation_id = info.context, as_uuid(id)
    if not context.services.sharing.is_on:
        raise InvalidInput("id", "cannot be shared, because sharing is switched off on this server.")
    if expires_at is not None and expires_at <= now():
        raise InvalidInput("expiresAt", "must be in the future.")
    if conversation_id is None or await context.loaders.conversations.load(conversation_id) is None:
        raise NotFound(id, "conversation")
    await context.limits.check_send(context.viewer.user_id)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    columns: dict[str, Any] = {
        "digest": digest_of(token),
        "expires_at": expires_at,
        "include_thinking": include_thinking,
        "include_tools": include_tools,
        "include_context": include_context,
    }
    share = await _store(context, conversation_id, columns)
    return ShareConversationPayload(share, token, context.path(ROUTE + token))


async def revoke_share(info: Info, id: Annotated[ID, argument("The id of the share, not its token.")]) -> RevokedShare:
    """Revoke a link. It stops working at once, on all replicas.

    - `NotFound`: The share does not exist, or has already been revoked.
    """
    context, owner, share_id = info.context, info.context.viewer.user_id, as_uuid(id)
    async with context.database.write() as session:
        conversation_id = await rows.remove(session, owner, share_id) if share_id else None
        if share_id is None or conversation_id is None:
            raise NotFound(id, "share")
        await _audit(session, Action.SHARE_REVOKED, context, conversation_id, share_id)
    return RevokedShare(str(share_id))


async def shares_of_viewer(
    info: Info, first: First = None, after: After = None, last: Last = None, before: Before = None
) -> Connection[Share]:
    """The viewer's links to shared conversations that are valid, newest first.

    A page has at most 100 links, and 50 by default.
    """
    async with info.context.read() as session:
        return await rows.page(session, info.context.viewer.user_id, Page(first, after, last, before))


async def shares_of_conversation(
    info: Info,
    root: AnyConversation,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Connection[Share]:
    """The links to this conversation that are valid, newest first. A page has at most 100 links, and 50 by default."""
    async with info.context.read() as session:
        return await rows.page(session, info.context.viewer.user_id, Page(first, after, last, before), root.id)


async def conversation_of_share(info: Info, root: Share) -> ConversationRow | None:
    """The shared conversation."""
    return await info.context.loaders.conversations.load(root.conversation_id)


async def shared_conversation(
    info: Info, token: Annotated[str, argument("The token of the link, from `shareConversation`.")]
) -> SharedConversation | None:
    """The conversation of a link. No sign-in is needed, except over a WebSocket.

    Null if the link does not exist, has expired or was revoked, or if the server has sharing switched off. Each request
    counts as a view.
    """
    return await open_share(info.context, token)


async def shared_messages(
    info: Info,
    root: SharedConversation,
    first: First = None,
    after: After = None,
    last: Last = None,
    before: Before = None,
) -> Connection[SharedMessage]:
    """The messages, oldest first. A page has at most 100 messages, and 50 by default."""
    return await page_of(info.context, root.share, Page(first, after, last, before))


async def open_share(context: Context, token: str, *, is_view: bool = True) -> SharedConversation | None:
    """Return the conversation of a token, or None if the token is not valid.

    Args:
        context: Any context. The viewer is not checked, because the token is the permission to read.
        token: The token, as the client sent it.
        is_view: Whether to count a view.
    """
    if not context.services.sharing.is_on or len(token) > LONGEST_TOKEN:
        return None
    async with context.read() as session:
        share = await rows.by_digest(session, digest_of(token))
    if share is None:
        return None
    if is_view:
        context.services.sharing.count_view(share.id)
    return SharedConversation(share)


async def page_of(context: Context, share: Share, page: Page) -> Connection[SharedMessage]:
    """Return a page of the messages that a share shows."""
    async with context.read() as session:
        connection = await branches.page(session, share.owner_id, share.leaf_id, page)
        file_ids = attachments_in(edge.node.content for edge in connection.edges)
        files = await attachments.get_many(session, share.owner_id, file_ids) if file_ids else {}
    shown = [Edge(edge.cursor, _show(edge.node, share, files)) for edge in connection.edges]
    return Connection(shown, connection.page_info)


def digest_of(token: str) -> str:
    """Return the hash under which a token is stored."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


async def _store(context: Context, conversation_id: UUID, columns: dict[str, Any]) -> Share:
    """Store a share of the active branch as it is now; raise NotFound or InvalidInput."""
    owner = context.viewer.user_id
    async with context.database.write() as session:
        await leases.lock_owner(session, owner)
        conversation = await conversations.get(session, owner, conversation_id)
        if conversation is None or conversation.updated_at == conversations.NEVER:
            raise NotFound(str(conversation_id), "conversation")
        leaf_id = await _finished_leaf(session, conversation)
        share = Share(
            owner_id=owner, conversation_id=conversation_id, leaf_id=leaf_id, title=conversation.title, **columns
        )
        await insert(session, [share])
        await _audit(session, Action.CONVERSATION_SHARED, context, conversation_id, share.id)
    return share


async def _finished_leaf(session: AsyncSession, conversation: Conversation) -> UUID:
    """Return the last message of the active branch before the first answer that is not finished; raise InvalidInput."""
    leaf_id = conversation.active_leaf_id
    unfinished = await generations.unfinished(session, conversation.owner_id, [conversation.id])
    # Oldest first, so the first one on the branch is the one nearest to the root.
    for generation in unfinished.get(conversation.id, []):
        if await branches.on_branch(session, leaf_id, generation.message_id):
            answer = (await messages.read_many(session, conversation.owner_id, [generation.message_id])).popitem()[1]
            leaf_id = answer.parent_id
            break
    if leaf_id is None:
        raise InvalidInput("id", "must be a conversation with a finished message.")
    return leaf_id


def _show(message: MessageRow, share: Share, files: dict[UUID, Attachment]) -> SharedMessage:
    shown = [_show_block(block, share, files) for block in blocks.show(message.content)]
    context = JSON(exact_for_javascript(message.context)) if share.include_context else None
    return SharedMessage(
        message.role,
        blocks.joined_text(message.content),
        [block for block in shown if block is not None],
        context,
        message.created_at,
    )


def _show_block(block: blocks.ContentBlock, share: Share, files: dict[UUID, Attachment]) -> SharedBlock | None:
    """Return what a share shows of a block; None for nothing, also for types that are added later."""
    match block:
        case blocks.TextBlock() | blocks.JsonBlock():
            return block
        case blocks.ThinkingBlock() if share.include_thinking:
            return block
        case blocks.ToolUseBlock():
            return SharedToolCall(block.index, block.name, block.input if share.include_tools else None)
        case blocks.ToolResultBlock() if share.include_tools:
            return SharedToolResult(block.index, block.output, block.is_error)
        case blocks.ImageBlock() | blocks.DocumentBlock():
            file = files.get(block.attachment_id)
            return None if file is None else SharedFile(block.index, file.filename, file.media_type)
        case _:
            return None


async def _audit(
    session: AsyncSession, action: Action, context: Context, conversation_id: UUID, share_id: UUID
) -> None:
    details: dict[str, Any] = {"conversation": str(conversation_id), "share": str(share_id)}
    await accounts.audit(session, action, context.viewer.user_id, context.address, **details)
