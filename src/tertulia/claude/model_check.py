"""Check whether the configured models exist, before a message is sent to one of them."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tertulia.claude.client import Claude
from tertulia.claude.connections import Connection, reporting_credentials
from tertulia.claude.errors import ErrorCode, StreamError, describe, request_errors
from tertulia.claude.providers import PLATFORMS, Platform, Provider
from tertulia.json import Json, loads

if TYPE_CHECKING:
    import anthropic

PATIENCE = 5.0
"""The time limit of one request in seconds. The start of the server waits for it."""
ADDRESS, API_VERSION = "https://api.anthropic.com", "2023-06-01"
"""The SDK's defaults."""
HELLO: Json = {"role": "user", "content": [{"type": "text", "text": "Hello"}]}


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
    """Check the models against the list of each provider's Models API, and request each model that is not listed.

    A model is missing only if the API's error names it. A gateway may have no list, or accept models that it does not
    list, so a request counts tokens with the model, which is free of charge. A provider that does not count tokens is
    not asked.
    """
    ids_by_provider: dict[Provider, list[str]] = {}
    for model_id in model_ids:
        ids_by_provider.setdefault(claude.model(model_id).provider, []).append(model_id)
    checks = [await _check(claude, PLATFORMS[provider], ids) for provider, ids in ids_by_provider.items()]
    return ModelCheck(
        frozenset[str]().union(*(check.missing for check in checks)),
        frozenset[str]().union(*(check.listed for check in checks)),
        next((check.unchecked for check in checks if check.unchecked is not None), None),
    )


async def try_model(claude: Claude, model_id: str) -> str | None:
    """Ask a model for one token. Return why that failed; None if it worked."""
    request: Json = {"model": model_id, "max_tokens": 1, "messages": [HELLO]}
    try:
        async with asyncio.timeout(4 * PATIENCE):
            await claude.ask(request, [])
    except request_errors() as error:
        return _reason(error)
    return None


def _reason(error: Exception) -> str:
    """Return the reason of a failure for the operator, who may see that of a library for credentials."""
    cause = f" {error.__cause__}" if isinstance(error, StreamError) and error.__cause__ is not None else ""
    return describe(error).message + cause


async def _check(claude: Claude, platform: Platform, model_ids: list[str]) -> ModelCheck:
    if platform.provider is Provider.ANTHROPIC:
        # This request is made without the SDK, whose import would delay each start. The SDK is used only if the
        # response does not list all the models, for whatever reason.
        listed = await _first_page(claude)
        if listed.issuperset(claude.model(model_id).name for model_id in model_ids):
            return ModelCheck(listed=listed)
    try:
        with reporting_credentials(platform):
            connection = await claude.connection(platform.provider)
            listed = await _listed(connection) if platform.lists_models else frozenset[str]()
    except request_errors() as error:
        return ModelCheck(unchecked=_reason(error))
    missing: set[str] = set()
    unchecked: str | None = None
    for model_id in model_ids if platform.lists_models or platform.counts_tokens else ():
        name = claude.model(model_id).name
        if name not in listed:
            try:
                with reporting_credentials(platform):
                    if not await _exists(connection, name):
                        missing.add(model_id)
            except request_errors() as error:
                unchecked = _reason(error)
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


async def _listed(connection: Connection) -> frozenset[str]:
    client = connection.sdk.with_options(timeout=PATIENCE, max_retries=0)
    import anthropic

    try:
        async with asyncio.timeout(2 * PATIENCE):
            return frozenset([model.id async for model in client.models.list(limit=100)])
    except anthropic.NotFoundError:
        return frozenset()


async def _exists(connection: Connection, name: str) -> bool:
    """Return False only if the API reports that there is no such model. Raise its error if that is uncertain."""
    client = connection.sdk.with_options(timeout=PATIENCE, max_retries=0)
    import anthropic

    if connection.platform.lists_models:
        try:
            await client.models.retrieve(name)
        except anthropic.NotFoundError:
            pass
        else:
            return True
    try:
        await client.messages.count_tokens(model=name, messages=[{"role": "user", "content": "Hello"}])
    except anthropic.NotFoundError as error:
        if _names(error, name):
            return False
        raise
    except anthropic.BadRequestError:
        # The request was refused for another reason, so the model exists.
        return True
    return True


def _names(error: "anthropic.NotFoundError", name: str) -> bool:
    """Return whether the API's own error, and not the page of a proxy, names the model."""
    typed_error = describe(error)
    return typed_error.code is ErrorCode.NOT_FOUND and name in typed_error.message
