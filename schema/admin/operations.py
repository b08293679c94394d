"""The GraphQL types of webhooks, tools, assistants and settings, as operators see them."""

from datetime import datetime
from typing import Annotated

import strawberry

from tertulia.assistants import catalog
from tertulia.db import outbox
from tertulia.resolvers import server_info
from tertulia.resolvers.admin import operations
from tertulia.schema.declare import field, graphql_type
from tertulia.schema.errors import Forbidden, InvalidInput, NotFound


@graphql_type(operations.WebhookState)
class AdminWebhook:
    """A webhook, or the hook `after_answer`."""

    name: str
    """The name of the endpoint, or its host and port. `hook:after_answer` for the hook."""
    events: list[str]
    """The events that it receives. Empty if the server is no longer configured with it."""
    is_configured: bool = field(operations.is_configured)
    pending_count: int = field(operations.pending_count)
    delivered_count: int = field(operations.delivered_count)
    failed_count: int = field(operations.failed_count)
    oldest_pending_at: datetime | None = field(operations.oldest_pending_at)
    disabled_at: datetime | None = field(operations.disabled_at)


@graphql_type(outbox.OutboxEvent)
class AdminWebhookEvent:
    """An event that was not delivered. Its content is not shown."""

    id: strawberry.ID
    """The id of the event, for `adminRetryWebhooks`."""
    webhook: str = field(operations.webhook_of)
    event: str
    """The name of the event, such as `generation.completed`."""
    attempts: int
    """How often the server has tried to deliver it."""
    error: str | None
    """Why the last attempt failed. Null if none has failed."""
    created_at: datetime
    """When it was stored, in UTC."""
    next_attempt_at: datetime | None = field(operations.next_attempt_at)


@graphql_type(operations.AdminRetriedWebhooks)
class AdminRetriedWebhooks:
    """Events that are delivered again."""

    count: int
    """The number of the events."""


AdminRetryWebhooksResult = Annotated[
    AdminRetriedWebhooks | InvalidInput | NotFound | Forbidden,
    strawberry.union("AdminRetryWebhooksResult", description="The number of events, or the error."),
]


@graphql_type(operations.ToolServerState)
class AdminToolServer:
    """An MCP server, as the process that answers the query sees it."""

    name: str
    """The name in the file of MCP servers."""
    connected: bool | None
    """Whether the process is connected to it. Null if each user connects with their own account."""
    problem: str | None
    """Why it is not connected. Null if it is."""
    tool_count: int
    """The number of its tools that the server offers. 0 if each user connects."""
    skipped_count: int
    """The number of its tools that cannot be used: `Query.toolServers` names them."""
    own_account: bool
    """Whether each user connects with their own account."""
    connected_user_count: int | None
    """The number of users who are connected. Null if all users share the connection."""


@graphql_type(catalog.LoadedAssistant)
class AdminAssistant:
    """The file of an assistant, as it is loaded."""

    id: strawberry.ID
    """The id of the assistant, which is the name of its file."""
    name: str | None = field(operations.assistant_name)
    description: str | None = field(operations.assistant_description)
    model_id: str | None = field(operations.assistant_model)
    tools: list[str] = field(operations.assistant_tools)
    memory: bool = field(operations.assistant_memory)
    is_default: bool = field(operations.assistant_is_default)
    problem: str | None
    """The error in the file, with its line. The last valid version stays in use. Null if it is valid."""


@graphql_type(server_info.SettingValue)
class AdminSetting:
    """A setting of the server."""

    name: str
    """The name of the environment variable."""
    value: str | None
    """The value. Null if it is not set, and for secrets. User names, passwords and queries of addresses are left out,
    and files of documents, prices and options are only counted.
    """
    is_set: bool
    """Whether it has a value, which may be the default."""
    is_secret: bool
    """Whether it is a secret, whose value is never shown."""
    is_default: bool
    """Whether the value is the default."""
