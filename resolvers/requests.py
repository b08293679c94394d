"""The requests to Claude's API for an answer: why it cost what it did."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from tertulia.db.ledger import UsageSum, dollars
from tertulia.db.rows import AnyGeneration
from tertulia.db.tables import ApiCall, Status
from tertulia.json import Json
from tertulia.resolvers.context import Info


class CostKind(StrEnum):
    """The kinds of tokens and searches that a part of a cost pays for."""

    INPUT = "input"
    CACHE_READ = "cache_read"
    CACHE_WRITE = "cache_write"
    THINKING = "thinking"
    OUTPUT = "output"
    WEB_SEARCH = "web_search"


class CacheMissReason(StrEnum):
    """Why a request could not read the part of the cache that the request before it had written."""

    MODEL_CHANGED = "model_changed"
    SYSTEM_CHANGED = "system_changed"
    TOOLS_CHANGED = "tools_changed"
    MESSAGES_CHANGED = "messages_changed"
    PREVIOUS_MESSAGE_NOT_FOUND = "previous_message_not_found"
    UNAVAILABLE = "unavailable"


class ContextEditKind(StrEnum):
    """The edits with which Claude's API shortens the prompt that Claude reads."""

    CLEARED_TOOL_USES = "clear_tool_uses_20250919"
    CLEARED_THINKING = "clear_thinking_20251015"


@dataclass(frozen=True, slots=True)
class CostPart:
    """A part of the cost of an answer or a request."""

    kind: CostKind
    count: int
    amount: int | None

    @property
    def cost_usd(self) -> Decimal | None:
        """The amount in US dollars."""
        return None if self.amount is None else dollars(self.amount)


@dataclass(frozen=True, slots=True)
class CacheMiss:
    """Why a request could not read the cache."""

    reason: CacheMissReason
    missed_tokens: int | None


@dataclass(frozen=True, slots=True)
class ContextEdit:
    """An edit of the context that Claude's API has applied."""

    kind: ContextEditKind
    cleared_input_tokens: int
    cleared: int


async def requests(info: Info, root: AnyGeneration) -> Sequence[ApiCall]:
    """The requests to Claude's API for this answer, oldest first: one for each round of tools, and one for each attempt
    that failed or was interrupted. At most 200. A request is listed when its round has ended.
    """
    return await info.context.loaders.requests_of.load(root.id) or []


async def costs(info: Info, root: AnyGeneration) -> Sequence[CostPart]:
    """The parts of the cost of the answer so far, the most expensive part first."""
    return _parts(await requests(info, root))


async def context_edits(info: Info, root: AnyGeneration) -> Sequence[ContextEdit]:
    """The edits of the context that Claude's API has applied for this answer (`context_editing` of the assistant).

    They change only the prompt that Claude reads. The messages of the conversation stay as they are.
    """
    return [edit for call in await requests(info, root) for edit in edits_of(call)]


def status(root: ApiCall) -> Status:
    """How the request ended: COMPLETED, STOPPED or FAILED."""
    return root.outcome


def model_id(root: ApiCall) -> str:
    """The id of the model to which the request was sent."""
    return root.model


def usage_of(root: ApiCall) -> UsageSum:
    """The tokens that Claude's API billed."""
    return UsageSum(root.input_tokens, root.output_tokens, root.cache_read_tokens, root.cache_write_tokens, root.amount)


def costs_of(root: ApiCall) -> Sequence[CostPart]:
    """The parts of the cost of the request, the most expensive part first."""
    return _parts([root])


def thinking_tokens(root: ApiCall) -> int | None:
    """The output tokens with which Claude thought. Null if Claude's API did not report them."""
    return _details(root).get("thinking_tokens")


def tools_of(root: ApiCall) -> list[str]:
    """The names of the tools that Claude called in its response, without repetitions. Their results are input of the
    next request.
    """
    return _details(root).get("tools") or []


def cache_miss(root: ApiCall) -> CacheMiss | None:
    """Why the request could not read the part of the cache that the request before it had written. Null if it could,
    and if Claude's API did not report the reason.
    """
    miss: Json = _details(root).get("cache_miss") or {}
    reason = next((reason for reason in CacheMissReason if reason.value == miss.get("type")), None)
    return None if reason is None else CacheMiss(reason, miss.get("tokens"))


def edits_of(root: ApiCall) -> list[ContextEdit]:
    """The edits of the context that Claude's API has applied."""
    edits: list[Json] = _details(root).get("edits") or []
    kinds = {kind.value: kind for kind in ContextEditKind}
    return [
        ContextEdit(
            kinds[edit["type"]],
            edit.get("cleared_input_tokens", 0),
            edit.get("cleared_tool_uses") or edit.get("cleared_thinking_turns") or 0,
        )
        for edit in edits
        if edit["type"] in kinds
    ]


def speed(root: ApiCall) -> str | None:
    """The speed: `standard` or `fast`, which costs more. Null if Claude's API did not report it."""
    return _details(root).get("speed")


def service_tier(root: ApiCall) -> str | None:
    """The service tier: `standard`, `priority` or `batch`. Null if Claude's API did not report it."""
    return _details(root).get("service_tier")


def inference_geo(root: ApiCall) -> str | None:
    """The region in which Claude ran, such as `us`, which costs more. Null if Claude's API did not report it."""
    return _details(root).get("inference_geo")


def _details(call: ApiCall) -> Json:
    return call.details or {}


def _parts(calls: Iterable[ApiCall]) -> list[CostPart]:
    """Return the sums of the parts of calls. Thinking is the share of the output that the API reports."""
    counts, amounts = dict.fromkeys(CostKind, 0), dict.fromkeys(CostKind, 0)
    is_priced = True
    for call in calls:
        details, thinking = _details(call), min(thinking_tokens(call) or 0, call.output_tokens)
        costs: Json = details.get("costs") or {}
        is_priced = is_priced and call.amount is not None
        of_output: int = costs.get("output", 0)
        of_thinking = of_output * thinking // call.output_tokens if call.output_tokens else 0
        for kind, count, amount in (
            (CostKind.INPUT, call.input_tokens, costs.get("input", 0)),
            (CostKind.CACHE_READ, call.cache_read_tokens, costs.get("cache_read", 0)),
            (CostKind.CACHE_WRITE, call.cache_write_tokens, costs.get("cache_write", 0)),
            (CostKind.THINKING, thinking, of_thinking),
            (CostKind.OUTPUT, call.output_tokens - thinking, of_output - of_thinking),
            (CostKind.WEB_SEARCH, call.web_searches, costs.get("web_search", 0)),
        ):
            counts[kind] += count
            amounts[kind] += amount
    parts = [CostPart(kind, counts[kind], amounts[kind] if is_priced else None) for kind in CostKind if counts[kind]]
    return sorted(parts, key=lambda part: -(part.amount or 0))
