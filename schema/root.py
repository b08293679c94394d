"""The root types: all queries, mutations and subscriptions."""

from collections.abc import AsyncGenerator
from typing import Annotated

import strawberry
from strawberry.schema.config import StrawberryConfig

from tertulia.resolvers import (
    app_data,
    branches,
    changes,
    compact,
    conversations,
    credentials,
    deletion,
    feedback,
    follow,
    memories,
    search,
    send,
    tool_results,
)
from tertulia.resolvers import assistants as assistant_resolvers
from tertulia.resolvers import shares as share_resolvers
from tertulia.resolvers import tool_connections as tool_server_resolvers
from tertulia.resolvers import tools as tool_resolvers
from tertulia.resolvers import viewer as viewing
from tertulia.resolvers.admin import generations as admin_generations
from tertulia.resolvers.admin import operations, reading, user_actions
from tertulia.resolvers.admin import root as admin_resolvers
from tertulia.schema import enums, federation, inputs
from tertulia.schema.admin.generations import AdminStopGenerationResult
from tertulia.schema.admin.operations import AdminRetryWebhooksResult
from tertulia.schema.admin.reading import AdminReadConversationResult
from tertulia.schema.admin.root import Admin
from tertulia.schema.admin.user_actions import (
    AdminDeleteUserResult,
    AdminDisableUserResult,
    AdminEnableUserResult,
    AdminSetUserPlanResult,
    AdminSignOutUserResult,
)
from tertulia.schema.assistants import Assistant
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
from tertulia.schema.credentials import CreatePersonalTokenPayload, RevokedPersonalToken, RevokedSignIn
from tertulia.schema.declare import described, field, graphql_type, subscription
from tertulia.schema.documents import Schema
from tertulia.schema.errors import (
    EXPECTED,
    BudgetExceeded,
    ConversationBusy,
    InvalidInput,
    NotFound,
    RateLimited,
    SendRefused,
)
from tertulia.schema.events import EVENTS, GenerationEvent
from tertulia.schema.executor import BoundedExecutor
from tertulia.schema.memories import DeletedMemory, MemoryPayload
from tertulia.schema.models import Model
from tertulia.schema.relay import Node
from tertulia.schema.scalars import SCALARS
from tertulia.schema.shares import RevokedShare, ShareConnection, ShareConversationPayload, SharedConversation
from tertulia.schema.tools import Tool, ToolServer, ToolServerPayload
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
    """The stored message and its generation. It is returned before Claude answers."""

    conversation: Conversation
    """The new or existing conversation."""
    user_message: Message
    """The stored message. For `regenerateMessage`, the message that is answered again."""
    generation: Generation
    """The generation of the answer. Follow it with `generationEvents`."""
    replayed: bool
    """Whether this is the result of an earlier request with the same `idempotencyKey`, so that nothing was stored now.
    """


@graphql_type(conversations.ConversationPayload)
class ConversationPayload:
    """A conversation that was created, changed or selected."""

    conversation: Conversation
    """The conversation in its current state."""
    created: bool
    """Whether this request created the conversation. False if `createConversation` returns an existing one."""


@graphql_type(app_data.MessagePayload)
class MessagePayload:
    """A message that was changed."""

    updated_message: Message
    """The message in its current state."""


@graphql_type(conversations.DeletedConversation)
class DeletedConversation:
    """A conversation that was deleted."""

    deleted_id: strawberry.ID
    """The id of the deleted conversation."""


@graphql_type(deletion.DeletedMessage)
class DeletedMessage:
    """A message that was deleted with everything after it."""

    deleted_id: strawberry.ID
    """The id of the deleted message."""
    conversation: Conversation
    """The conversation without the message."""


@graphql_type(feedback.RatedMessage)
class RatedMessage:
    """An answer that was rated."""

    answer: Message
    """The answer with its current rating."""


@graphql_type(compact.CompactConversationPayload)
class CompactConversationPayload:
    """The conversation, and the generation of its summary. It is returned before Claude has written the summary."""

    conversation: Conversation
    """The summarized conversation."""
    generation: Generation
    """The generation of the summary. Follow it with `generationEvents`."""
    replayed: bool
    """Whether this is the result of an earlier request with the same `idempotencyKey`, so that nothing was stored."""


@graphql_type(send.GenerationPayload)
class GenerationPayload:
    """A generation that was stopped or continued."""

    generation: Generation
    """The generation in its current state."""


SendMessageResult = Annotated[
    SendMessagePayload | InvalidInput | NotFound | ConversationBusy | RateLimited | BudgetExceeded | SendRefused,
    strawberry.union("SendMessageResult", description="The stored message and its generation, or the error."),
]
CompactConversationResult = Annotated[
    CompactConversationPayload | InvalidInput | NotFound | ConversationBusy | RateLimited | BudgetExceeded,
    strawberry.union("CompactConversationResult", description="The generation of the summary, or the error."),
]
CreateConversationResult = Annotated[
    ConversationPayload | InvalidInput | RateLimited,
    strawberry.union("CreateConversationResult", description="The new conversation, or the error."),
]
UpdateConversationResult = Annotated[
    ConversationPayload | InvalidInput | NotFound,
    strawberry.union("UpdateConversationResult", description="The changed conversation, or the error."),
]
UpdateMessageResult = Annotated[
    MessagePayload | InvalidInput | NotFound,
    strawberry.union("UpdateMessageResult", description="The changed message, or the error."),
]
DeleteConversationResult = Annotated[
    DeletedConversation | NotFound,
    strawberry.union("DeleteConversationResult", description="The deleted conversation, or the error."),
]
DeleteMessageResult = Annotated[
    DeletedMessage | NotFound,
    strawberry.union("DeleteMessageResult", description="The deleted message, or the error."),
]
RateMessageResult = Annotated[
    RatedMessage | InvalidInput | NotFound,
    strawberry.union("RateMessageResult", description="The rated answer, or the error."),
]
SelectBranchResult = Annotated[
    ConversationPayload | NotFound,
    strawberry.union("SelectBranchResult", description="The conversation with the selected branch, or the error."),
]
ForkConversationResult = Annotated[
    ConversationPayload | InvalidInput | NotFound,
    strawberry.union("ForkConversationResult", description="The new conversation, or the error."),
]
SubmitToolResultsResult = Annotated[
    GenerationPayload | InvalidInput | NotFound,
    strawberry.union("SubmitToolResultsResult", description="The generation that received the results, or the error."),
]
StopGenerationResult = Annotated[
    GenerationPayload | NotFound,
    strawberry.union("StopGenerationResult", description="The stopped generation, or the error."),
]
ShareConversationResult = Annotated[
    ShareConversationPayload | InvalidInput | NotFound | RateLimited,
    strawberry.union("ShareConversationResult", description="The new link, or the error."),
]
RevokeShareResult = Annotated[
    RevokedShare | NotFound,
    strawberry.union("RevokeShareResult", description="The revoked link, or the error."),
]
ConnectToolServerResult = Annotated[
    ToolServerPayload | InvalidInput,
    strawberry.union("ConnectToolServerResult", description="The connected MCP server, or the error."),
]
DisconnectToolServerResult = Annotated[
    ToolServerPayload | InvalidInput,
    strawberry.union("DisconnectToolServerResult", description="The disconnected MCP server, or the error."),
]

UpdateMemoryResult = Annotated[
    MemoryPayload | InvalidInput | NotFound,
    strawberry.union("UpdateMemoryResult", description="The changed memory, or the error."),
]
DeleteMemoryResult = Annotated[
    DeletedMemory | NotFound,
    strawberry.union("DeleteMemoryResult", description="The deleted memory, or the error."),
]
CreatePersonalTokenResult = Annotated[
    CreatePersonalTokenPayload | InvalidInput | RateLimited,
    strawberry.union("CreatePersonalTokenResult", description="The new personal access token, or the error."),
]
RevokePersonalTokenResult = Annotated[
    RevokedPersonalToken | NotFound,
    strawberry.union("RevokePersonalTokenResult", description="The revoked personal access token, or the error."),
]
RevokeSignInResult = Annotated[
    RevokedSignIn | NotFound,
    strawberry.union("RevokeSignInResult", description="The ended sign-in, or the error."),
]


@described
class Query:
    """All queries. Objects that the viewer may not read do not exist for the viewer: their fields are null."""

    node: Node | None = field(viewing.node)
    nodes: list[Node | None] = field(viewing.nodes)
    viewer: Viewer = field(viewing.viewer)
    conversation: Conversation | None = field(conversations.conversation)
    conversations: ConversationConnection = field(conversations.conversations)
    search_messages: MessageSearchConnection = field(search.search_messages)
    generation: Generation | None = field(viewing.generation)
    models: list[Model] = field(viewing.models)
    assistants: list[Assistant] = field(assistant_resolvers.assistants)
    assistant: Assistant | None = field(assistant_resolvers.assistant)
    tools: list[Tool] = field(tool_resolvers.tools)
    tool_servers: list[ToolServer] = field(tool_server_resolvers.tool_servers)
    shares: ShareConnection = field(share_resolvers.shares_of_viewer)
    shared_conversation: SharedConversation | None = field(share_resolvers.shared_conversation)
    admin: Admin | None = field(admin_resolvers.admin)


@described
class Mutation:
    """All mutations.

    Each returns a union of its result and the errors that a caller can handle. All other errors are GraphQL errors with
    a code in `extensions.code`.
    """

    create_conversation: CreateConversationResult = field(conversations.create_conversation)
    update_conversation: UpdateConversationResult = field(conversations.update_conversation)
    delete_conversation: DeleteConversationResult = field(conversations.delete_conversation)
    delete_message: DeleteMessageResult = field(deletion.delete_message)
    send_message: SendMessageResult = field(send.send_message)
    edit_message: SendMessageResult = field(send.edit_message)
    regenerate_message: SendMessageResult = field(send.regenerate_message)
    compact_conversation: CompactConversationResult = field(compact.compact_conversation)
    update_message: UpdateMessageResult = field(app_data.update_message)
    rate_message: RateMessageResult = field(feedback.rate_message)
    select_branch: SelectBranchResult = field(branches.select_branch)
    fork_conversation: ForkConversationResult = field(branches.fork_conversation)
    stop_generation: StopGenerationResult = field(send.stop_generation)
    submit_tool_results: SubmitToolResultsResult = field(tool_results.submit_tool_results)
    share_conversation: ShareConversationResult = field(share_resolvers.share_conversation)
    revoke_share: RevokeShareResult = field(share_resolvers.revoke_share)
    update_memory: UpdateMemoryResult = field(memories.update_memory)
    delete_memory: DeleteMemoryResult = field(memories.delete_memory)
    create_personal_token: CreatePersonalTokenResult = field(credentials.create_personal_token)
    revoke_personal_token: RevokePersonalTokenResult = field(credentials.revoke_personal_token)
    revoke_sign_in: RevokeSignInResult = field(credentials.revoke_sign_in)
    connect_tool_server: ConnectToolServerResult = field(tool_server_resolvers.connect_tool_server)
    disconnect_tool_server: DisconnectToolServerResult = field(tool_server_resolvers.disconnect_tool_server)
    admin_set_user_plan: AdminSetUserPlanResult = field(user_actions.admin_set_user_plan)
    admin_disable_user: AdminDisableUserResult = field(user_actions.admin_disable_user)
    admin_enable_user: AdminEnableUserResult = field(user_actions.admin_enable_user)
    admin_sign_out_user: AdminSignOutUserResult = field(user_actions.admin_sign_out_user)
    admin_delete_user: AdminDeleteUserResult = field(user_actions.admin_delete_user)
    admin_stop_generation: AdminStopGenerationResult = field(admin_generations.admin_stop_generation)
    admin_read_conversation: AdminReadConversationResult = field(reading.admin_read_conversation)
    admin_retry_webhooks: AdminRetryWebhooksResult = field(operations.admin_retry_webhooks)


@described
class Subscription:
    """All subscriptions, over `graphql-transport-ws`, server-sent events or multipart.

    A client that disconnects does not stop a generation.
    """

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
        config=StrawberryConfig(scalar_map=SCALARS | federation.SCALARS),
    )


schema = build()
"""The schema of all servers whose application adds no fields."""
