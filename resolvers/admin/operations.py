"""The health of the server's parts: webhooks, tools, assistants and settings."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from strawberry import ID

from tertulia.assistants.catalog import LoadedAssistant
from tertulia.db import outbox_states, tool_calls, tool_connections
from tertulia.db.accounts import first_id_after
from tertulia.db.identities import Action
from tertulia.db.outbox import DeliveryStatus, OutboxEvent
from tertulia.db.outbox_states import SubscriberState
from tertulia.db.tables import now
from tertulia.db.tool_calls import ToolUsage
from tertulia.resolvers.admin.access import audit, require_operator
from tertulia.resolvers.arguments import argument
from tertulia.resolvers.context import Info, as_uuid
from tertulia.resolvers.errors import InvalidInput, NotFound
from tertulia.resolvers.server_info import SettingValue

MOST_FAILURES = 100
TOOL_DAYS = 30


@dataclass(frozen=True, slots=True)
class WebhookState:
    """A subscriber of events, with the numbers of its events. Without `events`, it is no longer configured."""

    name: str
    events: Sequence[str]
    state: SubscriberState


@dataclass(frozen=True, slots=True)
class ToolServerState:
    """The state of an MCP server for the whole server. `connected` is None if each user connects."""

    name: str
    connected: bool | None
    problem: str | None
    tool_count: int
    skipped_count: int
    own_account: bool
    connected_user_count: int | None


@dataclass(frozen=True, slots=True)
class AdminRetriedWebhooks:
    """The number of events that are delivered again."""

    count: int


async def webhooks(info: Info) -> Sequence[WebhookState]:
    """The webhooks, and the hook `after_answer`, with the numbers of their events of the last days, by name."""
    events: dict[str, list[str]] = {}
    for event, names in info.context.database.subscribers.items():
        for name in names:
            events.setdefault(name, []).append(event)
    async with info.context.read() as session:
        states = await outbox_states.states(session)
    return [
        WebhookState(name, sorted(events.get(name, [])), states.get(name, SubscriberState()))
        for name in sorted({*events, *states})
    ]


async def webhook_failures(info: Info) -> Sequence[OutboxEvent]:
    """The newest 100 events that were not delivered, or whose last attempt has failed, newest first."""
    async with info.context.read() as session:
        return await outbox_states.failures(session, MOST_FAILURES)


async def admin_retry_webhooks(
    info: Info,
    webhook: Annotated[str | None, argument("The name of the only webhook to retry. Null for all.")] = None,
    event_id: Annotated[
        ID | None, argument("The id of the only event to retry, from `Admin.webhookFailures`. Null for all.")
    ] = None,
) -> AdminRetriedWebhooks:
    """Deliver events again that have failed, or that wait for their next attempt. Disabled webhooks are enabled.

    - `InvalidInput`: There is no webhook with this name.
    - `NotFound`: There is no event with this id that is not delivered.
    - `Forbidden`: The viewer is not an operator.
    """
    context, id = require_operator(info), None if event_id is None else as_uuid(event_id)
    if webhook is not None and webhook not in {known.name for known in await webhooks(info)}:
        raise InvalidInput("webhook", "must be the name of a webhook from `Admin.webhooks`.")
    if event_id is not None and id is None:
        raise NotFound(event_id, "event")
    async with context.database.write() as session:
        count = await outbox_states.retry(session, webhook, id)
        if event_id is not None and not count:
            raise NotFound(event_id, "event")
        await audit(session, context, Action.WEBHOOKS_RETRIED, None, webhook=webhook or "", events=str(count))
    return AdminRetriedWebhooks(count)


async def tool_servers(info: Info) -> Sequence[ToolServerState]:
    """The MCP servers as the process that answers this query sees them, by name."""
    mcp = info.context.services.mcp
    shared = [
        ToolServerState(
            server.name,
            server.connected,
            server.problem,
            len(server.tools),
            len(server.skipped),
            own_account=False,
            connected_user_count=None,
        )
        for server in mcp.servers
    ]
    if mcp.users is None:
        return shared
    async with info.context.read() as session:
        counts = await tool_connections.count_by_server(session)
    own = [
        ToolServerState(name, None, None, 0, 0, own_account=True, connected_user_count=counts.get(name, 0))
        for name in mcp.users.connections.servers
    ]
    return sorted([*shared, *own], key=lambda server: server.name)


async def tool_usage(info: Info) -> Sequence[ToolUsage]:
    """The calls of each tool by all users in the last 30 days, by name."""
    async with info.context.read() as session:
        return await tool_calls.usage_of_all(session, first_id_after(now() - timedelta(days=TOOL_DAYS)))


def assistants(info: Info) -> Sequence[LoadedAssistant]:
    """The assistants as they are loaded, by id, including files that are not valid. Instructions are not shown."""
    return info.context.services.assistants.loaded()


def settings(info: Info) -> Sequence[SettingValue]:
    """The settings of the server by name, without secrets."""
    return info.context.services.info.settings


def audit_days(info: Info) -> float | None:
    """How many days entries of the audit log are kept. Null for no limit."""
    return info.context.services.info.audit_days


def is_configured(root: WebhookState) -> bool:
    """Whether the server is configured with it now. If not, only events of the past are left."""
    return bool(root.events)


def pending_count(root: WebhookState) -> int:
    """The number of events that are not delivered yet."""
    return root.state.pending


def delivered_count(root: WebhookState) -> int:
    """The number of events that were delivered, of the last seven days."""
    return root.state.delivered


def failed_count(root: WebhookState) -> int:
    """The number of events of the last seven days that are not tried again."""
    return root.state.failed


def oldest_pending_at(root: WebhookState) -> datetime | None:
    """When the oldest event that is not delivered yet was stored, in UTC. Null if there is none."""
    return root.state.oldest_pending


def disabled_at(root: WebhookState) -> datetime | None:
    """When the webhook was disabled, because its endpoint is gone, in UTC. Null if it is enabled."""
    return root.state.disabled_at


def webhook_of(root: OutboxEvent) -> str:
    """The name of the webhook that should receive it."""
    return root.subscriber


def next_attempt_at(root: OutboxEvent) -> datetime | None:
    """When it is tried again, in UTC. Null if it has failed for good."""
    return root.due_at if root.status is DeliveryStatus.PENDING else None


def assistant_name(root: LoadedAssistant) -> str | None:
    """The name for people. Null if the file was never valid."""
    return None if root.assistant is None else root.assistant.name


def assistant_description(root: LoadedAssistant) -> str | None:
    """The description for users. Null for none."""
    return None if root.assistant is None else root.assistant.description


def assistant_model(root: LoadedAssistant) -> str | None:
    """The id of the model that it names. Null for the default model of the server."""
    return None if root.assistant is None else root.assistant.model


def assistant_tools(root: LoadedAssistant) -> Sequence[str]:
    """The names of its tools, or patterns such as `github__*`."""
    return () if root.assistant is None else root.assistant.tools


def assistant_memory(root: LoadedAssistant) -> bool:
    """Whether Claude can keep files about each user."""
    return root.assistant is not None and root.assistant.memory


def assistant_is_default(info: Info, root: LoadedAssistant) -> bool:
    """Whether it answers in new conversations that name none, unless a plan lacks it."""
    default = info.context.services.assistants.default
    return default is not None and default.id == root.id
