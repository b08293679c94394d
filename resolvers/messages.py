"""The fields of messages and generations."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from tertulia.claude.errors import GenerationError
from tertulia.claude.parser import REFUSAL
from tertulia.claude.repairs import LeftOut as Reason
from tertulia.db.ledger import UsageSum
from tertulia.db.rows import AnyGeneration, AnyMessage, ConversationRow, GenerationRow, MessageRow
from tertulia.resolvers.content import ContentBlock, joined_text, show
from tertulia.resolvers.context import Info, loaded_by


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The number of parts of the conversation that were not sent to Claude, for one reason."""

    reason: Reason
    blocks: int


@dataclass(frozen=True, slots=True)
class GenerationRefusal:
    """Why Claude refused an answer."""

    category: str | None
    explanation: str | None


def content(root: AnyMessage) -> list[ContentBlock]:
    """The message's blocks, in the order of the Messages API.

    While an answer is being written, they are about a second old; those of a long answer are older.
    """
    return show(root.content)


def text(root: AnyMessage) -> str:
    """The concatenated text of all text blocks. Empty if there is none."""
    return joined_text(root.content)


def _left_out(_root: AnyMessage, generation: GenerationRow | None) -> Sequence[LeftOut]:
    counts = {} if generation is None else generation.left_out
    return [LeftOut(Reason(reason), count) for reason, count in counts.items()]


@loaded_by(lambda loaders: loaders.generation_of, key=attrgetter("id"), value=_left_out)
async def left_out(info: Info, root: AnyMessage) -> Sequence[LeftOut]:
    """The parts of the conversation that were not sent to Claude for this answer. Empty until the answer has ended."""
    return _left_out(root, await info.context.loaders.generation_of.load(root.id))


@loaded_by(lambda loaders: loaders.conversations, key=attrgetter("conversation_id"))
def conversation(info: Info, root: AnyMessage | AnyGeneration) -> Awaitable[ConversationRow | None]:
    """The conversation to which this object belongs."""
    return info.context.loaders.conversations.load(root.conversation_id)


@loaded_by(lambda loaders: loaders.messages, key=attrgetter("parent_id"))
def parent(info: Info, root: AnyMessage) -> Awaitable[MessageRow | None] | None:
    """The previous message of the branch. Null for the first message."""
    return info.context.loaders.messages.load(root.parent_id) if root.parent_id else None


def _siblings(root: AnyMessage, versions: Sequence[AnyMessage] | None) -> Sequence[AnyMessage]:
    return versions or [root]


@loaded_by(lambda loaders: loaders.versions_of, key=attrgetter("id"), value=_siblings)
async def siblings(info: Info, root: AnyMessage) -> Sequence[AnyMessage]:
    """All versions of this message, including itself, oldest first."""
    return _siblings(root, await info.context.loaders.versions_of.load(root.id))


@loaded_by(lambda loaders: loaders.generation_of, key=attrgetter("id"))
def generation(info: Info, root: AnyMessage) -> Awaitable[GenerationRow | None]:
    """The generation that wrote this message. Null for a user's message."""
    return info.context.loaders.generation_of.load(root.id)


@loaded_by(lambda loaders: loaders.messages, key=attrgetter("message_id"))
def message(info: Info, root: AnyGeneration) -> Awaitable[MessageRow | None]:
    """The assistant's message. It exists from the start, and its content grows while Claude writes."""
    return info.context.loaders.messages.load(root.message_id)


def usage(root: AnyGeneration) -> UsageSum | None:
    """The tokens that Claude's API billed. Null until Claude's API has reported any."""
    if root.input_tokens is None and root.output_tokens is None:
        return None
    return UsageSum(
        root.input_tokens or 0,
        root.output_tokens or 0,
        root.cache_read_tokens or 0,
        root.cache_write_tokens or 0,
        root.amount,
    )


def refusal(root: AnyGeneration) -> GenerationRefusal | None:
    """Why Claude refused to answer or to continue. Null unless `stopReason` is REFUSAL."""
    if root.stop_reason != REFUSAL:
        return None
    details = root.refusal or {}
    return GenerationRefusal(details.get("category"), details.get("explanation"))


def error(root: Any) -> GenerationError | None:
    """Why the generation failed. Null if it did not fail."""
    return GenerationError.from_json(root.error) if root.error else None
