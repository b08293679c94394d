"""The viewer, with usage, budget and limits."""

from datetime import date, datetime
from decimal import Decimal

import strawberry

from tertulia.billing import budget
from tertulia.db import ledger
from tertulia.ratelimit import limits
from tertulia.resolvers import context, tools, viewer
from tertulia.schema.declare import field, graphql_type
from tertulia.schema.models import Usage
from tertulia.schema.tools import ToolUsage


@graphql_type(ledger.UsageOfDay)
class UsageOfDay:
    """What one model has used on one day."""

    day: date
    """The day, in UTC."""
    model: str
    """The model's id."""
    usage: Usage
    """Tokens and cost of that day."""


@graphql_type(budget.BudgetStatus)
class Budget:
    """A calendar month's budget, in US dollars, from the first of the month in UTC."""

    limit_usd: Decimal
    """What may be spent in the month, in US dollars."""
    spent_usd: Decimal
    """What has been spent since the month began, in US dollars; also for what is deleted."""
    reserved_usd: Decimal
    """What running answers may still cost, in US dollars: it is set aside until they end."""
    resets_at: datetime
    """When the next month begins, in UTC."""


def _maximum(root: limits.Limit) -> int:
    """How many are accepted within `windowSeconds`, or at once; of `uploads` in megabytes."""
    return root.limit


@graphql_type(limits.Limit)
class Limit:
    """What is left of a limit of the viewer's, over all replicas of the server."""

    name: str
    """What is counted: `requests`, `sends` (messages), `uploads`, `generations` (answers at once) or `sockets`."""
    limit: int = strawberry.field(deprecation_reason="Use `maximum`; stays until 1.0.")
    """The same as `maximum`; of `uploads` in megabytes."""
    maximum: int = field(_maximum)
    remaining: int
    """How many are left now; of `uploads` in megabytes."""
    window_seconds: int | None
    """Within how many seconds so many are taken; null for limits on what is there at once."""
    resets_in_seconds: float | None
    """Seconds until there are more; 0 where nothing is used, null for limits on what is there at once."""


@graphql_type(context.Viewer)
class Viewer:
    """Who is asking."""

    id: strawberry.ID
    """The user's id, a UUID. `node` does not find it."""
    name: str
    """The name that the user signs in with; `local` where the server has but one user."""
    usage: Usage = field(viewer.usage)
    usage_by_day: list[UsageOfDay] = field(viewer.usage_by_day)
    budget: Budget | None = field(viewer.budget)
    limits: list[Limit] = field(viewer.limits)
    tool_usage: list[ToolUsage] = field(tools.tool_usage)
