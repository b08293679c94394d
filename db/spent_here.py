"""The API calls that this process has committed to the ledger, as totals for its metrics."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from sqlmodel.ext.asyncio.session import AsyncSession

from tertulia.db.tables import ApiCall
from tertulia.json import Json

ON_COMMIT = "on_commit"
TOKENS = {
    "input": "input_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "output": "output_tokens",
}
"""The columns with tokens, by the kind of the tokens."""
MOST_TOOLS = 1_000
"""The most names of tools with a total of their own, because clients name some of them."""
OTHER = "other"


@dataclass(slots=True)
class Totals:
    """The totals since the process has started.

    Attributes:
        costs: The cost in units, by model and by the kind of what it pays for.
        tokens: The tokens, by model and kind.
        tool_costs: The cost in units of the requests in whose responses Claude has called a tool, by its name.
    """

    costs: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    tokens: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    tool_costs: Counter[str] = field(default_factory=Counter[str])


_totals, _lock = Totals(), threading.Lock()


def totals() -> Totals:
    """Return a copy of the totals."""
    with _lock:
        return Totals(_totals.costs.copy(), _totals.tokens.copy(), _totals.tool_costs.copy())


def add_when_committed(session: AsyncSession, calls: Sequence[ApiCall]) -> None:
    """Add calls to the totals when the session's transaction is committed."""
    session.info.setdefault(ON_COMMIT, []).append(partial(_add, calls))


def committed(session: AsyncSession) -> None:
    """Run the work that waits for the commit of a session's transaction."""
    work: list[Callable[[], None]] = session.info.pop(ON_COMMIT, [])
    for run in work:
        run()


def _add(calls: Sequence[ApiCall]) -> None:
    with _lock:
        for call in calls:
            details: Json = call.details or {}
            costs: dict[str, int] = details.get("costs") or {}
            for kind, amount in costs.items():
                _totals.costs[call.model, kind] += amount
            for kind, column in TOKENS.items():
                _totals.tokens[call.model, kind] += getattr(call, column) or 0
            names: list[str] = details.get("tools") or []
            for name in set(names):
                is_known = name in _totals.tool_costs or len(_totals.tool_costs) < MOST_TOOLS
                _totals.tool_costs[name if is_known else OTHER] += call.amount or 0
