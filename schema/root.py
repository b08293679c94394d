"""The root types: all queries, mutations and subscriptions."""

from collections.abc import AsyncGenerator
from typing import Annotated

import strawberry
from strawberry.schema.config import StrawberryConfig

from tertulia.resolvers import branches, changes, conversations, follow, search, send, tool_results
from tertulia.resolvers import tools as tool_resolvers
from tertulia.resolvers import viewer as viewing
from tertulia.schema import enums, inputs
from tertulia.schema.content import (
    CompactionBlock,
    DocumentBlock,
    ImageBlock,
    JsonBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from tertulia.schema.declare import described, field, graphql_type, subscription
from tertulia.schema.documents import Schema
from tertulia.schema.errors import EXPECTED, BudgetExceeded, ConversationBusy, InvalidInput, NotFound, RateLimited
from tertulia.schema.events import EVENTS, GenerationEvent
from tertulia.schema.executor import BoundedExecutor
from tertulia.schema.models import Model
from tertulia.schema.relay import Node
from tertulia.schema.scalars import SCALARS
from tertulia.schema.tools import Tool, ToolServer
from tertulia.schema.types import (
    Conversation,
    ConversationChange,
    ConversationConnection,
    Generation,
    Message,
    MessageSearchConnection,
)
from tertulia.schema.viewer import Viewer

__all__ = ["build", "enums", "inputs", "schema"]


@graphql_type(send.SendMessagePayload)
class SendMessagePayload:
    """What was stored, at once: the answer is written behind it."""

    conversation: Conversation
    """The conversation, new or not, as it is now."""
    user_message: Message
    """What was sent; of `regenerateMessage`, the message that is answered again."""
    generation: Generation
    """The answer: follow it by `generationEvents`."""
    replayed: bool
    """Whether an idempotency key gave an earlier result back, so that nothing was stored now."""


@graphql_type(conversations.ConversationPayload)
class ConversationPayload:
    """The conversation as it is now."""

    conversation: Conversation
    """What was made, changed or chosen."""


@graphql_type(conversations.DeletedConversation)
class DeletedConversation:
    """What is gone."""

    deleted_id: strawberry.ID
    """The id of what was deleted; nothing is found by it any more."""


@graphql_type(send.GenerationPayload)
class GenerationPayload:
    """The answer as it is now."""

    generation: Generation
    """The answer, with what is written of it."""


SendMessageResult = Annotated[
    SendMessagePayload | InvalidInput | NotFound | ConversationBusy | RateLimited | BudgetExceeded,
    strawberry.union("SendMessageResult", description="What asking for an answer gives, or why it was not taken."),
]
CreateConversationResult = Annotated[
    ConversationPayload | InvalidInput | RateLimited,
    strawberry.union("CreateConversationResult", description="The new conversation, or why there is none."),
]
UpdateConversationResult = Annotated[
    ConversationPayload | InvalidInput | NotFound,
    strawberry.union("UpdateConversationResult", description="The changed conversation, or why it was not changed."),
]
DeleteConversationResult = Annotated[
    DeletedConversation | NotFound,
    strawberry.union("DeleteConversationResult", description="What was deleted, or that there is nothing to delete."),
]
SelectBranchResult = Annotated[
    ConversationPayload | NotFound,
    strawberry.union("SelectBranchResult", description="The conversation with its branch, or that there is none."),
]
ForkConversationResult = Annotated[
    ConversationPayload | InvalidInput | NotFound,
    strawberry.union("ForkConversationResult", description="The new conversation, or why there is none."),
]
SubmitToolResultsResult = Annotated[
    GenerationPayload | InvalidInput | NotFound,
    strawberry.union("SubmitToolResultsResult", description="The answer that goes on, or why nothing was taken."),
]
StopGenerationResult = Annotated[
    GenerationPayload | NotFound,
    strawberry.union("StopGenerationResult", description="The answer at its end, or that there is none."),
]


@described
class Query:
    """Reading. What a caller may not see does not exist for that caller: null, never a refusal."""

    node: Node | None = field(viewing.node)
    nodes: list[Node | None] = field(viewing.nodes)
    viewer: Viewer = field(viewing.viewer)
    conversation: Conversation | None = field(conversations.conversation)
    conversations: ConversationConnection = field(conversations.conversations)
    search_messages: MessageSearchConnection = field(search.search_messages)
    generation: Generation | None = field(viewing.generation)
    models: list[Model] = field(viewing.models)
    tools: list[Tool] = field(tool_resolvers.tools)
    tool_servers: list[ToolServer] = field(tool_resolvers.tool_servers)


@described
class Mutation:
    """Writing. Errors that a caller can handle are members of the result; the rest are GraphQL errors with a code."""

    create_conversation: CreateConversationResult = field(conversations.create_conversation)
    update_conversation: UpdateConversationResult = field(conversations.update_conversation)
    delete_conversation: DeleteConversationResult = field(conversations.delete_conversation)
    send_message: SendMessageResult = field(send.send_message)
    edit_message: SendMessageResult = field(send.edit_message)
    regenerate_message: SendMessageResult = field(send.regenerate_message)
    select_branch: SelectBranchResult = field(branches.select_branch)
    fork_conversation: ForkConversationResult = field(branches.fork_conversation)
    stop_generation: StopGenerationResult = field(send.stop_generation)
    submit_tool_results: SubmitToolResultsResult = field(tool_results.submit_tool_results)


@described
class Subscription:
    """Following, over `graphql-transport-ws`, server-sent events or multipart. Who leaves ends nothing."""

    generation_events: AsyncGenerator[GenerationEvent, None] = subscription(follow.generation_events)
    conversation_changes: AsyncGenerator[ConversationChange, None] = subscription(changes.conversation_changes)


def build(query: type = Query, mutation: type = Mutation) -> Schema:
    """Build the schema with these root types."""
    return Schema(
        query=query,
        mutation=mutation,
        subscription=Subscription,
        types=[
            *EVENTS,
            Message,
            TextBlock,
            JsonBlock,
            CompactionBlock,
            ThinkingBlock,
            ToolUseBlock,
            ToolResultBlock,
            ImageBlock,
            DocumentBlock,
        ],
        exception_handlers=EXPECTED,
        execution_context_class=BoundedExecutor,
        config=StrawberryConfig(scalar_map=SCALARS),
    )


schema = build()
"""The schema of all servers whose application adds no fields."""
