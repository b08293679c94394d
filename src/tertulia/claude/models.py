"""The Claude models that this server may use: those of the Models API that the allow-list permits."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic import BaseModel

from tertulia.claude.client import Claude
from tertulia.claude.parser import LONGEST_ID, MOST_TOKENS
from tertulia.isolation import ItemLoop

LIFETIME = 3600.0
"""Seconds for which the Models API's list is cached."""
RETRY = 60.0
"""Seconds after which a failed request to the Models API is retried."""

TOLD_OF = ("web_search", "code_execution")
"""Server tools that the Models API reports as capabilities."""
PATIENCE = 10.0
"""Time limit of requests to the Models API in seconds: sends wait for them."""

MOST_LISTED = 1000
LISTED = ItemLoop("models.list")

logger = logging.getLogger("tertulia.claude")


@dataclass(frozen=True, slots=True)
class Model:
    """A Claude model. Limits are in tokens; None means that they are not known."""

    id: str
    display_name: str
    default: bool
    simulated: bool
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    thinking: frozenset[str] | None = None
    """The types of thinking that it supports, by the Messages API's names; None if that is not known."""
    efforts: frozenset[str] | None = None
    takes_images: bool | None = None
    takes_documents: bool | None = None
    """Whether it accepts images and PDFs; None if that is not known."""
    compacts: bool = False
    """Whether it supports compaction."""
    structured: bool | None = None
    """Whether it supports structured output; None if that is not known."""
    server_tools: frozenset[str] | None = None
    """The server tools that the Models API reports for it; None if that is not known."""

    def has_tool(self, name: str) -> bool:
        """Whether it can use one of Claude's server tools; True if that is not known."""
        return self.server_tools is None or name not in TOLD_OF or name in self.server_tools


class Models:
    """The list of models, which is requested from the Models API at most once an hour."""

    def __init__(self, claude: Claude, *, default: str, allowed: tuple[str, ...], simulated: bool) -> None:
        """Initialize; an empty `allowed` means all models that the API lists."""
        self.default_id = default
        self._claude = claude
        self._allowed = allowed
        self._simulated = simulated
        self._by_id: dict[str, Model] = {}
        self._fresh_until = 0.0
        self._refresh_lock = asyncio.Lock()

    async def list(self) -> list[Model]:
        """Return the models that may be used, the default one first."""
        by_id = await self.load()
        ids = dict.fromkeys([self.default_id, *(self._allowed or by_id)])
        return [by_id.get(model_id) or self._unlisted(model_id) for model_id in ids]

    async def get(self, model_id: str) -> Model:
        """Return a model by its id, even if it may no longer be used."""
        return (await self.load()).get(model_id) or self._unlisted(model_id)

    def known(self, model_id: str) -> Model:
        """Return a model from the cached list, without a request."""
        return self._by_id.get(model_id) or self._unlisted(model_id)

    async def allows(self, model_id: str) -> bool:
        """Whether clients may use the model."""
        return any(model.id == model_id for model in await self.list())

    async def load(self) -> dict[str, Model]:
        """Return all known models by id, after a request to the Models API if the list has expired."""
        # One caller sends the request, and all others wait for it: they must not see a list that is still empty.
        async with self._refresh_lock:
            if time.monotonic() >= self._fresh_until:
                self._fresh_until = time.monotonic() + await self._refresh()
        return self._by_id

    async def _refresh(self) -> float:
        try:
            listed = [info async for info in self._ask()]
        except Exception as error:  # noqa: BLE001 - the SDK does not check what it reads, and may raise anything
            # The key is refused, or there is no network. Configured ids can still be used; a send reports the error.
            logger.warning("The Models API could not be asked: %s", error)
            return RETRY
        models = [
            LISTED.attempt_now(str(getattr(info, "id", None))[:100], partial(self._model, info)) for info in listed
        ]
        self._by_id = {model.id: model for model in models if model is not None}
        return LIFETIME

    async def _ask(self) -> AsyncIterator[Any]:
        client = (await self._claude.sdk()).with_options(timeout=PATIENCE, max_retries=1)
        count = 0
        async for info in client.models.list(limit=100):
            yield info
            count += 1
            if count >= MOST_LISTED:
                # A broken server may report more pages forever.
                return

    def _model(self, info: Any) -> Model:
        """Return a model from an entry of the Models API's list; raise ValueError if it has no id."""
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
            structured=_flag(capabilities, "structured_outputs"),
            server_tools=_supported(capabilities, "server_tools"),
        )

    def _unlisted(self, model_id: str) -> Model:
        return Model(model_id, model_id, default=model_id == self.default_id, simulated=self._simulated)


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


def _count(info: object, name: str) -> int | None:
    value = getattr(info, name, None)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= MOST_TOKENS else None


def _flag(group: object, name: str) -> bool | None:
    import anthropic

    capability = getattr(group, name, None)
    return bool(capability.supported) if isinstance(capability, anthropic.types.CapabilitySupport) else None
