"""Check whether the configured models exist, before a message is sent to one of them."""

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
"""The time limit of one request in seconds. The start of the server waits for it."""
ADDRESS, API_VERSION = "https://api.anthropic.com", "2023-06-01"
"""The SDK's defaults."""


@dataclass(frozen=True, slots=True)
class ModelCheck:
    """The result of a check.

    Attributes:
        missing: The ids of models that do not exist.
        listed: The ids of all models that the API lists.
        unchecked: Why some models could not be checked; None if all were.
    """

    missing: frozenset[str] = frozenset()
    listed: frozenset[str] = frozenset()
    unchecked: str | None = None


async def check_models(claude: Claude, model_ids: Iterable[str]) -> ModelCheck:
    """Check the models against the list of the Models API, and request each model that is not listed.

    The first request is made without the SDK, whose import would delay each start. The SDK is used only if the response
    does not list all the models, for whatever reason.

    A model is missing only if the API's error names it. A gateway may have no list, or accept models that it does not
    list, so a request counts tokens with the model, which is free of charge.
    """
    model_ids = list(model_ids)
    listed = await _first_page(claude)
    if listed.issuperset(model_ids):
        return ModelCheck(listed=listed)
    try:
        listed = await _listed(claude)
    except request_errors() as error:
        return ModelCheck(unchecked=describe(error).message)
    missing: set[str] = set()
    unchecked: str | None = None
    for model_id in model_ids:
        if model_id not in listed:
            try:
                if not await _exists(claude, model_id):
                    missing.add(model_id)
            except request_errors() as error:
                unchecked = describe(error).message
    return ModelCheck(frozenset(missing), listed, unchecked)


async def _first_page(claude: Claude) -> frozenset[str]:
    """Return the ids on the first page of the list, without the SDK. Empty if that fails."""
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
    """Return False only if the API reports that there is no such model. Raise its error if that is uncertain."""
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
            # The request was refused for another reason, so the model exists.
            return True
    return True


def _names(error: "anthropic.NotFoundError", model: str) -> bool:
    typed_error = describe(error)
    return typed_error.code is ErrorCode.NOT_FOUND and error.type is not None and model in typed_error.message
