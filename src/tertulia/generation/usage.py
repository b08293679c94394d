"""Count the tokens of an answer while it is being received."""

from collections.abc import Mapping

from tertulia.claude.usage import context_of, usage_of
from tertulia.json import Json

LARGEST_COUNT = 2**31 - 1
"""The largest value that fits into the token columns of a generation: they have 32 bits."""
CHARACTERS_OF_TOKEN = 4
"""An estimate of the characters per token, for output whose token count Claude did not report."""


class UsageAccumulator:
    """The usage of the rounds of an answer, as Claude reports it."""

    def __init__(self) -> None:
        """Start without usage."""
        self.request_id: str | None = None
        self.stop_reason: str | None = None
        self.context_tokens: int | None = None
        self.usage: dict[str, int] = {}
        """The token counts of this round, by column."""
        self.earlier: dict[str, int] = {}
        """The token counts of earlier rounds, whose API calls are already in the ledger."""
        self.earlier_amount: int | None = 0
        """The cost of earlier rounds in units (see `billing.prices`); None if a price is not known."""
        self.counted = False
        """Whether Claude has reported the final usage of this round."""
        self._reported_usage: Json = {}
        self._written_characters = 0
        self.cache_write_1h_tokens = 0
        self.web_searches = 0
        """The tokens of this round's cache entries that live for an hour, and the searches of Claude's server tool."""

    def restore(
        self, counted: Mapping[str, int], billed: Mapping[str, int], billed_amount: int | None, stop_reason: str | None
    ) -> None:
        """Restore the usage that another process has saved for this answer.

        Args:
            counted: All tokens of the answer so far, by column.
            billed: The tokens of the rounds that are already in the ledger, by column.
            billed_amount: The cost of these rounds, in units; None if a price is not known.
            stop_reason: The stop reason of the last complete round.
        """
        self.earlier, self.earlier_amount, self.stop_reason = dict(billed), billed_amount, stop_reason
        of_round = {name: count - billed.get(name, 0) for name, count in counted.items()}
        self.usage = of_round if any(of_round.values()) else {}

    def end_attempt(self, amount: int | None) -> None:
        """Add the usage of a response to that of earlier ones. `amount` is its cost in units; None if it is unknown."""
        self.earlier = self.total()
        self.earlier_amount = None if amount is None or self.earlier_amount is None else self.earlier_amount + amount
        self.usage, self._reported_usage, self._written_characters = {}, {}, 0
        self.counted, self.request_id, self.cache_write_1h_tokens, self.web_searches = False, None, 0, 0

    def total(self) -> dict[str, int]:
        """Return the token counts of all rounds, by column."""
        current = self.billed()
        totals = {name: self.earlier.get(name, 0) + current.get(name, 0) for name in self.earlier | current}
        return {name: min(count, LARGEST_COUNT) for name, count in totals.items()}

    def billed(self) -> dict[str, int]:
        """Return the token counts of this round, by column. If Claude did not report the output, it is estimated."""
        if self.counted or not (self.usage or self._written_characters):
            return self.usage
        guessed = -(-self._written_characters // CHARACTERS_OF_TOKEN)
        return self.usage | {"output_tokens": max(self.usage.get("output_tokens", 0), guessed)}

    def _add_usage(self, usage: Json | None) -> None:
        # Claude's counts are cumulative, so a later count replaces an earlier one.
        self._reported_usage |= {name: count for name, count in (usage or {}).items() if count is not None}
        self.usage |= usage_of(self._reported_usage)
        self.context_tokens = context_of(self._reported_usage) or self.context_tokens
        server_tools: Json = self._reported_usage.get("server_tool_use") or {}
        self.web_searches = int(server_tools.get("web_search_requests") or 0)
        lifetimes: Json = self._reported_usage.get("cache_creation") or {}
        self.cache_write_1h_tokens = int(lifetimes.get("ephemeral_1h_input_tokens") or self.cache_write_1h_tokens)
