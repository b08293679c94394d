"""The fields of messages and generations."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Any

from tertulia.claude.errors import GenerationError
from tertulia.claude.prompt import LeftOut as Reason
from tertulia.db.ledger import UsageSum
from tertulia.db.tables import Conversation, Generation, Message
from tertulia.resolvers.content import ContentBlock, joined_text, show
from tertulia.resolvers.context import Info


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Blocks of earlier messages that Claude was not shown."""

    reason: Reason
    blocks: int


def content(root: Message) -> list[ContentBlock]:
    """The blocks, in Claude's order. While the answer is being written: as of about a second ago."""
    return show(root.content)


def text(root: Message) -> str:
    """All text blocks, joined without anything between them; empty where there is none."""
    return joined_text(root.content)


async def left_out(info: Info, root: Message) -> Sequence[LeftOut]:
    """What of earlier messages Claude was not shown when it wrote this one, and why; empty until it has ended."""
    generation = await info.context.loaders.generation_of.load(root.id)
    return (
        [] if generation is None else [LeftOut(Reason(reason), count) for reason, count in generation.left_out.items()]
    )


def conversation(info: Info, root: Message | Generation) -> Awaitable[Conversation | None]:
    """The conversation it stands in."""
    return info.context.loaders.conversations.load(root.conversation_id)


def parent(info: Info, root: Message) -> Awaitable[Message | None] | None:
    """The message before it on its branch; null for the first one."""
    return info.context.loaders.messages.load(root.parent_id) if root.parent_id else None


async def siblings(info: Info, root: Message) -> Sequence[Message]:
    """Other versions of this message, itself included, oldest first."""
    return await info.context.loaders.siblings_of.load(root.id) or [root]


def generation(info: Info, root: Message) -> Awaitable[Generation | None]:
    """Claude's work on it; null for a user's message."""
    return info.context.loaders.generation_of.load(root.id)


def message(info: Info, root: Generation) -> Awaitable[Message | None]:
    """The assistant's message; it exists, and grows, while the answer is being written."""
    return info.context.loaders.messages.load(root.message_id)


def usage(root: Generation) -> UsageSum | None:
    """Tokens as Claude's API billed them; null before Claude has said anything of them."""
    if root.input_tokens is None and root.output_tokens is None:
        return None
    return UsageSum(
        root.input_tokens or 0,
        root.output_tokens or 0,
        root.cache_read_tokens or 0,
        root.cache_write_tokens or 0,
        root.amount,
    )


def error(root: Any) -> GenerationError | None:
    """Why it failed; null where it did not."""
    return GenerationError.from_json(root.error) if root.error else None
