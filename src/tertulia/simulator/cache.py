"""The simulated Claude's prompt cache: what a request reads from it, and what it leaves there.

Source: "Prompt caching" in the Claude API documentation: exact beginnings of requests, at most four breakpoints, twenty
blocks of looking back from each, a smallest size, and a life of five minutes or an hour that every hit renews.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from tertulia.claude.cache_control import LOOK_BACK
from tertulia.json import Json
from tertulia.simulator.request_rules import as_blocks

LIVES = {"5m": 300.0, "1h": 3600.0}
MIN_TOKENS = {"claude-haiku-4-5": 4096, "claude-opus-4-5": 4096, "claude-sonnet-4-5": 1024}
DEFAULT_MIN_TOKENS = 512
MAX_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class CacheUse:
    """The tokens of a request's input: what is left is billed as always."""

    total: int
    read: int = 0
    written_5m: int = 0
    written_1h: int = 0

    def usage(self) -> Json:
        """Give them in the Messages API's words."""
        written = self.written_5m + self.written_1h
        return {
            "input_tokens": self.total - self.read - written,
            "cache_creation_input_tokens": written,
            "cache_read_input_tokens": self.read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.written_5m,
                "ephemeral_1h_input_tokens": self.written_1h,
            },
        }


@dataclass(frozen=True, slots=True)
class _Block:
    tokens: int
    beginning: str
    """Names the request up to and with this block."""
    ttl: str | None


class PromptCache:
    """What one simulated Claude remembers."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing."""
        self._clock = clock
        self._entries: dict[str, tuple[float, float]] = {}
        """When each beginning lapses, and how long it lives from a hit on."""

    def use(self, body: Json) -> CacheUse:
        """Take a request: read what is there, and keep what it marks."""
        blocks = list(_blocks(body))
        total = sum(block.tokens for block in blocks)
        marks = [place for place, block in enumerate(blocks) if block.ttl is not None]
        hit = max((found for mark in marks if (found := self._look_back(blocks, mark)) is not None), default=-1)
        covered = sum(block.tokens for block in blocks[: hit + 1])
        read, written = covered, {"5m": 0, "1h": 0}
        for mark in marks:
            size = sum(block.tokens for block in blocks[: mark + 1])
            if mark > hit and size >= _min_tokens(body["model"]):
                ttl = str(blocks[mark].ttl)
                written[ttl] += size - covered
                covered = size
                self._keep(blocks[mark].beginning, LIVES[ttl])
        return CacheUse(total, read, written["5m"], written["1h"])

    def _look_back(self, blocks: list[_Block], mark: int) -> int | None:
        now = self._clock()
        for place in range(mark, max(mark - LOOK_BACK, -1), -1):
            lapses, life = self._entries.get(blocks[place].beginning, (0.0, 0.0))
            if lapses > now:
                self._keep(blocks[place].beginning, life)
                return place
        return None

    def _keep(self, beginning: str, life: float) -> None:
        self._entries.pop(beginning, None)
        self._entries[beginning] = (self._clock() + life, life)
        if len(self._entries) > MAX_ENTRIES:
            del self._entries[next(iter(self._entries))]


def count_tokens(body: Json) -> int:
    """Estimate a request's tokens: about four characters each."""
    return sum(block.tokens for block in _blocks(body))


def _min_tokens(model: str) -> int:
    return MIN_TOKENS.get(model, DEFAULT_MIN_TOKENS)


def _blocks(body: Json) -> Iterator[_Block]:
    """Give a request's blocks in the order of its cache: tools, system prompt, messages."""
    flat = [*_flat("tools", body.get("tools") or []), *_flat("system", body.get("system") or [])]
    for message in body["messages"]:
        flat += _flat(message["role"], message["content"])
    automatic = body.get("cache_control")
    name = body["model"]
    for place, (role, block) in enumerate(flat):
        control: Json | None = block.get("cache_control") or (automatic if place == len(flat) - 1 else None)
        bare = {key: value for key, value in block.items() if key != "cache_control"}
        text = json.dumps([role, bare], ensure_ascii=False)
        name = hashlib.sha256(f"{name}{text}".encode()).hexdigest()
        tokens = _tokens_of_source(bare) or max(len(text) // 4, 1) + _tokens_inside(bare)
        yield _Block(tokens, name, control.get("ttl", "5m") if control else None)


def _tokens_of_source(block: Json) -> int | None:
    source: Json = block.get("source") or {}
    return source.get("tokens")


def _tokens_inside(block: Json) -> int:
    """Count what a tool's result shows."""
    inside = as_blocks(block.get("content") or []) if block.get("type") == "tool_result" else []
    return sum(_tokens_of_source(one) or 0 for one in inside)


def _flat(role: str, content: Any) -> list[tuple[str, Json]]:
    return [(role, block) for block in as_blocks(content)]
