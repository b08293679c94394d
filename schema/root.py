"""The roots: the API's table of contents."""

from collections.abc import AsyncGenerator
from typing import Annotated

import strawberry
from strawberry.schema.config import StrawberryConfig

from resolvers import branching, changes, conversations, following, search, sending, submitting, viewing
from resolvers import tools as tool_resolvers
from schema import inputs
from schema.content import (
    CompactionBlock,
    DocumentBlock,
    ImageBlock,
    JsonBlock,
    Node,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
)
from schema.documents import Documents, Schema
from schema.errors import EXPECTED, BudgetExceeded, ConversationBusy, InvalidInput, NotFound, RateLimited
from schema.events import EVENTS, GenerationEvent
from schema.failures import Failures
from schema.shows import followed, served, shows
from schema.tools import Tool, ToolServer
from schema.types import (
    Conversation,
    ConversationChange,
    ConversationConnection,
    Generation,
    Message,
    MessageSearchConnection,
    Model,
    Viewer,
)

__all__ = ["inputs", "schema"]


@shows(sending.SendMessagePayload)
class SendMessagePayload:
    """What a send gives back at once."""

    conversation: Conversation
    user_message: Message
    generation: Generation
    replayed: bool = strawberry.field(description="True when an idempotency key gave an earlier result back.")


@shows(conversations.ConversationPayload)
class ConversationPayload:
    """The conversation as it is now."""

    conversation: Conversation


@shows(conversations.DeletedConversation)
class DeletedConversation:
    """What is gone."""

    deleted_id: strawberry.ID


@shows(sending.GenerationPayload)
class GenerationPayload:
    """The generation as it is now."""

    generation: Generation


SendMessageResult = Annotated[
    SendMessagePayload | InvalidInput | NotFound | ConversationBusy | RateLimited | BudgetExceeded,
    strawberry.union("SendMessageResult"),
]
CreateConversationResult = Annotated[
    ConversationPayload | InvalidInput | RateLimited, strawberry.union("CreateConversationResult")
]
UpdateConversationResult = Annotated[
    ConversationPayload | InvalidInput | NotFound, strawberry.union("UpdateConversationResult")
]
DeleteConversationResult = Annotated[DeletedConversation | NotFound, strawberry.union("DeleteConversationResult")]
SelectBranchResult = Annotated[ConversationPayload | NotFound, strawberry.union("SelectBranchResult")]
ForkConversationResult = Annotated[
    ConversationPayload | InvalidInput | NotFound, strawberry.union("ForkConversationResult")
]
SubmitToolResultsResult = Annotated[
    GenerationPayload | InvalidInput | NotFound, strawberry.union("SubmitToolResultsResult")
]
StopGenerationResult = Annotated[GenerationPayload | NotFound, strawberry.union("StopGenerationResult")]


@strawberry.type
class Query:
    """Reading. What a caller may not see does not exist for that caller."""

    node: Node | None = served(viewing.node)
    nodes: list[Node | None] = served(viewing.nodes)
    viewer: Viewer = served(viewing.viewer)
    conversation: Conversation | None = served(conversations.conversation)
    conversations: ConversationConnection = served(conversations.conversations)
    search_messages: MessageSearchConnection = served(search.search_messages)
    generation: Generation | None = served(viewing.generation)
    models: list[Model] = served(viewing.models)
    tools: list[Tool] = served(tool_resolvers.tools)
    tool_servers: list[ToolServer] = served(tool_resolvers.tool_servers)


@strawberry.type
class Mutation:
    """Writing. Errors that a caller can handle are members of the result."""

    create_conversation: CreateConversationResult = served(conversations.create_conversation)
    update_conversation: UpdateConversationResult = served(conversations.update_conversation)
    delete_conversation: DeleteConversationResult = served(conversations.delete_conversation)
    send_message: SendMessageResult = served(sending.send_message)
    edit_message: SendMessageResult = served(sending.edit_message)
    regenerate_message: SendMessageResult = served(sending.regenerate_message)
    select_branch: SelectBranchResult = served(branching.select_branch)
    fork_conversation: ForkConversationResult = served(branching.fork_conversation)
    stop_generation: StopGenerationResult = served(sending.stop_generation)
    submit_tool_results: SubmitToolResultsResult = served(submitting.submit_tool_results)


@strawberry.type
class Subscription:
    """Following."""

    generation_events: AsyncGenerator[GenerationEvent, None] = followed(following.generation_events)
    conversation_changes: AsyncGenerator[ConversationChange, None] = followed(changes.conversation_changes)


schema = Schema(
    query=Query,
    mutation=Mutation,
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
    extensions=[Documents, Failures],
    config=StrawberryConfig(),
)
