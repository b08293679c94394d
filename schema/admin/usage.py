"""The GraphQL types of the usage and the budgets of the whole server."""

from datetime import date, datetime
from decimal import Decimal

import strawberry

from tertulia.billing import server_budget
from tertulia.db import limit_hits, usage_reports
from tertulia.resolvers.admin import usage
from tertulia.schema.declare import field, graphql_enum, graphql_type

graphql_enum(
    usage.UsageKey,
    "AdminUsageKey",
    "A key by which the usage of all users is summed.",
    DAY="The day, in UTC.",
    MODEL="The model that the requests name.",
    ASSISTANT="The assistant of the conversation.",
    USER="The user who caused the requests.",
)
graphql_enum(
    usage.BudgetPeriod,
    "BudgetPeriod",
    "The period of a budget, in UTC.",
    MONTH="A calendar month, in UTC.",
    DAY="A day, from midnight to midnight in UTC.",
)


@graphql_type(usage.Overview)
class AdminOverview:
    """The numbers of users, and of answers now."""

    user_count: int
    """The number of all users, including guests and disabled users."""
    disabled_user_count: int
    """The number of disabled users."""
    guest_count: int
    """The number of guests."""
    running_count: int
    """The number of answers that are being written."""
    queued_count: int
    """The number of answers that wait for another answer of their conversation."""
    waiting_count: int
    """The number of answers that wait for results of tools, or for an approval."""
    failure_count: int
    """The number of answers that were requested in the last 24 hours and have failed."""


@graphql_type(usage_reports.ReportedUsage)
class AdminUsage:
    """The usage of the requests to Claude's API that have the same keys."""

    day: date | None = field(usage.day)
    model_id: str | None = field(usage.model_id)
    assistant_id: strawberry.ID | None = field(usage.assistant_id)
    of_deleted_conversations: bool = field(usage.of_deleted_conversations)
    user_id: strawberry.ID | None = field(usage.user_id_of)
    user_name: str | None = field(usage.user_name)
    request_count: int = field(usage.request_count)
    unpriced_request_count: int = field(usage.unpriced_request_count)
    input_tokens: float = field(usage.input_tokens)
    output_tokens: float = field(usage.output_tokens)
    cache_read_tokens: float = field(usage.cache_read_tokens)
    cache_write_tokens: float = field(usage.cache_write_tokens)
    cost_usd: Decimal
    """The cost in US dollars, exact to 10^-12, without requests whose price was not known."""


@graphql_type(limit_hits.ReportedHits)
class AdminLimitHits:
    """How often a limit has refused requests of one user on one day."""

    day: date
    """The day, in UTC."""
    limit_name: str
    """The limit: a name of `Limit.name`, `budget` for the user's or the server's budget, or `shares` for requests for
    shared conversations from a network address.
    """
    user_id: strawberry.ID | None
    """The id of the user. Null for `shares`, and on a server with too many refusals to count each user."""
    user_name: str | None
    """The user's name; null if the id is."""
    count: int
    """The number of refused requests."""


@graphql_type(server_budget.PeriodBudget)
class ServerBudget:
    """The budget of all users together for one period."""

    period: usage.BudgetPeriod = field(usage.period)
    limit_usd: Decimal = field(usage.limit_usd)
    spent_usd: Decimal = field(usage.spent_usd)
    reserved_usd: Decimal = field(usage.reserved_usd)
    resets_at: datetime
    """When the next period begins, in UTC."""
