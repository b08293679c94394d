"""The Claude models that this server may use: those of the Models API that the setting `TERTULIA_MODELS` allows."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pydantic import BaseModel

from tertulia.claude.client import Claude
from tertulia.claude.known_models import KNOWN_MODELS
from tertulia.claude.parser import LONGEST_ID, MOST_TOKENS
from tertulia.claude.providers import ALL_TOOLS, PLATFORMS, Provider, canonical_name, model_name
from tertulia.isolation import ItemLoop
from tertulia.json import is_list, is_object

LIFETIME = 3600.0
"""The seconds for which the Models API's list is cached."""
RETRY = 60.0
"""The seconds after which a failed request to the Models API is retried."""

REPORTED_TOOLS = frozenset({"web_search", "code_execution"})
"""Server tools that the Models API reports as capabilities."""
PATIENCE = 10.0
"""The time limit of requests to the Models API in seconds. `sendMessage` waits for them."""

FALLBACK_BETA = "server-side-fallback-2026-07-01"
ON_DEMAND_BETA = "compact-2026-09-04"
MOST_LISTED = 1000
"""The number of models that are read from the list: a broken server may report more pages forever."""
LISTED = ItemLoop("models.list")

logger = logging.getLogger("tertulia.claude")


@dataclass(frozen=True, slots=True)
class Model:
    """A Claude model. Limits are in tokens, or None if they are not known."""

    id: str
    display_name: str
    default: bool
    simulated: bool
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    thinking: frozenset[str] | None = None
    """The supported types of thinking, by the Messages API's names; None if they are not known."""
    efforts: frozenset[str] | None = None
    takes_images: bool | None = None
    takes_documents: bool | None = None
    """Whether the model accepts images and PDFs; None if that is not known."""
    compacts: bool = False
    """Whether the model supports compaction."""
    summarizes: bool = False
    """Whether the model writes summaries on demand."""
    structured: bool | None = None
    """Whether the model supports structured output; None if that is not known."""
    edits: frozenset[str] | None = None
    """The supported edits of the context, by the Messages API's names; None if they are not known."""
    server_tools: frozenset[str] = ALL_TOOLS
    """Those of Claude's own tools that the provider runs, and that the Models API does not report as unsupported."""
    provider: Provider = Provider.ANTHROPIC

    fallbacks: frozenset[str] | None = None
    """The models that the API itself can ask when this one refuses; None if the API does not report it."""


def known_model(canonical: str) -> Model | None:
    """Return a model with the capabilities that `known_models` lists; None if it lists none."""
    capabilities = KNOWN_MODELS.get(canonical)
    if capabilities is None:
        return None
    return Model(
        canonical,
        capabilities.title,
        default=False,
        simulated=False,
        max_input_tokens=capabilities.max_input_tokens,
        max_output_tokens=capabilities.max_output_tokens,
        thinking=capabilities.thinking,
        takes_images=True,
        takes_documents=True,
        compacts=capabilities.compacts,
        structured=True,
    )


class Models:
    """The list of models, which is requested from the Models API at most once an hour."""

    def __init__(
        self,
        claude: Claude,
        *,
        default: str,
        allowed: tuple[str, ...],
        simulated: bool,
        provider: Provider = Provider.ANTHROPIC,
    ) -> None:
        """Initialize without a list.

        Args:
            claude: The client of the API.
            default: The id of the default model, which is always allowed.
            allowed: The ids of the other allowed models; if empty, all models that the API lists are allowed.
            simulated: Whether the API is the simulator.
            provider: The provider of models whose ids name none, and of the list.
        """
        self.default_id = default
        self._platform = PLATFORMS[provider]
        self._claude = claude
        self._allowed = allowed
        self._simulated = simulated
        self._by_id: dict[str, Model] = {}
        self._fresh_until = 0.0
        self._refresh_lock = asyncio.Lock()

    async def list(self) -> list[Model]:
        """Return the models that clients may use, the default model first."""
        by_id = await self.load()
        ids = dict.fromkeys([self.default_id, *(self._allowed or by_id)])
        return [by_id.get(model_id) or self._unlisted(model_id) for model_id in ids]

    async def get(self, model_id: str) -> Model:
        """Return a model by its id, also if clients may no longer use it."""
        return (await self.load()).get(model_id) or self._unlisted(model_id)

    def known(self, model_id: str) -> Model:
        """Return a model by its id from the cached list, without a request."""
        return self._by_id.get(model_id) or self._unlisted(model_id)

    async def allows(self, model_id: str) -> bool:
        """Return whether clients may use the model."""
        return any(model.id == model_id for model in await self.list())

    async def load(self) -> dict[str, Model]:
        """Return all listed models by id. If the list has expired, it is requested from the Models API first.

        It is empty if the provider has no Models API.
        """
        if not self._platform.lists_models:
            return {}
        # One caller sends the request. All others wait for it, because the list is still empty at first.
        async with self._refresh_lock:
            if time.monotonic() >= self._fresh_until:
                self._fresh_until = time.monotonic() + await self._refresh()
        return self._by_id

    async def _refresh(self) -> float:
        try:
            listed = [info async for info in self._ask()]
        except Exception as error:  # noqa: BLE001 - the SDK does not check what it reads, and may raise anything
            # The key is refused, or there is no network. Configured ids can still be used; an answer reports the error.
            logger.warning("The Models API could not be read, retrying in %g seconds: %s", RETRY, error)
            return RETRY
        models = [
            LISTED.attempt_now(str(getattr(info, "id", None))[:100], partial(self._model, info)) for info in listed
        ]
        self._by_id = {model.id: model for model in models if model is not None}
        return LIFETIME

    async def _ask(self) -> AsyncIterator[Any]:
        client = (await self._claude.sdk()).with_options(timeout=PATIENCE, max_retries=1)
        count = 0
        # The headers make the API report `allowed_fallback_models` and the capability `compaction`.
        headers = {"anthropic-beta": f"{FALLBACK_BETA},{ON_DEMAND_BETA}"}
        async for info in client.models.list(limit=100, extra_headers=headers):
            yield info
            count += 1
            if count >= MOST_LISTED:
                return

    def _model(self, info: Any) -> Model:
        """Return the model of an entry of the Models API's list. Raise ValueError if it has no valid id."""
        if not isinstance(info.id, str) or not 0 < len(info.id) <= LONGEST_ID:
            raise ValueError("A model in the Models API's list has no id.")
        capabilities = getattr(info, "capabilities", None)
        name = getattr(info, "display_name", None)
        return Model(
            id=info.id,
            display_name=name if isinstance(name, str) and name else info.id,
            default=info.id == self.default_id,
            simulated=self._simulated,
            max_input_tokens=_count(info, "max_input_tokens"),
            max_output_tokens=_count(info, "max_tokens"),
            thinking=_supported(capabilities, "thinking", "types"),
            efforts=_supported(capabilities, "effort"),
            takes_images=_flag(capabilities, "image_input"),
            takes_documents=_flag(capabilities, "pdf_input"),
            compacts=bool(_flag(getattr(capabilities, "context_management", None), "compact_20260112")),
            summarizes=_summarizes(capabilities),
            structured=_flag(capabilities, "structured_outputs"),
            edits=_supported(capabilities, "context_management"),
            server_tools=self._platform.server_tools & _reported_tools(capabilities),
            provider=self._platform.provider,
            fallbacks=_ids(getattr(info, "allowed_fallback_models", None)),
        )

    def _unlisted(self, model_id: str) -> Model:
        """Return a model that is not in the list, perhaps because its provider has no Models API."""
        name = model_name(model_id, self._platform.provider)
        is_of_list = self._platform.lists_models and name.provider is self._platform.provider
        capabilities = Model(model_id, model_id, default=False, simulated=False)
        if not is_of_list:
            canonical = canonical_name(name.name)
            listed = None if self._simulated else self._by_id.get(canonical)
            capabilities = listed or known_model(canonical) or capabilities
        return replace(
            capabilities,
            id=model_id,
            default=model_id == self.default_id,
            simulated=self._simulated and is_of_list,
            server_tools=capabilities.server_tools & name.platform.server_tools,
            provider=name.provider,
            fallbacks=capabilities.fallbacks if is_of_list else None,
        )


class AllowedModels:
    """The models that one viewer may use: those of the server, or those of the viewer's plan."""

    def __init__(self, models: Models, allowed_ids: Sequence[str] | None) -> None:
        """Limit `models` to some ids. If they lack the default model, their first one is the default."""
        self._models = models
        self._allowed_ids = allowed_ids
        limited = allowed_ids is not None and models.default_id not in allowed_ids
        self.default_id = allowed_ids[0] if limited and allowed_ids else models.default_id

    async def list(self) -> list[Model]:
        """Return the models that the viewer may use, the default model first."""
        listed = await self._models.list()
        if self._allowed_ids is None:
            return listed
        models = [self._own(model) for model in listed if model.id in self._allowed_ids]
        return sorted(models, key=lambda model: not model.default)

    async def get(self, model_id: str) -> Model:
        """Return a model by its id, also if the viewer may not use it."""
        return self._own(await self._models.get(model_id))

    def known(self, model_id: str) -> Model:
        """Return a model by its id from the cached list, without a request."""
        return self._own(self._models.known(model_id))

    async def allows(self, model_id: str) -> bool:
        """Return whether the viewer may use the model."""
        return any(model.id == model_id for model in await self.list())

    def in_plan(self, model_id: str) -> bool:
        """Return whether the viewer's plan has the model."""
        return self._allowed_ids is None or model_id in self._allowed_ids

    def _own(self, model: Model) -> Model:
        is_default = model.id == self.default_id
        return model if model.default == is_default else replace(model, default=is_default)


def _supported(group: object, *path: str) -> frozenset[str] | None:
    """Return the names of the supported capabilities in a group; None if the API does not report the group."""
    import anthropic

    for name in path:
        group = getattr(group, name, None)
    if not isinstance(group, BaseModel):
        return None
    return frozenset(
        name for name, value in group if isinstance(value, anthropic.types.CapabilitySupport) and value.supported
    )


def _ids(value: object) -> frozenset[str] | None:
    return frozenset(id for id in value if isinstance(id, str)) if is_list(value) else None


def _reported_tools(capabilities: object) -> frozenset[str]:
    """Return Claude's own tools, without those that the Models API reports as unsupported."""
    supported = _supported(capabilities, "server_tools")
    return ALL_TOOLS if supported is None else ALL_TOOLS - (REPORTED_TOOLS - supported)


def _summarizes(capabilities: object) -> bool:
    # The SDK has no type for it outside of its beta, and leaves it as JSON.
    compaction: object = getattr(capabilities, "compaction", None)
    summarize = compaction.get("summarize") if is_object(compaction) else None
    return is_object(summarize) and summarize.get("supported") is True


def _count(info: object, name: str) -> int | None:
    value = getattr(info, name, None)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_TOKENS else None


def _flag(group: object, name: str) -> bool | None:
    import anthropic

    capability = getattr(group, name, None)
    return bool(capability.supported) if isinstance(capability, anthropic.types.CapabilitySupport) else None
