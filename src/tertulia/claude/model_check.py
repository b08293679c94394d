"""Ask Claude whether models exist, before anybody sends a message to one of them."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tertulia.claude.client import Claude
from tertulia.claude.errors import ErrorCode, describe, request_errors
from tertulia.json import loads

if TYPE_CHECKING:
    import anthropic

PATIENCE = 5.0
"""Seconds for one question: a start waits for the answers."""
ADDRESS, API_VERSION = "https://api.anthropic.com", "2023-06-01"
"""What the SDK uses."""


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """What Claude says of models: those that there are not, those that it lists, and why some could not be checked."""

    missing: frozenset[str] = frozenset()
    listed: frozenset[str] = frozenset()
    unchecked: str | None = None


async def check_models(claude: Claude, wanted: Iterable[str]) -> ModelCheck:
    """Ask for the list of models, and for each model that is not in it.

    The first request is made without the SDK, whose import would delay each start. Only if its response does not list
    all the models, for whatever reason, is the SDK used.

    A model is missing only where Claude says so by name. A gateway may have no list, or accept names that it does not
    list, so that one is asked to count the tokens of a message for it, which costs nothing.
    """
    wanted = list(wanted)
    listed = await _first_page(claude)
    if listed.issuperset(wanted):
        return ModelCheck(listed=listed)
    try:
        listed = await _listed(claude)
    except request_errors() as error:
        return ModelCheck(unchecked=describe(error).message)
    missing: set[str] = set()
    unchecked: str | None = None
    for model in wanted:
        if model not in listed:
            try:
                if not await _exists(claude, model):
                    missing.add(model)
            except request_errors() as error:
                unchecked = describe(error).message
    return ModelCheck(frozenset(missing), listed, unchecked)


async def _first_page(claude: Claude) -> frozenset[str]:
    """Return the models of the first page of the list, without the SDK; none where that fails."""
    import httpx2

    from tertulia.claude.transport import Transport

    headers = {"x-api-key": claude.api_key, "anthropic-version": API_VERSION}
    url = f"{(claude.base_url or ADDRESS).rstrip('/')}/v1/models?limit=1000"
    try:
        async with httpx2.AsyncClient(transport=Transport(), timeout=PATIENCE) as client:
            models = loads((await client.get(url, headers=headers)).raise_for_status().content)["data"]
        return frozenset(str(model["id"]) for model in models)
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError, LookupError, TypeError, OSError):
        return frozenset()


async def _listed(claude: Claude) -> frozenset[str]:
    client = (await claude.sdk()).with_options(timeout=PATIENCE, max_retries=0)
    import anthropic

    try:
        async with asyncio.timeout(2 * PATIENCE):
            return frozenset([model.id async for model in client.models.list(limit=100)])
    except anthropic.NotFoundError:
        return frozenset()


async def _exists(claude: Claude, model: str) -> bool:
    """Return False only where Claude says that there is no such model; raise where it cannot be told."""
    client = (await claude.sdk()).with_options(timeout=PATIENCE, max_retries=0)
    import anthropic

    try:
        await client.models.retrieve(model)
    except anthropic.NotFoundError:
        try:
            await client.messages.count_tokens(model=model, messages=[{"role": "user", "content": "Hello"}])
        except anthropic.NotFoundError as error:
            if _names(error, model):
                return False
            raise
        except anthropic.BadRequestError:
            # It was refused for something else, so that the model is known.
            return True
    return True


def _names(error: "anthropic.NotFoundError", model: str) -> bool:
    found = describe(error)
    return found.code is ErrorCode.NOT_FOUND and error.type is not None and model in found.message
