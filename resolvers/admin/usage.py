"""The usage, the cost and the budget of the whole server."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from tertulia.billing.server_budget import PeriodBudget
from tertulia.db import limit_hits as hits
from tertulia.db import usage_reports
from tertulia.db.admin import generations, users
from tertulia.db.ledger import Period, dollars
from tertulia.db.limit_hits import ReportedHits
from tertulia.db.tables import Status, now
from tertulia.db.usage_reports import ReportedUsage
from tertulia.resolvers.admin.generations import OfUser, id_of_user
from tertulia.resolvers.arguments import argument
from tertulia.resolvers.context import Info
from tertulia.resolvers.errors import BadUserInput

DEFAULT_DAYS, MAX_DAYS = 30, 366
MAX_ROWS = 1000
FAILURES_OF = timedelta(days=1)

SinceDay = Annotated[date | None, argument("The first day, in UTC. Null for 29 days before `until`.")]
UntilDay = Annotated[
    date | None, argument("The last day, in UTC, at most 366 days after the first one. Null for today.")
]
Rows = Annotated[int, argument("The most rows to return: 1 to 1000.")]


class UsageKey(StrEnum):
    """A key by which usage is summed."""

    DAY = "day"
    MODEL = "model"
    ASSISTANT = "assistant"
    USER = "user"


class BudgetPeriod(StrEnum):
    """The period of a budget."""

    MONTH = "month"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Overview:
    """The numbers of users and answers."""

    user_count: int
    disabled_user_count: int
    guest_count: int
    running_count: int
    queued_count: int
    waiting_count: int
    failure_count: int


async def overview(info: Info) -> Overview:
    """The numbers of users, and of answers now."""
    async with info.context.read() as session:
        counts = await users.count(session)
        unfinished = await generations.count_unfinished(session)
        failed = await generations.count_failed(session, now() - FAILURES_OF)
    return Overview(
        counts.users,
        counts.disabled,
        counts.guests,
        unfinished.get(Status.RUNNING, 0),
        unfinished.get(Status.QUEUED, 0),
        unfinished.get(Status.AWAITING_TOOL_RESULTS, 0),
        failed,
    )


async def usage(
    info: Info,
    by: Annotated[
        list[UsageKey] | None, argument("The keys to sum by. Null sums by day; `[]` returns one sum.")
    ] = None,
    since: SinceDay = None,
    until: UntilDay = None,
    user_id: OfUser = None,
    max_rows: Rows = 100,
) -> Sequence[ReportedUsage]:
    """The usage of all users: tokens, requests and cost, by any combination of keys.

    Sums by day begin with the oldest day. Otherwise the most expensive sums come first. Deleted conversations are
    included, and deleted users are not.
    """
    keys = [key.value for key in dict.fromkeys([UsageKey.DAY] if by is None else by)]
    owner, most = id_of_user(user_id), rows_of(max_rows)
    first_day, last_day = days_of(since, until)
    period = Period(_start_of(first_day), _start_of(last_day + timedelta(days=1)))
    async with info.context.read() as session:
        return await usage_reports.usage_report(session, keys, period, owner=owner, most=most)


async def limit_hits(
    info: Info,
    since: SinceDay = None,
    until: UntilDay = None,
    user_id: OfUser = None,
    max_rows: Rows = 100,
) -> Sequence[ReportedHits]:
    """How often limits have refused requests, by day, limit and user. The newest day and the most refusals come first.

    Refusals are stored once a minute. Those of deleted users are not included.
    """
    owner, most = id_of_user(user_id), rows_of(max_rows)
    first_day, last_day = days_of(since, until)
    async with info.context.read() as session:
        return await hits.report(session, first_day, last_day, owner, most)


async def budgets(info: Info) -> Sequence[PeriodBudget]:
    """The budgets of all users together. Empty if the server has none."""
    async with info.context.read() as session:
        return await info.context.services.budget.server.periods(session)


def days_of(since: date | None, until: date | None) -> "tuple[date, date]":
    """Return the first and the last day of a period; raise BadUserInput if it is empty or too long."""
    today = now().date()
    last_day = today if until is None else min(until, today)
    first_day = last_day - timedelta(days=DEFAULT_DAYS - 1) if since is None else since
    if not 0 <= (last_day - first_day).days < MAX_DAYS:
        raise BadUserInput("since", f"must be a day from {MAX_DAYS - 1} days before `until` to `until` or today.")
    return first_day, last_day


def rows_of(max_rows: int) -> int:
    """Return the number of rows to return; raise BadUserInput if it is not accepted."""
    if not 1 <= max_rows <= MAX_ROWS:
        raise BadUserInput("maxRows", f"must be from 1 to {MAX_ROWS}, not {max_rows}.")
    return max_rows


def day(root: ReportedUsage) -> date | None:
    """The day, in UTC. Null if the usage is not summed by day."""
    value = root.keys.get("day")
    return None if value is None else date.fromisoformat(value)


def model_id(root: ReportedUsage) -> str | None:
    """The id of the model. Null if the usage is not summed by model."""
    return root.keys.get("model")


def assistant_id(root: ReportedUsage) -> str | None:
    """The id of the assistant. Null for conversations without one or deleted ones, and if the usage is not summed by
    assistant.
    """
    value = root.keys.get("assistant")
    return None if value in ("", usage_reports.DELETED) else value


def of_deleted_conversations(root: ReportedUsage) -> bool:
    """Whether this is the sum of deleted conversations, whose assistants are not known."""
    return root.keys.get("assistant") == usage_reports.DELETED


def user_id_of(root: ReportedUsage) -> str | None:
    """The id of the user. Null if the usage is not summed by user."""
    return root.keys.get("user_id")


def user_name(root: ReportedUsage) -> str | None:
    """The name of the user. Null if the usage is not summed by user."""
    return root.keys.get("user")


def input_tokens(root: ReportedUsage) -> float:
    """Input tokens billed at the full price. A `Float`, because the number may be too large for an `Int`."""
    return root.tokens["input_tokens"]


def output_tokens(root: ReportedUsage) -> float:
    """Tokens that Claude wrote, including thinking."""
    return root.tokens["output_tokens"]


def cache_read_tokens(root: ReportedUsage) -> float:
    """Input tokens read from Claude's cache."""
    return root.tokens["cache_read_tokens"]


def cache_write_tokens(root: ReportedUsage) -> float:
    """Input tokens written to Claude's cache."""
    return root.tokens["cache_write_tokens"]


def request_count(root: ReportedUsage) -> int:
    """The number of requests to Claude's API."""
    return root.requests


def unpriced_request_count(root: ReportedUsage) -> int:
    """The number of requests whose price was not known. They are not part of `costUsd`."""
    return root.unpriced_requests


def period(root: PeriodBudget) -> BudgetPeriod:
    """The period, in UTC."""
    return BudgetPeriod(root.period)


def limit_usd(root: PeriodBudget) -> Decimal:
    """The budget in US dollars."""
    return dollars(root.limit)


def spent_usd(root: PeriodBudget) -> Decimal:
    """The amount spent in this period in US dollars, including deleted users."""
    return dollars(root.spent)


def reserved_usd(root: PeriodBudget) -> Decimal:
    """The amount in US dollars that running answers may still cost. It is reserved until they end."""
    return dollars(root.reserved)


def _start_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
