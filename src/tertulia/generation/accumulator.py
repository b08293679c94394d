"""Translate the Messages API's stream into generation events, and accumulate the content of the answer.

An answer has one round, or several if Claude calls tools. Each round is one request to Claude. Its blocks follow those
of the earlier rounds, with the results of the tools between them. This module does no I/O. Source: "Streaming Messages"
in the Claude API documentation.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from uuid import UUID

from tertulia.claude.continuation import ATTEMPT, THINKING, WRITTEN_BY, TextJoin, attempts_of
from tertulia.claude.deltas import DELTAS, join_text, merge_deltas, utf16_length
from tertulia.claude.errors import UNREADABLE, BrokenStream, ErrorCode, GenerationError, StreamError
from tertulia.claude.prompt import FALLBACK, SUMMARY
from tertulia.claude.request_fixes import unique_id
from tertulia.generation.answer_block import (
    AnswerBlock,
    characters_of,
    completed_block,
    without,
)
from tertulia.generation.answer_content import AnswerContent
from tertulia.json import Json
from tertulia.streams.events import (
    ContentBlockFinished,
    ContentBlockStarted,
    Delta,
    GenerationContinued,
    GenerationEvent,
    TextDelta,
    ThinkingDelta,
    with_join,
)
from tertulia.text_filters import BlockFilter, TextKind

JSON_MARK = "json"
"""The key that Tertulia adds to stored text blocks that must be JSON."""


class AnswerAccumulator(AnswerContent):
    """Claude's answer while it is being received."""

    __slots__ = (
        "_joined",
        "_json_findings",
        "_open_text",
        "_skipped",
        "attempt",
        "new_filter",
        "schema",
        "writer",
    )

    def __init__(self, generation_id: UUID, sequence: int = 0, content: Sequence[Json] = ()) -> None:
        """Start with no content, or with the content that another process has saved."""
        super().__init__(generation_id, sequence, content)
        self.schema: Json | None = None
        """The JSON schema that the text must match, if the request has one."""
        self.new_filter: Callable[[TextKind], BlockFilter] | None = None
        """Creates the filter of a block of text or thinking; None if the application has no hook for it."""
        self.attempt = 0
        """How often the answer was continued after an interruption."""
        self.writer: str | None = None
        """The fallback model that continues the answer; None for the model of the generation."""
        self._open_text: int | None = None
        """The index of the interrupted text block that this attempt may continue."""
        self._joined: tuple[int, int] | None = None
        """Claude's index of the block with which this attempt continues a text block, and that block's index."""
        self._skipped = set[int]()
        """Claude's indexes of the blocks of this response that are not a part of the answer."""
        self._json_findings: dict[int, str | None] = {}

    def break_off(self) -> list[GenerationEvent]:
        """Close what an interrupted response has left open, except a text, which can be continued. Return the events.

        Text that a filter holds back is dropped, because Claude writes it again.
        """
        events: list[GenerationEvent] = []
        for index, entry in self._of_round():
            if entry.finished and not entry.block.get("partial"):
                continue
            if entry.block.get("type") == "text":
                text = (entry.block.get("text") or "") + join_text(entry.pieces)
                block = {**without(entry.block, "partial"), "text": text}
                self._blocks[index] = AnswerBlock(block, utf16_length(text))
                self._open_text = index
            elif not entry.broken_off and entry.block.get(ATTEMPT, 0) == self.attempt:
                block = {**entry.to_json(), "partial": True}
                self._blocks[index] = AnswerBlock(block, 0, finished=True, broken_off=True)
                events.append(ContentBlockFinished(self.generation_id, self.next_sequence(), index, block))
        return events

    def end_with_calls(self) -> list[GenerationEvent] | None:
        """End an interrupted round with its complete calls of tools. Return the events; None if it has no calls."""
        blocks = [entry.to_json() for _, entry in self._of_round()]
        if not any(block.get("type") == "tool_use" and not block.get("partial") for block in blocks):
            return None
        output: list[GenerationEvent] = []
        self._close_text(output)
        return output

    def begin_attempt(self, reason: ErrorCode) -> GenerationEvent:
        """Continue the interrupted answer with another request. Return the event that says so."""
        self.attempt += 1
        if reason is ErrorCode.REFUSED:
            self.declined = self.refusal or {}
        self._round_start, self._joined = max(self._blocks, default=-1) + 1, None
        if self._open_text is not None:
            entry = self._blocks[self._open_text]
            entry.block = with_join(entry.block, self.attempt, self.writer)
        number = self.next_sequence()
        return GenerationContinued(self.generation_id, number, reason.value, self.attempt, self._open_text, self.writer)

    def estimate_usage(self) -> None:
        """Count the characters of an interrupted response that another process has received."""
        blocks = [entry.to_json() for _, entry in self._of_round()]
        self._written_characters = sum(characters_of(block) for block in attempts_of(blocks).get(self.attempt, []))

    def end_round(self, amount: int | None) -> None:
        """Start the next round. `amount` is the cost of the round that has ended, in units; None if it is not known."""
        super().end_attempt(amount)
        self._round_start = max(self._blocks, default=-1) + 1
        self._open_text = self._joined = None

    def end_attempt(self, amount: int | None) -> None:
        """Add the usage of an interrupted response to that of earlier rounds. `amount` is its cost in units."""
        open_text = self._open_text
        self.end_round(amount)
        self._open_text = open_text

    async def check_json(self, event: Json, check: Callable[[Json, str], Awaitable[str | None]]) -> None:
        """Validate the text of a block that must be JSON, if this event ends one; `process` adds the finding to it.

        Args:
            event: An event of Claude's stream.
            check: Returns what is wrong with a text according to a schema, or None.
        """
        block_index: object = event.get("index")
        if self.schema is None or event.get("type") != "content_block_stop" or not isinstance(block_index, int):
            return
        index = self._index_of(block_index)
        current = self._blocks.get(index)
        if current is not None and JSON_MARK in current.block:
            text = current.block.get("text", "") + join_text(current.pieces) + current.finish_text()
            self._json_findings[index] = await check(self.schema, text)

    def process(self, events: Sequence[Json], output: list[GenerationEvent]) -> None:
        """Process events that Claude sent together, and append the resulting generation events to `output`.

        Adjacent deltas of one block are merged, so deltas become larger when Claude writes faster than we read.

        Raises:
            StreamError: An event is malformed. The events before it are in `output`.
        """
        try:
            for event in events if len(events) == 1 else merge_deltas(events):
                if event["type"] == "content_block_delta":
                    # Without `_index_of` in most answers, because this runs for each token.
                    is_mapped = self._joined is not None or self._skipped
                    index = self._index_of(event["index"]) if is_mapped else self._round_start + event["index"]
                    current, delta = self._blocks[index], event["delta"]
                    if (kind := DELTAS.get(delta["type"])) is None:
                        self._extend(current, delta)
                        continue
                    generation_event = self._append_text(kind[0], index, current, delta[kind[1]])
                else:
                    generation_event = self._handle(event, output)
                if generation_event is not None:
                    output.append(generation_event)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise BrokenStream(GenerationError(ErrorCode.API_ERROR, UNREADABLE, self.request_id)) from error

    def _handle(self, event: Json, output: list[GenerationEvent]) -> GenerationEvent | None:
        match event["type"]:
            case "content_block_start" if event["content_block"].get("type") == FALLBACK:
                self._fall_back(event["index"], event["content_block"], output)
            case "content_block_start":
                return self._start(event["index"], event["content_block"], output)
            case "content_block_stop" if event["index"] not in self._skipped:
                return self._finish(self._index_of(event["index"]), output)
            case "message_start":
                self.request_id, self.stop_reason, self.refusal = event.get("request_id"), None, None
                self.response_id = event["message"].get("id")
                self._add_report(event["message"])
                self._add_usage(event["message"].get("usage"))
                self._skipped.clear()
                if event["message"].get("model") in self.fallbacks:
                    self.writer = event["message"]["model"]
            case "message_delta":
                self._add_end(event["delta"])
                self._add_report(event)
                self._add_usage(event.get("usage"))
            case "message_stop":
                self._close_text(output)
            case _:  # The documentation says that new event types may be added at any time.
                pass
        return None

    def _index_of(self, index: int) -> int:
        """Return the index in the answer of the block to which Claude has given this index in its response."""
        if self._skipped:
            index -= sum(skipped < index for skipped in self._skipped)
        if self._joined is None:
            return self._round_start + index
        joined, open_text = self._joined
        return open_text if index == joined else self._round_start + index - (index > joined)

    def _fall_back(self, index: int, boundary: Json, output: list[GenerationEvent]) -> None:
        """Continue with the fallback model that the API has asked. The boundary is not a part of the answer."""
        self._skipped.add(index)
        self._close_text(output)
        output += self.decline()
        self.declined, self.writer = {"category": boundary["trigger"].get("category")}, boundary["to"]["model"]

    def _start(self, index: int, block: Json, output: list[GenerationEvent]) -> GenerationEvent | None:
        if block.get("type") == "text" and self._open_text is not None:
            self._joined, self._open_text = (index, self._open_text), None
            return self._continue_text(self._index_of(index), block)
        index = self._index_of(index)
        if block.get("type") not in THINKING:
            self._close_text(output)
        origin = {ATTEMPT: self.attempt} if self.attempt else {}
        block = {**block, **origin, **({WRITTEN_BY: self.writer} if self.writer else {})}
        text_filter, written = None, list[str]()
        kind = block.get("type")
        if self.new_filter is not None and kind in ("text", "thinking"):
            text_filter, text = self.new_filter(kind), block.get(kind) or ""
            written = [text] if kind == "thinking" else []
            block = {**block, kind: text_filter.feed(text)}
        elif self.new_filter is not None and kind == SUMMARY:
            written, block = [block.get("content") or ""], {**block, "content": None}
        initial_text = block.get("text") or block.get("thinking") or ""
        if block.get("type") == "tool_use":
            # Unique in the answer, because results refer to their calls by id.
            block = {**block, "id": unique_id(block["id"], {entry.block.get("id") for entry in self._blocks.values()})}
        if self.schema is not None and block.get("type") == "text":
            block = {**block, JSON_MARK: {}}
        self._blocks[index] = AnswerBlock(block, utf16_length(initial_text), text_filter=text_filter, written=written)
        return ContentBlockStarted(self.generation_id, self.next_sequence(), index, block)

    def _continue_text(self, index: int, block: Json) -> GenerationEvent | None:
        """Continue the interrupted text block at `index` with another block of the response."""
        entry = self._blocks[index]
        entry.join = TextJoin(entry.block["text"])
        entry.text_filter = self.new_filter("text") if self.new_filter is not None else None
        return self._append_text(TextDelta, index, entry, block.get("text") or "")

    def _close_text(self, output: list[GenerationEvent]) -> None:
        """Finish the interrupted text block, because Claude does not continue it."""
        if self._open_text is not None:
            index, self._open_text = self._open_text, None
            output.append(self._finish(index, output))

    def _extend(self, current: AnswerBlock, delta: Json) -> None:
        """Add a delta that followers do not see to its block."""
        kind = delta["type"]
        if kind == "signature_delta":
            current.block = {
                **current.block,
                "signature": (current.block.get("signature") or "") + delta["signature"],
            }
        elif kind == "compaction_delta":
            summary = (current.block.get("content") or "") + (delta.get("content") or "")
            if current.written:
                # It is shown at its end, when it was filtered.
                current.written.append(summary)
                summary = ""
            current.block = {**current.block, **without(delta, "type"), "content": summary or None}
        elif kind == "citations_delta":
            current.block = {
                **current.block,
                "citations": [*(current.block.get("citations") or []), delta["citation"]],
            }

    def _append_text(self, kind: type[Delta], index: int, current: AnswerBlock, text: str) -> GenerationEvent | None:
        self._written_characters += len(text)
        if current.written:
            current.written.append(text)
        if current.join is not None or current.text_filter is not None:
            text = current.feed(text)
        return self._show(kind, index, current, text) if text else None

    def _show(self, kind: type[Delta], index: int, current: AnswerBlock, text: str) -> GenerationEvent:
        offset = current.offset
        current.offset += len(text) if text.isascii() else utf16_length(text)
        current.pieces.append(text)
        self.sequence += 1
        return kind(self.generation_id, self.sequence, index, offset, text)

    def _release(self, index: int, current: AnswerBlock, output: list[GenerationEvent]) -> None:
        held_back, current.held_back = current.finish_text(), ""
        kind = ThinkingDelta if current.block.get("type") == "thinking" else TextDelta
        if held_back:
            output.append(self._show(kind, index, current, held_back))

    def release_text(self) -> list[GenerationEvent]:
        """Return the events of the text that filters still hold back, because the answer ends before its block."""
        output: list[GenerationEvent] = []
        for index, entry in self._blocks.items():
            if not entry.finished:
                # A filter that fails now shows nothing more. The answer ends anyway.
                with suppress(StreamError):
                    self._release(index, entry, output)
        return output

    @property
    def is_joining(self) -> bool:
        """Whether text is held back until it is known how much of the interrupted text it repeats."""
        join = None if self._joined is None else self._blocks[self._joined[1]].join
        return join is not None and join.is_holding

    def release_join(self) -> list[GenerationEvent]:
        """Decide now what a continuation repeats, and return the events of the text that was held back."""
        if self._joined is None:
            return []
        entry = self._blocks[index := self._joined[1]]
        entry.finish_join()
        held_back, entry.held_back = entry.held_back, ""
        return [self._show(TextDelta, index, entry, held_back)] if held_back else []

    def _finish(self, index: int, output: list[GenerationEvent]) -> GenerationEvent:
        current = self._blocks[index]
        self._release(index, current, output)
        current.block = completed_block(current.block, join_text(current.pieces))
        current.pieces.clear()
        if current.block.get("type") == SUMMARY and current.written and self.new_filter is not None:
            current.filter_summary(self.new_filter("text"))
        current.keep_original()
        if index in self._json_findings:
            problem = self._json_findings.pop(index)
            current.block = {**current.block, JSON_MARK: {"checked": True, "problem": problem}}
        current.finished = True
        return ContentBlockFinished(self.generation_id, self.next_sequence(), index, current.block)
