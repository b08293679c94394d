"""The mutation that summarizes a conversation on demand."""

from dataclasses import dataclass
from typing import Annotated

from tertulia.db.tables import Conversation, Generation
from tertulia.resolvers.arguments import argument
from tertulia.resolvers.compaction import CompactConversation, turn_of_compaction
from tertulia.resolvers.context import Info
from tertulia.resolvers.send import start


@dataclass(frozen=True, slots=True)
class CompactConversationPayload:
    """The conversation, and the generation of its summary."""

    conversation: Conversation
    generation: Generation
    replayed: bool


async def compact_conversation(
    info: Info, input: Annotated[CompactConversation, argument("The conversation, and instructions for its summary.")]
) -> CompactConversationPayload:
    """Summarize the active branch of a conversation with Claude. Later answers read the summary instead of the branch.

    No message is deleted: the summary is an answer of one `CompactionBlock` at the end of the branch. Follow its
    generation like that of an answer. Answers of models that do not support it still read the whole branch.

    - `InvalidInput`: The conversation has no messages, or none after its last summary, its model does not support it,
      the instructions are too long, or the `idempotencyKey` is not a UUID or was used with other input.
    - `NotFound`: The conversation does not exist.
    - `ConversationBusy`: The branch is being answered, or four branches are.
    - `RateLimited`: The viewer has sent too many messages or has too many concurrent generations, or the server is
      shutting down.
    - `BudgetExceeded`: The viewer's monthly budget or daily tokens, or the budget of the server, is used up.
    """
    # The turn checks with the cached models whether the model supports it.
    await info.context.models.list()
    payload = await start(info.context, input, turn_of_compaction)
    return CompactConversationPayload(payload.conversation, payload.generation, payload.replayed)
