"""The types of requests to Claude's API, which explain the cost of an answer."""

from datetime import datetime
from decimal import Decimal

from tertulia.db import tables
from tertulia.resolvers import requests
from tertulia.schema.declare import field, graphql_enum, graphql_type
from tertulia.schema.models import Usage

graphql_enum(
    requests.CostKind,
    "CostKind",
    "The kinds of tokens and searches that a part of a cost pays for. New kinds may be added.",
    INPUT="Tokens of the prompt that are neither read from the cache nor written to it.",
    CACHE_READ="Tokens of the prompt that are read from Claude's cache, at a fraction of the price.",
    CACHE_WRITE="Tokens of the prompt that are written to Claude's cache, for later requests.",
    THINKING="Output tokens with which Claude thinks.",
    OUTPUT="Output tokens of texts and of tool calls.",
    WEB_SEARCH="Searches of Claude's server tool, of which `count` is the number.",
)
graphql_enum(
    requests.CacheMissReason,
    "CacheMissReason",
    "Why a request could not read Claude's cache: Claude's API compares it with the request before.",
    MODEL_CHANGED="The model is another one. Each model has its own cache.",
    SYSTEM_CHANGED="The system prompt has changed, for example because of a variable in an assistant's instructions.",
    TOOLS_CHANGED="The tools have changed.",
    MESSAGES_CHANGED="An earlier message has changed, for example because thinking or an attachment was left out.",
    PREVIOUS_MESSAGE_NOT_FOUND="Claude's API no longer has the request before, or it was another account's.",
    UNAVAILABLE="Claude's API could not compare the requests.",
)
graphql_enum(
    requests.ContextEditKind,
    "ContextEditKind",
    "The edits with which Claude's API shortens the prompt that Claude reads. New kinds may be added.",
    CLEARED_TOOL_USES="Results of earlier tool calls were replaced with a note.",
    CLEARED_THINKING="Thinking of earlier turns was removed.",
)


@graphql_type(requests.CostPart)
class CostPart:
    """A part of the cost of an answer or a request."""

    kind: requests.CostKind
    """The kind of tokens or searches that it pays for."""
    count: int
    """The number of tokens, or of searches."""
    cost_usd: Decimal | None
    """The cost in US dollars. Null if the price of the model is not known."""


@graphql_type(requests.CacheMiss)
class CacheMiss:
    """Why a request could not read the part of Claude's cache that the request before it had written."""

    reason: requests.CacheMissReason
    """Which part differs from the request before."""
    missed_tokens: int | None
    """About how many tokens would have been read from the cache. Null if Claude's API did not report it."""


@graphql_type(requests.ContextEdit)
class ContextEdit:
    """An edit of the context that Claude's API has applied. It changes only the prompt that Claude reads."""

    kind: requests.ContextEditKind
    """The kind of the edit."""
    cleared_input_tokens: int
    """The number of tokens that Claude does not read."""
    cleared: int
    """The number of tool uses, or of turns with thinking, that were cleared."""


@graphql_type(tables.ApiCall)
class ClaudeRequest:
    """A request to Claude's API for an answer, as it was billed."""

    status: tables.Status = field(requests.status)
    model_id: str = field(requests.model_id)
    request_id: str | None
    """The id of the request, for Anthropic's support. Null if Claude's API was not reached."""
    usage: Usage = field(requests.usage_of)
    costs: list[CostPart] = field(requests.costs_of)
    thinking_tokens: int | None = field(requests.thinking_tokens)
    tools: list[str] = field(requests.tools_of)
    cache_miss: CacheMiss | None = field(requests.cache_miss)
    context_edits: list[ContextEdit] = field(requests.edits_of)
    speed: str | None = field(requests.speed)
    service_tier: str | None = field(requests.service_tier)
    inference_geo: str | None = field(requests.inference_geo)
    estimated: bool
    """Whether the output tokens are an estimate, because the response was interrupted."""
    created_at: datetime
    """When the request was recorded, in UTC."""
