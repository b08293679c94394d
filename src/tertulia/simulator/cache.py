"""The simulated Claude's prompt cache: how many tokens a request reads from it and writes to it.

The cache stores exact prefixes of requests, at most four breakpoints in each. It looks back twenty blocks from each
breakpoint. Prefixes have a minimum size, and a TTL of five minutes or an hour, which every hit renews. Source: "Prompt
caching" in the Claude API documentation.
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
from tertulia.simulator.tool_search import references_in

TTL_SECONDS = {"5m": 300.0, "1h": 3600.0}
MIN_TOKENS = {"claude-haiku-4-5": 4096, "claude-opus-4-5": 4096, "claude-sonnet-4-5": 1024}
DEFAULT_MIN_TOKENS = 512
MAX_ENTRIES = 10_000


@dataclass(frozen=True, slots=True)
class CacheUse:
    """The input tokens of a request: all, those read from the cache, and those written to it with each TTL."""

    total: int
    read: int = 0
    written_5m: int = 0
    written_1h: int = 0

    def usage(self) -> Json:
        """Return the fields of `usage` in the Messages API."""
        written_tokens = self.written_5m + self.written_1h
        return {
            "input_tokens": self.total - self.read - written_tokens,
            "cache_creation_input_tokens": written_tokens,
            "cache_read_input_tokens": self.read,
            "cache_creation": {
                "ephemeral_5m_input_tokens": self.written_5m,
                "ephemeral_1h_input_tokens": self.written_1h,
            },
        }


@dataclass(frozen=True, slots=True)
class _Block:
    tokens: int
    prefix: str
    """A hash of the request up to and including this block."""
    ttl: str | None


class PromptCache:
    """The prompt cache of a simulated Claude."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[str, tuple[float, float]] = {}
        """The expiry of each prefix, and its TTL in seconds."""

    def use(self, body: Json) -> CacheUse:
        """Find the longest cached prefix of a request, and store the prefixes at its breakpoints."""
        blocks = list(_blocks(body))
        total = sum(block.tokens for block in blocks)
        marks = [index for index, block in enumerate(blocks) if block.ttl is not None]
        hit = max(
            (index_of_hit for mark in marks if (index_of_hit := self._look_back(blocks, mark)) is not None), default=-1
        )
        covered = sum(block.tokens for block in blocks[: hit + 1])
        read_tokens, written_tokens = covered, {"5m": 0, "1h": 0}
        for mark in marks:
            size = sum(block.tokens for block in blocks[: mark + 1])
            if mark > hit and size >= _min_tokens(body["model"]):
                ttl = str(blocks[mark].ttl)
                written_tokens[ttl] += size - covered
                covered = size
                self._store(blocks[mark].prefix, TTL_SECONDS[ttl])
        return CacheUse(total, read_tokens, written_tokens["5m"], written_tokens["1h"])

    def _look_back(self, blocks: list[_Block], mark: int) -> int | None:
        now = self._clock()
        for index in range(mark, max(mark - LOOK_BACK, -1), -1):
            expires_at, ttl_seconds = self._entries.get(blocks[index].prefix, (0.0, 0.0))
            if expires_at > now:
                self._store(blocks[index].prefix, ttl_seconds)
                return index
        return None

    def _store(self, prefix: str, ttl_seconds: float) -> None:
        self._entries.pop(prefix, None)
        self._entries[prefix] = (self._clock() + ttl_seconds, ttl_seconds)
        if len(self._entries) > MAX_ENTRIES:
            del self._entries[next(iter(self._entries))]


def count_tokens(body: Json) -> int:
    """Estimate the tokens of a request, at about four characters per token."""
    return sum(block.tokens for block in _blocks(body))


def _min_tokens(model: str) -> int:
    return MIN_TOKENS.get(model, DEFAULT_MIN_TOKENS)


def _blocks(body: Json) -> Iterator[_Block]:
    """Yield the blocks of a request in the order of the cache: tools, system prompt, messages."""
    tools: list[Json] = body.get("tools") or []
    # A deferred tool is added where a search finds it.
    deferred = {
        tool["name"]: len(json.dumps(tool, ensure_ascii=False)) // 4 for tool in tools if tool.get("defer_loading")
    }
    loaded = [tool for tool in tools if tool["name"] not in deferred]
    flat = [*_flat("tools", loaded), *_flat("system", body.get("system") or [])]
    first_of_messages = len(flat)
    for message in body["messages"]:
        flat += _flat(message["role"], message["content"])
    automatic = body.get("cache_control")
    name = body["model"]
    for index, (role, block) in enumerate(flat):
        control: Json | None = block.get("cache_control") or (automatic if index == len(flat) - 1 else None)
        bare = {key: value for key, value in block.items() if key != "cache_control"}
        # Another `thinking` or `tool_choice` invalidates the messages, but neither the tools nor the system prompt.
        thinking: Json = {**(body.get("thinking") or {}), "block_binding": None}
        settings = [thinking, body.get("tool_choice")] if index == first_of_messages else []
        text = json.dumps([role, bare, *settings], ensure_ascii=False)
        name = hashlib.sha256(f"{name}{text}".encode()).hexdigest()
        tokens = _tokens_of_source(bare) or max(len(text) // 4, 1) + _tokens_inside(bare)
        tokens += sum(deferred.get(name, 0) for name in references_in(block)) if role != "tools" else 0
        yield _Block(tokens, name, control.get("ttl", "5m") if control else None)


def _tokens_of_source(block: Json) -> int | None:
    # The source of a search result is a string.
    source: Json = block.get("source") or {} if block.get("type") in ("image", "document") else {}
    return source.get("tokens")


def _tokens_inside(block: Json) -> int:
    """Return the tokens of the images and documents in a tool result."""
    blocks = as_blocks(block.get("content") or []) if block.get("type") == "tool_result" else []
    return sum(_tokens_of_source(content) or 0 for content in blocks)


def _flat(role: str, content: Any) -> list[tuple[str, Json]]:
    return [(role, block) for block in as_blocks(content)]
