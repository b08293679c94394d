"""The end of an answer, and the tokens that it has used, while it is being received."""

from collections.abc import Mapping

from tertulia.billing.prices import STANDARD, Terms
from tertulia.claude.parser import WORDS
from tertulia.claude.usage import context_of, declined_in, usage_of
from tertulia.json import Json

LARGEST_COUNT = 2**31 - 1
"""The largest value that fits into the token columns of a generation: they have 32 bits."""
CHARACTERS_OF_TOKEN = 4
"""An estimate of the characters per token, for output whose token count Claude did not report."""


class UsageAccumulator:
    """The usage of the rounds of an answer, as Claude reports it."""

    __slots__ = (
        "_report",
        "_reported_usage",
        "_written_characters",
        "cache_write_1h_tokens",
        "container",
        "context_tokens",
        "counted",
        "declined",
        "earlier",
        "earlier_amount",
        "refusal",
        "request_id",
        "requested_terms",
        "response_id",
        "stop_reason",
        "stop_sequence",
        "usage",
        "web_searches",
    )

    def __init__(self) -> None:
        """Start without usage."""
        self.request_id: str | None = None
        self.stop_reason: str | None = None
        self.refusal: Json | None = None
        """Why Claude refused (see `claude.parser.refusal_in`); None if it did not say, or has not refused."""
        self.container: str | None = None
        """The container in which Claude's server tools run, for the next request."""
        self.declined: Json | None = None
        """Why a model has refused, after whose refusal another one has answered; None if none has."""
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
        self.response_id: str | None = None
        """The Messages API's id of the last response, with which it compares the next request (see `diagnostics`)."""
        self.stop_sequence: str | None = None
        self.requested_terms = STANDARD
        """The terms that the request asks for, which apply if the response does not report any."""
        self._report: Json = {}
        """Why the cache was missed in this round, and which edits of the context were applied."""

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

    @property
    def terms(self) -> Terms:
        """The terms on which the price of this round depends, as Claude's API reports them."""
        reported, requested = self._reported_usage, self.requested_terms
        return Terms(reported.get("speed", requested.speed), reported.get("inference_geo", requested.geo))

    def details(self) -> Json:
        """Return the report of the API about this round, without the counts that have columns in the ledger."""
        reported = self._reported_usage
        output: Json = reported.get("output_tokens_details") or {}
        words = {name: reported[name] for name in WORDS if name in reported}
        thinking = {"thinking_tokens": output["thinking_tokens"]} if "thinking_tokens" in output else {}
        return {**words, **thinking, **self._report}

    def end_attempt(self, amount: int | None) -> None:
        """Add the usage of a response to that of earlier ones. `amount` is its cost in units; None if it is unknown."""
        self.earlier = self.total()
        self.add_amount(amount)
        self.usage, self._reported_usage, self._written_characters = {}, {}, 0
        self.counted, self.request_id, self.cache_write_1h_tokens, self.web_searches = False, None, 0, 0
        self._report = {}

    def take_declined(self) -> list[tuple[str, dict[str, int]]]:
        """Return the models that have refused in this response, before the API asked another one, with their usage.

        The usage is part of the answer's total from now on, and is returned only once.
        """
        hops = declined_in(self._reported_usage)
        self._reported_usage.pop("iterations", None)
        for _, usage in hops:
            names = self.earlier | usage
            self.earlier = {name: self.earlier.get(name, 0) + usage.get(name, 0) for name in names}
        return hops

    def add_amount(self, amount: int | None) -> None:
        """Add a cost to that of earlier responses, in units; None if it is not known."""
        self.earlier_amount = None if amount is None or self.earlier_amount is None else self.earlier_amount + amount

    def total(self) -> dict[str, int]:
        """Return the token counts of all rounds, by column."""
        current = self.billed()
        totals = {name: self.earlier.get(name, 0) + current.get(name, 0) for name in self.earlier | current}
        return {name: min(count, LARGEST_COUNT) for name, count in totals.items()}

    @property
    def reported_tokens(self) -> int:
        """The number of all tokens that Claude has reported, without those that are estimated."""
        return sum(self.earlier.values()) + sum(self.usage.values())

    def billed(self) -> dict[str, int]:
        """Return the token counts of this round, by column. If Claude did not report the output, it is estimated."""
        if self.counted or not (self.usage or self._written_characters):
            return self.usage
        guessed = -(-self._written_characters // CHARACTERS_OF_TOKEN)
        return self.usage | {"output_tokens": max(self.usage.get("output_tokens", 0), guessed)}

    def _add_end(self, delta: Json) -> None:
        """Add the end of a response, as `message_delta` reports it."""
        self.stop_reason = delta.get("stop_reason") or self.stop_reason
        self.stop_sequence = delta.get("stop_sequence")
        self.refusal = delta.get("stop_details") or self.refusal
        container: Json = delta.get("container") or {}
        self.container = container.get("id") or self.container
        self.counted = self.stop_reason is not None

    def _add_report(self, event: Json) -> None:
        self._report |= {name: event[name] for name in ("cache_miss", "edits") if name in event}

    def _add_usage(self, usage: Json | None) -> None:
        # Claude's counts are cumulative, so a later count replaces an earlier one.
        self._reported_usage |= {name: count for name, count in (usage or {}).items() if count is not None}
        self.usage |= usage_of(self._reported_usage)
        self.context_tokens = context_of(self._reported_usage) or self.context_tokens
        server_tools: Json = self._reported_usage.get("server_tool_use") or {}
        self.web_searches = int(server_tools.get("web_search_requests") or 0)
        lifetimes: Json = self._reported_usage.get("cache_creation") or {}
        self.cache_write_1h_tokens = int(lifetimes.get("ephemeral_1h_input_tokens") or self.cache_write_1h_tokens)
