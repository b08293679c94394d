"""The GraphQL types of the viewer's usage, budget and limits."""

from datetime import date, datetime
from decimal import Decimal

import strawberry

from tertulia import viewer as callers
from tertulia.billing import budget
from tertulia.db import ledger, metadata
from tertulia.ratelimit import limits, plans
from tertulia.resolvers import app_data, credentials, memories, tools, viewer
from tertulia.resolvers.admin import root
from tertulia.schema.credentials import PersonalToken, SignIn
from tertulia.schema.declare import field, graphql_type
from tertulia.schema.memories import MemoryConnection
from tertulia.schema.models import Usage
from tertulia.schema.tools import ToolUsage


@graphql_type(ledger.UsageOfDay)
class UsageOfDay:
    """The viewer's usage of one model on one day."""

    day: date
    """The day, in UTC."""
    model: str
    """The id of the model."""
    usage: Usage
    """The tokens and their cost."""


@graphql_type(budget.BudgetStatus)
class Budget:
    """The viewer's budget for the current calendar month in UTC."""

    limit_usd: Decimal
    """The budget of the month in US dollars."""
    spent_usd: Decimal
    """The amount spent this month in US dollars, including deleted conversations."""
    reserved_usd: Decimal
    """The amount in US dollars that running generations may still cost. It is reserved until they end."""
    resets_at: datetime
    """When the next month begins, in UTC."""


def _maximum(root: limits.Limit) -> int:
    """The maximum within `windowSeconds`, or at the same time if that is null. For `uploads` in megabytes."""
    return root.limit


@graphql_type(limits.Limit)
class Limit:
    """One of the viewer's limits, counted across all replicas of the server."""

    name: str
    """The counted item: `requests`, `sends` (messages), `uploads`, `generations` (concurrent ones), `sockets` or
    `tokens` (of all kinds, per day in UTC).
    """
    limit: int = strawberry.field(deprecation_reason="Use `maximum`. This field will be removed in 1.0.")
    """The same as `maximum`. For `uploads` in megabytes."""
    maximum: int = field(_maximum)
    remaining: int
    """The number that remains now. For `uploads` in megabytes."""
    window_seconds: int | None
    """The length of the window in seconds. Null for limits on concurrent items."""
    resets_in_seconds: float | None
    """The number of seconds until more remain. 0 if nothing is used, and null for limits on concurrent items."""


@graphql_type(plans.Plan)
class Plan:
    """The models, tools and assistants that the viewer may use. `Viewer.limits` and `Viewer.budget` show its limits."""

    name: str
    """The name of the plan. It is `default` for viewers who have no other plan."""
    models: list[str] | None
    """The ids of the models. Null for all models of the server."""
    tools: list[str] | None
    """The names of the server's tools, or patterns such as `github__*`. Null for all tools of the server."""
    assistants: list[str] | None
    """The ids of the assistants. Null for all assistants of the server."""


@graphql_type(metadata.TagCount)
class TagCount:
    """A tag of conversations."""

    name: str
    """The tag."""
    count: int
    """The number of conversations that have it."""


@graphql_type(callers.Viewer)
class Viewer:
    """The authenticated user."""

    id: strawberry.ID
    """The user's id, a UUID. `Query.node` does not accept it."""
    name: str
    """The name with which the user signs in. `local` on a server with a single user."""
    roles: list[str] = field(root.roles)
    usage: Usage = field(viewer.usage)
    usage_by_day: list[UsageOfDay] = field(viewer.usage_by_day)
    budget: Budget | None = field(viewer.budget)
    limits: list[Limit] = field(viewer.limits)
    plan: Plan | None = field(viewer.plan)
    tool_usage: list[ToolUsage] = field(tools.tool_usage)
    memories: MemoryConnection = field(memories.memories_of_viewer)
    sign_ins: list[SignIn] = field(credentials.sign_ins_of_viewer)
    personal_tokens: list[PersonalToken] = field(credentials.personal_tokens_of_viewer)
    tags: list[TagCount] = field(app_data.tags_of_viewer)
