"""Translate the Messages API's stream into generation events, and accumulate the content of the answer.

An answer has one round, or several if Claude calls tools. Each round is one request to Claude. Its blocks follow those
of the earlier rounds, with the results of the tools between them. This module does no I/O. Source: "Streaming Messages"
in the Claude API documentation.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count, pairwise
from uuid import UUID

from tertulia.claude.deltas import DELTAS, join_text, merge_deltas, utf16_length
from tertulia.claude.errors import UNREADABLE, ErrorCode, GenerationError, StreamError
from tertulia.claude.usage import context_of, usage_of
from tertulia.generation.answer_block import AnswerBlock, completed_block, without
from tertulia.json import Json
from tertulia.streams.events import (
    ContentBlockFinished,
    ContentBlockStarted,
    Delta,
    GenerationEvent,
    TextDelta,
    ThinkingDelta,
)
from tertulia.text_filters import BlockFilter, TextKind

LARGEST_COUNT = 2**31 - 1
"""The largest value that fits into the token columns of a generation: they have 32 bits."""
JSON_MARK = "json"
"""The key that Tertulia adds to stored text blocks that must be JSON."""
CHARACTERS_OF_TOKEN = 4
"""An estimate of the characters per token, for output whose token count Claude did not report."""


def _is_running(block: Json) -> bool:
    return block.get("type") == "tool_result" and bool(block.get("partial"))


def _has_valid_input(block: Json) -> bool:
    return not block.get("partial") and isinstance(block.get("input"), dict)


class AnswerAccumulator:
    """Claude's answer while it is being received."""

    def __init__(self, generation_id: UUID, sequence: int = 0, content: Sequence[Json] = ()) -> None:
        """Start with no content, or with the content that another process has saved."""
        self.generation_id = generation_id
        self.sequence = sequence
        self.stop_reason: str | None = None
        self.request_id: str | None = None
        self.schema: Json | None = None
        """The JSON schema that the text must match, if the request has one."""
        self.new_filter: Callable[[TextKind], BlockFilter] | None = None
        """Creates the filter of a block of text or thinking; None if the application has no hook for it."""
        self.container: str | None = None
        """The container in which Claude's server tools run, for the next request."""
        self.context_tokens: int | None = None
        self.usage: dict[str, int] = {}
        """The token counts of this round, by column."""
        self.earlier: dict[str, int] = {}
        """The token counts of earlier rounds, whose API calls are already in the ledger."""
        self.earlier_amount: int | None = 0
        """The cost of earlier rounds in units (see `billing.prices`); None if a price is not known."""
        self.counted = False
        """Whether Claude has reported the final usage of this round."""
        self._reported_usage: Json = {}
        self._written_characters = 0
        self.cache_write_1h_tokens = 0
        self.web_searches = 0
        """The tokens of this round's cache entries that live for an hour, and the searches of Claude's server tool."""
        self._blocks = {
            index: AnswerBlock(without(block, "partial"), 0)
            if _is_running(block)
            else AnswerBlock(block, 0, finished=True)
            for index, block in enumerate(content)
        }
        self._round_start = len(self._blocks)
        self._json_findings: dict[int, str | None] = {}

    def restore(
        self, counted: Mapping[str, int], billed: Mapping[str, int], billed_amount: int | None, stop_reason: str | None
    ) -> None:
        """Restore the usage that another process has saved for this answer.

        Args:
            counted: All tokens of the answer so far, by column.
            billed: The tokens of the rounds that are already in the ledger, by column.
            billed_amount: The cost of these rounds, in units; None if a price is not known.
            stop_reason: The stop reason of the last complete round.
        """
        self.earlier, self.earlier_amount, self.stop_reason = dict(billed), billed_amount, stop_reason
        of_round = {name: count - billed.get(name, 0) for name, count in counted.items()}
        self.usage = of_round if any(of_round.values()) else {}

    @property
    def content(self) -> list[Json]:
        """All blocks in the Messages API's format and order; unfinished ones have the key `partial`."""
        return [self._blocks[index].to_json() for index in sorted(self._blocks)]

    @property
    def original_content(self) -> list[Json]:
        """The content that the next round sends back: with the thinking that Claude wrote, before it was filtered.

        Thinking that another process has received is only known as it was filtered.
        """
        entries = (self._blocks[index] for index in sorted(self._blocks))
        return [entry.to_json() if entry.original is None else entry.original for entry in entries]

    @property
    def rounds(self) -> int:
        """The number of rounds that ended with tool results."""
        kinds = [block.get("type") == "tool_result" for block in self.content]
        return sum(is_result and not previous_is_result for previous_is_result, is_result in pairwise([False, *kinds]))

    @property
    def calls(self) -> int:
        """The number of tool calls, excluding those of Claude's server tools."""
        return sum(block.get("type") == "tool_use" for block in self.content)

    @property
    def has_calls(self) -> bool:
        """Whether Claude has called tools in this round."""
        return any(
            entry.block.get("type") == "tool_use" for index, entry in self._blocks.items() if index >= self._round_start
        )

    def open_calls(self) -> dict[int, Json]:
        """Return the calls of past rounds that have no complete result yet, by block index."""
        answered_ids = {entry.block.get("tool_use_id") for entry in self._blocks.values() if entry.finished}
        past_blocks = (
            (index, self._blocks[index].block) for index in sorted(self._blocks) if index < self._round_start
        )
        return {
            index: block
            for index, block in past_blocks
            if block.get("type") == "tool_use" and block["id"] not in answered_ids
        }

    def end_round(self, amount: int | None) -> None:
        """Start the next round. `amount` is the cost of the round that has ended, in units; None if it is not known."""
        self.earlier = self.total()
        self.earlier_amount = None if amount is None or self.earlier_amount is None else self.earlier_amount + amount
        self.usage, self._reported_usage, self._written_characters = {}, {}, 0
        self.counted, self.request_id, self.cache_write_1h_tokens, self.web_searches = False, None, 0, 0
        self._round_start = max(self._blocks, default=-1) + 1

    def fix_invalid_inputs(self, events: list[GenerationEvent]) -> set[str]:
        """Replace each tool input that is not a JSON object with an empty object, and return the ids of these calls.

        Appends one event for each of these calls to `events`.
        """
        broken = set[str]()
        for index, entry in self._blocks.items():
            block = entry.block
            if index >= self._round_start and block.get("type") == "tool_use" and not _has_valid_input(block):
                entry.block = {**without(without(block, "partial"), "partial_json"), "input": {}}
                broken.add(block["id"])
                events.append(ContentBlockFinished(self.generation_id, self.next_sequence(), index, entry.block))
        return broken

    def begin_result(self, tool_use_id: str) -> GenerationEvent | None:
        """Return the event which reports that a tool is running; None if a lost process has already sent it."""
        if self._result_index(tool_use_id) is not None:
            return None
        index, self._round_start = self._round_start, self._round_start + 1
        block: Json = {"type": "tool_result", "tool_use_id": tool_use_id}
        self._blocks[index] = AnswerBlock(block, 0)
        return ContentBlockStarted(self.generation_id, self.next_sequence(), index, {**block, "partial": True})

    def finish_result(self, block: Json) -> list[GenerationEvent]:
        """Add the result of a tool call, and return its events."""
        started = self.begin_result(block["tool_use_id"])
        index = self._result_index(block["tool_use_id"])
        if index is None:
            raise KeyError(block["tool_use_id"])
        self._blocks[index] = AnswerBlock(block, 0, finished=True)
        finished = ContentBlockFinished(self.generation_id, self.next_sequence(), index, block)
        return [finished] if started is None else [started, finished]

    def add(self, block: Json) -> list[GenerationEvent]:
        """Add a complete block, such as a picture, after the result of a tool call, and return its events."""
        index, self._round_start = self._round_start, self._round_start + 1
        self._blocks[index] = AnswerBlock(block, 0, finished=True)
        started = ContentBlockStarted(self.generation_id, self.next_sequence(), index, block)
        return [started, ContentBlockFinished(self.generation_id, self.next_sequence(), index, block)]

    def _result_index(self, tool_use_id: str) -> int | None:
        indexes = (index for index, entry in self._blocks.items() if entry.block.get("tool_use_id") == tool_use_id)
        return next(indexes, None)

    def total(self) -> dict[str, int]:
        """Return the token counts of all rounds, by column."""
        current = self.billed()
        totals = {name: self.earlier.get(name, 0) + current.get(name, 0) for name in self.earlier | current}
        return {name: min(count, LARGEST_COUNT) for name, count in totals.items()}

    def billed(self) -> dict[str, int]:
        """Return the token counts of this round, by column. If Claude did not report the output, it is estimated."""
        if self.counted or not (self.usage or self._written_characters):
            return self.usage
        guessed = -(-self._written_characters // CHARACTERS_OF_TOKEN)
        return self.usage | {"output_tokens": max(self.usage.get("output_tokens", 0), guessed)}

    def next_sequence(self) -> int:
        """Return the sequence number of the next event."""
        self.sequence += 1
        return self.sequence

    async def check_json(self, event: Json, check: Callable[[Json, str], Awaitable[str | None]]) -> None:
        """Validate the text of a block that must be JSON, if this event ends one; `process` adds the finding to it.

        Args:
            event: An event of Claude's stream.
            check: Returns what is wrong with a text according to a schema, or None.
        """
        block_index: object = event.get("index")
        if self.schema is None or event.get("type") != "content_block_stop" or not isinstance(block_index, int):
            return
        current = self._blocks.get(self._round_start + block_index)
        if current is not None and JSON_MARK in current.block:
            text = current.block.get("text", "") + join_text(current.pieces) + current.finish_filter()
            self._json_findings[self._round_start + block_index] = await check(self.schema, text)

    def process(self, events: Sequence[Json], output: list[GenerationEvent]) -> None:
        """Process events that Claude sent together, and append the resulting generation events to `output`.

        Adjacent deltas of one block are merged, so deltas become larger when Claude writes faster than we read.

        Raises:
            StreamError: An event is malformed. The events before it are in `output`.
        """
        try:
            for event in events if len(events) == 1 else merge_deltas(events):
                generation_event = self._handle(event, output)
                if generation_event is not None:
                    output.append(generation_event)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise StreamError(GenerationError(ErrorCode.API_ERROR, UNREADABLE, self.request_id)) from error

    def _handle(self, event: Json, output: list[GenerationEvent]) -> GenerationEvent | None:
        match event["type"]:
            case "content_block_delta":
                return self._delta(self._round_start + event["index"], event["delta"])
            case "content_block_start":
                return self._start(self._round_start + event["index"], event["content_block"])
            case "content_block_stop":
                return self._finish(self._round_start + event["index"], output)
            case "message_start":
                self.request_id, self.stop_reason = event.get("request_id"), None
                self._add_usage(event["message"].get("usage"))
            case "message_delta":
                self.stop_reason = event["delta"].get("stop_reason") or self.stop_reason
                container: Json = event["delta"].get("container") or {}
                self.container = container.get("id") or self.container
                self._add_usage(event.get("usage"))
                self.counted = self.stop_reason is not None
            case _:
                pass  # The documentation says that new event types may be added at any time.
        return None

    def _start(self, index: int, block: Json) -> GenerationEvent:
        text_filter, written = None, list[str]()
        if self.new_filter is not None and (kind := block.get("type")) in ("text", "thinking"):
            text_filter, text = self.new_filter(kind), block.get(kind) or ""
            written = [text] if kind == "thinking" else []
            block = {**block, kind: text_filter.feed(text)}
        initial_text = block.get("text") or block.get("thinking") or ""
        if block.get("type") == "tool_use":
            block = {**block, "id": self._unique_id(block["id"])}
        if self.schema is not None and block.get("type") == "text":
            block = {**block, JSON_MARK: {}}
        self._blocks[index] = AnswerBlock(block, utf16_length(initial_text), text_filter=text_filter, written=written)
        return ContentBlockStarted(self.generation_id, self.next_sequence(), index, block)

    def _unique_id(self, id: str) -> str:
        """Return an id for a call that is unique in the answer, because results refer to their calls by id."""
        existing_ids = {entry.block.get("id") for entry in self._blocks.values()}
        if id not in existing_ids:
            return id
        return next(candidate for n in count(2) if (candidate := f"{id}_{n}") not in existing_ids)

    def _delta(self, index: int, delta: Json) -> GenerationEvent | None:
        current = self._blocks[index]
        kind = delta["type"]
        if kind in DELTAS:
            event_type, key = DELTAS[kind]
            return self._append_text(event_type, index, current, delta[key])
        if kind == "signature_delta":
            current.block = {
                **current.block,
                "signature": (current.block.get("signature") or "") + delta["signature"],
            }
        elif kind == "compaction_delta":
            summary = (current.block.get("content") or "") + (delta.get("content") or "")
            current.block = {**current.block, **without(delta, "type"), "content": summary or None}
        elif kind == "citations_delta":
            current.block = {
                **current.block,
                "citations": [*(current.block.get("citations") or []), delta["citation"]],
            }
        return None

    def _append_text(self, kind: type[Delta], index: int, current: AnswerBlock, text: str) -> GenerationEvent | None:
        self._written_characters += len(text)
        if current.written:
            current.written.append(text)
        return self._show(kind, index, current, text if current.text_filter is None else current.text_filter.feed(text))

    def _show(self, kind: type[Delta], index: int, current: AnswerBlock, text: str) -> GenerationEvent | None:
        if not text:
            return None
        offset = current.offset
        current.offset += utf16_length(text)
        current.pieces.append(text)
        return kind(self.generation_id, self.next_sequence(), index, offset, text)

    def _release(self, index: int, current: AnswerBlock, output: list[GenerationEvent]) -> None:
        held_back, current.held_back = current.finish_filter(), ""
        kind = ThinkingDelta if current.block.get("type") == "thinking" else TextDelta
        event = self._show(kind, index, current, held_back)
        if event is not None:
            output.append(event)

    def release_text(self) -> list[GenerationEvent]:
        """Return the events of the text that filters still hold back, because the answer ends before its block."""
        output: list[GenerationEvent] = []
        for index, entry in self._blocks.items():
            if not entry.finished:
                # A filter that fails now shows nothing more. The answer ends anyway.
                with suppress(StreamError):
                    self._release(index, entry, output)
        return output

    def _finish(self, index: int, output: list[GenerationEvent]) -> GenerationEvent:
        current = self._blocks[index]
        self._release(index, current, output)
        current.block = completed_block(current.block, join_text(current.pieces))
        current.keep_original()
        if index in self._json_findings:
            problem = self._json_findings.pop(index)
            current.block = {**current.block, JSON_MARK: {"checked": True, "problem": problem}}
        current.finished = True
        return ContentBlockFinished(self.generation_id, self.next_sequence(), index, current.block)

    def _add_usage(self, usage: Json | None) -> None:
        # Claude's counts are cumulative, so a later count replaces an earlier one.
        self._reported_usage |= {name: count for name, count in (usage or {}).items() if count is not None}
        self.usage |= usage_of(self._reported_usage)
        self.context_tokens = context_of(self._reported_usage) or self.context_tokens
        server_tools: Json = self._reported_usage.get("server_tool_use") or {}
        self.web_searches = int(server_tools.get("web_search_requests") or 0)
        lifetimes: Json = self._reported_usage.get("cache_creation") or {}
        self.cache_write_1h_tokens = int(lifetimes.get("ephemeral_1h_input_tokens") or self.cache_write_1h_tokens)
