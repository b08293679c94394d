"""The Claude models that this server may use: from the Models API, narrowed to the allow-list."""

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
"""Seconds for which the Models API's list is kept."""
RETRY = 60.0
"""Seconds after which a Models API that failed is asked again."""

TOLD_OF = ("web_search", "code_execution")
"""Tools of Claude's own that the Models API has a word for."""
PATIENCE = 10.0
"""Seconds for which the Models API is waited for: sends wait with it."""

MOST_LISTED = 1000
LISTED = ItemLoop("models.list")

logger = logging.getLogger("tertulia.claude")


@dataclass(frozen=True, slots=True)
class Model:
    """A Claude model; limits in tokens, None where they are not known."""

    id: str
    display_name: str
    default: bool
    simulated: bool
    max_input_tokens: int | None = None
    max_output_tokens: int | None = None
    thinking: frozenset[str] | None = None
    """The forms of thinking that it takes, in the Messages API's words; None where that is not known."""
    efforts: frozenset[str] | None = None
    takes_images: bool | None = None
    takes_documents: bool | None = None
    """Whether it reads images and PDFs; None where that is not known."""
    compacts: bool = False
    """Whether it can sum up what was said, when its window nears its end."""
    structured: bool | None = None
    """Whether it writes JSON by a schema; None where that is not known."""
    server_tools: frozenset[str] | None = None
    """Those of Claude's own tools of which the Models API tells; None where that is not known."""

    def has_tool(self, name: str) -> bool:
        """Say whether it may use one of Claude's own tools, as far as that is known."""
        return self.server_tools is None or name not in TOLD_OF or name in self.server_tools


class Models:
    """Answers which models there are; asks the Models API at most once an hour."""

    def __init__(self, claude: Claude, *, default: str, allowed: tuple[str, ...], simulated: bool) -> None:
        """Take the default model's id and the allow-list, empty for all that the API lists."""
        self.default_id = default
        self._claude = claude
        self._allowed = allowed
        self._simulated = simulated
        self._known: dict[str, Model] = {}
        self._fresh_until = 0.0
        self._asking = asyncio.Lock()

    async def list(self) -> list[Model]:
        """Give the models that may be used, the default one first."""
        known = await self.load()
        ids = dict.fromkeys([self.default_id, *(self._allowed or known)])
        return [known.get(model_id) or self._unlisted(model_id) for model_id in ids]

    async def get(self, model_id: str) -> Model:
        """Give a model by its id; one that may no longer be used still has its name."""
        return (await self.load()).get(model_id) or self._unlisted(model_id)

    def known(self, model_id: str) -> Model:
        """Give what was last heard of a model, without asking."""
        return self._known.get(model_id) or self._unlisted(model_id)

    async def allows(self, model_id: str) -> bool:
        """Say whether a request may ask for it."""
        return any(model.id == model_id for model in await self.list())

    async def load(self) -> dict[str, Model]:
        """Ask the Models API, where its list is old; give all that is known, by id."""
        # One asks and all wait for it: who came second must not find a list that is still empty.
        async with self._asking:
            if time.monotonic() >= self._fresh_until:
                self._fresh_until = time.monotonic() + await self._refresh()
        return self._known

    async def _refresh(self) -> float:
        try:
            listed = [info async for info in self._ask()]
        except Exception as error:  # noqa: BLE001 - the SDK does not check what it reads, and may raise anything
            # A key that is refused, or no network: the configured names still serve, and a send says what is wrong.
            logger.warning("The Models API could not be asked: %s", error)
            return RETRY
        models = [
            LISTED.attempt_now(str(getattr(info, "id", None))[:100], partial(self._model, info)) for info in listed
        ]
        self._known = {model.id: model for model in models if model is not None}
        return LIFETIME

    async def _ask(self) -> AsyncIterator[Any]:
        client = (await self._claude.sdk()).with_options(timeout=PATIENCE, max_retries=1)
        count = 0
        async for info in client.models.list(limit=100):
            yield info
            count += 1
            if count >= MOST_LISTED:
                # A list that never ends says always that it has more.
                return

    def _model(self, info: Any) -> Model:
        """Read what the Models API says of a model; raise ValueError where it has no id."""
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
    """Give the names of what a group of capabilities says is supported; None where it says nothing."""
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

    found = getattr(group, name, None)
    return bool(found.supported) if isinstance(found, anthropic.types.CapabilitySupport) else None
