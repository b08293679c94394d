"""The rows that a send stores."""

from tertulia.db import contributions, conversations, metadata, search
from tertulia.db.database import AsyncSession
from tertulia.db.inserting import insert, new_row
from tertulia.db.tables import Generation, Message, Role, Status, new_id, now
from tertulia.generation.contribution import AssistantContribution
from tertulia.generation.input import GenerationInput
from tertulia.resolvers.assistants import AnswerSettings
from tertulia.resolvers.context import Context
from tertulia.resolvers.turns import Turn


def new_rows(turn: Turn, settings: AnswerSettings, plan: str) -> tuple[Message, Generation]:
    """Return the answer of a turn, which is empty, and its generation, which is queued."""
    created_at = now()
    answer = new_row(
        Message,
        id=new_id(),
        created_at=created_at,
        conversation_id=turn.conversation.id,
        parent_id=turn.question.id,
        role=Role.ASSISTANT,
        depth=turn.question.depth + 1,
    )
    generation = new_row(
        Generation,
        id=new_id(),
        created_at=created_at,
        conversation_id=turn.conversation.id,
        message_id=answer.id,
        model=settings.model,
        plan=plan,
        options=settings.options,
    )
    return answer, generation


def mark_running(generation: Generation, context: Context, work: GenerationInput) -> None:
    """Set a generation to running in this process, before its row is inserted."""
    generation.status = Status.RUNNING
    generation.started_at = now()
    generation.prefix = work.prefix
    generation.holder = context.generation_manager.holder
    generation.lease_until = context.generation_manager.lease_end()


async def insert_messages(session: AsyncSession, turn: Turn, answer: Message) -> None:
    """Insert the messages of a turn, and its conversation if it is new."""
    conversation = turn.conversation
    if not turn.new_conversation:
        await conversations.activate(session, conversation, answer.id, answer.created_at)
    else:
        conversation.active_leaf_id, conversation.updated_at = answer.id, answer.created_at
        await insert(session, [conversation])
        await metadata.add(session, conversation.owner_id, conversation.id, conversation.app_metadata)
    await turn.attached.store(session, conversation.id)
    await insert(session, [turn.question, answer] if turn.new_message else [answer])
    if turn.new_message and not conversation.temporary:
        await search.add(session, (conversation.owner_id, turn.question.id, turn.question.content))


async def insert_contribution(
    session: AsyncSession, generation: Generation, contribution: AssistantContribution
) -> None:
    """Store what an assistant adds to a generation, before the generation's row is inserted."""
    content = contribution.to_json()
    generation.contribution = contributions.digest_of(content)
    await contributions.add(session, generation.conversation_id, generation.contribution, content)
