"""Add fallback models to requests: the API itself asks them after a refusal, or the server does at a lower price.

Source: "Refusals and fallback" and "Fallback credit" in the Claude API documentation. Models of which the Models API
reports `allowed_fallback_models` support both. This module does no I/O.
"""

from collections.abc import Sequence
from itertools import takewhile

from tertulia.claude.models import FALLBACK_BETA, Model
from tertulia.claude.tool_choice import FORCED, supports_forced_calls
from tertulia.json import Json

CREDIT_BETA = "fallback-credit-2026-07-01"


def with_fallbacks(request: Json, model: Model, fallbacks: Sequence[Model]) -> Json:
    """Return the request that lets the API ask fallback models when `model` refuses.

    If the first fallback is not one that the API asks itself, a refusal contains a token with which the server asks it
    at a lower price (see `with_credit`).
    """
    allowed = model.fallbacks
    if allowed is None or not fallbacks:
        return request
    is_forced = request.get("tool_choice", {}).get("type") in FORCED

    def suits(fallback: Model) -> bool:
        return fallback.id in allowed and (not is_forced or supports_forced_calls(fallback.id))

    entries = [_entry(request, fallback) for fallback in takewhile(suits, fallbacks)]
    fields: Json = {"fallbacks": entries} if entries else {}
    return request | fields | {"betas": [*request.get("betas", ()), FALLBACK_BETA if entries else CREDIT_BETA]}


def without_fallbacks(request: Json) -> Json:
    """Return the request without fallback models, for an API that refuses them."""
    betas = [beta for beta in request.get("betas", ()) if beta not in (FALLBACK_BETA, CREDIT_BETA)]
    remaining = {name: value for name, value in request.items() if name not in ("fallbacks", "betas")}
    return remaining | ({"betas": betas} if betas else {})


def _entry(request: Json, fallback: Model) -> Json:
    entry: Json = {"model": fallback.id}
    if fallback.max_output_tokens is not None and fallback.max_output_tokens < request["max_tokens"]:
        entry["max_tokens"] = fallback.max_output_tokens
    if fallback.structured is False and "format" in request.get("output_config", {}):
        entry["output_config"] = {"format": None}
    return entry


def with_credit(request: Json, token: str) -> Json:
    """Return the request to a fallback model with the token of the refusal. A wrong token only changes the price."""
    bare = without_fallbacks(request)
    credit = {"token": token, "mode": "best_effort"}
    return bare | {"fallback_credit_token": credit, "betas": [*bare.get("betas", ()), CREDIT_BETA]}
