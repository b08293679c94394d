"""The request for a summary of a conversation: its input, and the turn that it summarizes."""

from dataclasses import dataclass

from strawberry import ID

from tertulia.claude.compaction import COMPACTED
from tertulia.db import conversations, messages
from tertulia.db.database import AsyncSession
from tertulia.db.prompt_branches import BranchReader
from tertulia.json import Json
from tertulia.resolvers.assistants import policy_of
from tertulia.resolvers.context import Context, as_uuid
from tertulia.resolvers.errors import InvalidInput, NotFound
from tertulia.resolvers.inputs import GenerationOptions, WhenBusy, check_text
from tertulia.resolvers.turns import Turn

MAX_INSTRUCTIONS = 10_000
"""The maximum length in characters."""


@dataclass
class CompactConversation:
    """A request to summarize the active branch of a conversation, so that later answers read the summary instead."""

    conversation_id: ID
    """The id of the conversation whose active branch is summarized."""
    instructions: str | None = None
    """Instructions for the summary, which replace those of Claude's API: at most 10,000 characters. Null for none."""
    idempotency_key: ID | None = None
    """A UUID that the client creates. Within 24 hours, a repeated request with the same key returns the first result,
    and Claude is asked only once.
    """

    @property
    def options(self) -> GenerationOptions | None:
        """The options of the client: a summary has none."""
        return None

    @property
    def when_busy(self) -> WhenBusy:
        """A summary is refused while the branch is being answered."""
        return WhenBusy.REJECT

    @property
    def generation_options(self) -> Json:
        """The option that makes the generation write a summary, in the form in which it is stored."""
        instructions = (self.instructions or "").strip()
        return {"compaction": {"instructions": instructions} if instructions else {}}


async def turn_of_compaction(
    session: AsyncSession, context: Context, input: CompactConversation, branches: BranchReader
) -> Turn:
    """Return the turn of a summary, which follows the active branch; raise NotFound or InvalidInput."""
    conversation_id = as_uuid(input.conversation_id)
    owner = context.viewer.user_id
    conversation = await conversations.get(session, owner, conversation_id) if conversation_id else None
    if conversation is None:
        raise NotFound(input.conversation_id, "conversation")
    check_text("instructions", input.instructions or "", MAX_INSTRUCTIONS)
    branch = await branches.read(session, conversation.active_leaf_id)
    if not branch:
        raise InvalidInput("conversationId", "must have messages that can be summarized.")
    if branch[-1].stop_reason == COMPACTED:
        raise InvalidInput("conversationId", "must have messages after its last summary.")
    default_id = context.models.default_id
    model = context.models.known(policy_of(context, conversation).model_of(conversation, default_id))
    if not model.summarizes:
        raise InvalidInput("conversationId", f"must not be summarized: the model {model.id} does not support it.")
    last_id = branch[-1].message.id
    last = (await messages.get_many(session, owner, [last_id]))[last_id]
    return Turn(conversation, branch[:-1], last, new_message=False, entry=branch[-1])
