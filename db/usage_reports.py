"""The usage of all users, for reports of the operator: sums of the ledger, by any combination of keys."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, String, cast, func, literal_column, select
from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.ledger import Period, dollars
from tertulia.db.tables import METADATA

_CALLS, _USERS, _CONVERSATIONS = (METADATA.tables[name] for name in ("calls", "users", "conversations"))
DELETED = "(deleted conversations)"
"""The assistant of calls whose conversation was deleted."""


@dataclass(frozen=True, slots=True)
class ReportedUsage:
    """The usage of the calls with the same keys.

    Attributes:
        keys: The values of the keys by the names of their columns.
        requests: The number of requests to Claude.
        tokens: The numbers of tokens, by the names of the ledger's columns.
        cost_usd: The cost of the requests whose price was known.
        unpriced_requests: The number of requests whose price was not known.
    """

    keys: Mapping[str, str]
    requests: int
    tokens: Mapping[str, int]
    cost_usd: Decimal
    unpriced_requests: int


TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens")


def columns_of(keys: Sequence[str]) -> list[str]:
    """Return the names of the columns that identify a row."""
    return [name for key in keys for name in KEYS[key]]


async def usage_report(
    session: AsyncSession, keys: Sequence[str], period: Period, *, owner: UUID | None = None, most: int | None = None
) -> list[ReportedUsage]:
    """Return the usage of all users. Days and months are in ascending order, and then the highest cost comes first.

    Args:
        session: A session.
        keys: The names of the keys to sum by, from `KEYS`.
        period: The period of the calls.
        owner: The only user to report; None for all.
        most: The most rows to return; None for all.
    """
    names = columns_of(keys)
    groups = [expression.label(f"by_{name}") for key in keys for name, expression in KEYS[key].items()]
    amount = func.coalesce(func.sum(_CALLS.c.amount), 0).label("amount")
    query = select(
        *groups,
        *(func.coalesce(func.sum(_CALLS.c[name]), 0).label(name) for name in TOKENS),
        amount,
        func.count().label("requests"),
        func.count(_CALLS.c.amount).label("priced"),
    ).join_from(_CALLS, _USERS, _USERS.c.id == _CALLS.c.owner_id)
    if "assistant" in keys:
        query = query.outerjoin(_CONVERSATIONS, _CONVERSATIONS.c.id == _CALLS.c.conversation_id)
    times = [f"by_{key}" for key in keys if key in ("day", "month")]
    labels = [f"by_{name}" for name in names]
    query = query.where(*period.conditions(), *_days_of(period)).group_by(*labels)
    if owner is not None:
        query = query.where(_CALLS.c.owner_id == owner)
    query = query.order_by(*times, amount.desc(), *(label for label in labels if label not in times)).limit(most)
    connection = await session.connection()
    return [_reported(names, row) for row in (await connection.execute(query)).mappings()]


def _days_of(period: Period) -> list[ColumnElement[bool]]:
    """Return the conditions of a period on the day, for which there is an index."""
    since = [] if period.since is None else [_CALLS.c.day >= period.since.astimezone(UTC).date()]
    until = [] if period.until is None else [_CALLS.c.day <= period.until.astimezone(UTC).date()]
    return [*since, *until]


def _reported(names: Sequence[str], row: Mapping[Any, Any]) -> ReportedUsage:
    # PostgreSQL returns sums of bigint as numeric.
    return ReportedUsage(
        {name: str(row[f"by_{name}"]) for name in names},
        int(row["requests"]),
        {name: int(row[name]) for name in TOKENS},
        dollars(int(row["amount"])),
        int(row["requests"]) - int(row["priced"]),
    )


# Literals and not parameters: PostgreSQL would not recognize an expression with parameters in GROUP BY.
_ASSISTANT: ColumnElement[str] = literal_column(
    f"CASE WHEN conversations.id IS NULL THEN '{DELETED}' ELSE coalesce(conversations.assistant, '') END"
)
KEYS: Mapping[str, Mapping[str, ColumnElement[Any]]] = {
    "user": {"user": _USERS.c.name, "user_id": _USERS.c.id},
    "group": {"group": func.coalesce(_USERS.c.usage_group, literal_column("''"))},
    "assistant": {"assistant": _ASSISTANT},
    "model": {"model": _CALLS.c.model},
    "day": {"day": _CALLS.c.day},
    "month": {"month": func.substr(cast(_CALLS.c.day, String), literal_column("1"), literal_column("7"))},
}
"""The keys of reports, and the columns of each."""
