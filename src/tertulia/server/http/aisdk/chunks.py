"""Converts the events of an answer to the chunks of the AI SDK's UI message stream, each part once.

Source: `uiMessageChunkSchema` of the package `ai`, version 7. This module does no I/O.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from tertulia.json import Json, dumps, is_object
from tertulia.resolvers.content import (
    Citation,
    CompactionBlock,
    ContentBlock,
    DocumentBlock,
    ImageBlock,
    JsonBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    show_block,
)
from tertulia.resolvers.follow import MessageSnapshot
from tertulia.streams.events import (
    ContentBlockFinished,
    ContentBlockStarted,
    Delta,
    GenerationEvent,
    TerminalEvent,
    ToolInputDelta,
    ToolResultsRequired,
)

UNKNOWN_TYPE = "application/octet-stream"
"""The media type of a cited document or a file whose type is not known."""
INCOMPLETE = "Claude did not complete this call."
NO_RESULT = "The answer ended before this call had a result."


@dataclass(slots=True)
class _Part:
    """The state of a block at the client: the length of its text, and whether the client knows its end."""

    kind: str
    length: int = 0
    is_closed: bool = False


@dataclass(slots=True)
class _Call:
    """A tool call, and which of its states a client knows."""

    index: int
    block: ToolUseBlock
    is_incomplete: bool = True
    is_announced: bool = False
    is_asked: bool = False
    is_settled: bool = False


class AnswerChunks:
    """The chunks of one answer for one client."""

    def __init__(self, path: Callable[[UUID], str]) -> None:
        """Initialize for the first event.

        Args:
            path: Returns the path of an attachment.
        """
        self._path = path
        self._parts: dict[int, _Part] = {}
        self._calls: dict[str, _Call] = {}
        self._sources = set[str]()
        self._is_in_step = self._has_calls_in_step = False
        self._is_after_results = True

    def skip(self, blocks: Sequence[Json]) -> None:
        """Continue after blocks that the client has, with all calls in them."""
        for index, block in enumerate(blocks):
            self._show(index, block, is_closed=True)
        for call in self._calls.values():
            call.is_announced = call.is_asked = True
            call.is_settled |= call.is_incomplete
        self._is_in_step = False

    def convert(self, event: GenerationEvent) -> list[Json]:
        """Return the chunks of an event: none if the client has its content already."""
        match event:
            case Delta():
                return self._append(event)
            case ContentBlockStarted() | ContentBlockFinished():
                return self._show(event.index, event.block, is_closed=isinstance(event, ContentBlockFinished))
            case MessageSnapshot():
                return self.show_all(event.message.content)
            case ToolResultsRequired():
                return self.wait(event)
            case TerminalEvent():
                return self.end()
            case _:
                return []

    def show_all(self, blocks: Sequence[Json]) -> list[Json]:
        """Return the chunks of what is new in the whole content so far."""
        chunks: list[Json] = []
        for index, block in enumerate(blocks):
            # An interrupted text can continue after thinking. All other blocks are written one after the other.
            is_past = index < len(blocks) - 1 and block.get("type") != "text"
            chunks += self._show(index, block, is_closed=is_past or not block.get("partial"))
        return chunks

    def wait(self, event: ToolResultsRequired) -> list[Json]:
        """Return the chunks of the calls that wait for the client or the user."""
        chunks = [*self._close_all(), *self._fail_incomplete(max(self._parts, default=0) + 1)]
        for index, block in sorted(event.tool_uses.items()):
            call = self._calls.get(block["id"])
            if call is None:
                continue
            # Also without `providerExecuted` for an approval, for which the AI SDK's helpers would not wait then.
            chunks += self._announce(call, by_server=False)
            if index in event.approvals and not call.is_asked:
                call.is_asked = True
                id = call.block.tool_use_id
                chunks.append({"type": "tool-approval-request", "approvalId": id, "toolCallId": id})
        return [*chunks, *self._end_step()]

    def end(self) -> list[Json]:
        """Return the chunks that complete all parts when the answer has ended."""
        chunks = [*self._close_all(), *self._fail_incomplete(max(self._parts, default=0) + 1)]
        for call in self._calls.values():
            if not call.is_settled:
                chunks += self._announce(call, by_server=True)
                chunks.append(_failure(call.block.tool_use_id, NO_RESULT))
                call.is_settled = True
        if self._has_calls_in_step:
            # Otherwise the AI SDK's helpers would see calls with results, and send the message again.
            chunks += [*self._end_step(), {"type": "start-step"}]
            self._is_in_step, self._has_calls_in_step = True, False
        return [*chunks, *self._end_step()]

    def _show(self, index: int, stored: Json, *, is_closed: bool) -> list[Json]:
        block = show_block(index, stored)
        if block is None or (isinstance(block, ThinkingBlock) and block.redacted):
            return []
        chunks = [] if index in self._parts else self._begin(block)
        match block:
            case TextBlock() | JsonBlock() | ThinkingBlock():
                chunks += self._grow(index, block.text)
                if is_closed:
                    chunks += self._close(index, block.citations if isinstance(block, TextBlock) else ())
            case ToolUseBlock():
                chunks += self._show_call(block, is_closed=is_closed)
            case ToolResultBlock():
                chunks += self._show_result(block, stored)
            case CompactionBlock():
                chunks += self._show_summary(block)
            case _ if not self._parts[index].is_closed:
                self._parts[index].is_closed = True
                chunks.append(file_chunk(self._path(block.attachment_id), _media_type(stored)))
            case _:
                pass
        return chunks

    def _show_summary(self, block: CompactionBlock) -> list[Json]:
        part, summary = self._parts[block.index], block.summary or ""
        if len(summary) <= part.length:
            return []
        part.length = len(summary)
        return [{"type": "data-compaction", "id": str(block.index), "data": {"summary": summary}}]

    def _begin(self, block: ContentBlock) -> list[Json]:
        """Return the chunks that begin a block. A step of the AI SDK is a turn of Claude."""
        chunks: list[Json] = []
        is_of_tools = isinstance(block, ToolResultBlock | ImageBlock | DocumentBlock)
        if self._is_after_results and not is_of_tools:
            chunks += [*self._end_step(), {"type": "start-step"}]
            self._is_in_step, self._has_calls_in_step = True, False
        self._is_after_results = is_of_tools
        kind = ""
        if isinstance(block, ToolUseBlock):
            self._has_calls_in_step = True
            self._calls[block.tool_use_id] = _Call(block.index, block)
            names = {"toolCallId": block.tool_use_id, "toolName": block.name}
            chunks.append({"type": "tool-input-start", **names, "dynamic": True})
        elif isinstance(block, TextBlock | JsonBlock | ThinkingBlock):
            kind = "reasoning" if isinstance(block, ThinkingBlock) else "text"
            chunks.append({"type": f"{kind}-start", "id": str(block.index)})
        self._parts[block.index] = _Part(kind)
        return chunks

    def _append(self, delta: Delta) -> list[Json]:
        part = self._parts.get(delta.index)
        if part is None or not delta.text:
            return []
        part.length += len(delta.text)
        if isinstance(delta, ToolInputDelta):
            id = next((id for id, call in self._calls.items() if call.index == delta.index), "")
            return [{"type": "tool-input-delta", "toolCallId": id, "inputTextDelta": delta.text}]
        return [{"type": f"{part.kind}-delta", "id": str(delta.index), "delta": delta.text}]

    def _grow(self, index: int, text: str) -> list[Json]:
        """Return the chunk with what the client lacks of a text, which only grows."""
        part = self._parts[index]
        rest, part.length = text[part.length :], max(part.length, len(text))
        return [{"type": f"{part.kind}-delta", "id": str(index), "delta": rest}] if rest else []

    def _close(self, index: int, citations: Iterable[Citation] = ()) -> list[Json]:
        part = self._parts[index]
        if part.is_closed or not part.kind:
            return []
        part.is_closed = True
        cited = [(f"{index}-{number}", citation) for number, citation in enumerate(citations)]
        end: Json = {"type": f"{part.kind}-end", "id": str(index)}
        if cited:
            end["citations"] = [
                {"source": {"type": "source", **_source(id, citation)}, "citedText": citation.cited_text}
                for id, citation in cited
            ]
        return [end, *(chunk for id, citation in cited for chunk in self._source_chunks(id, citation))]

    def _source_chunks(self, id: str, citation: Citation) -> list[Json]:
        """Return the chunk of a source that the answer has not cited before."""
        source = _source(id, citation)
        key = source.get("url") or source["title"]
        if key in self._sources:
            return []
        self._sources.add(key)
        del source["id"]
        return [{"type": f"source-{source.pop('sourceType')}", "sourceId": id, **source}]

    def _close_all(self) -> list[Json]:
        return [chunk for index in self._parts for chunk in self._close(index)]

    def _show_call(self, block: ToolUseBlock, *, is_closed: bool) -> list[Json]:
        call, part = self._calls[block.tool_use_id], self._parts[block.index]
        call.block, call.is_incomplete = block, not is_closed or block.partial_json is not None
        json = block.partial_json or ""
        rest, part.length = json[part.length :], max(part.length, len(json))
        if not rest or call.is_announced:
            return []
        return [{"type": "tool-input-delta", "toolCallId": block.tool_use_id, "inputTextDelta": rest}]

    def _show_result(self, block: ToolResultBlock, stored: Json) -> list[Json]:
        call = self._calls.get(block.tool_use_id)
        if call is None or call.is_settled:
            return []
        # The results of tools of this server follow the whole turn; those of Claude's own tools are in it.
        chunks = self._fail_incomplete(block.index) if stored.get("type") == "tool_result" else []
        if call.is_settled:
            return chunks
        chunks += self._announce(call, by_server=True)
        if stored.get("partial"):
            return chunks
        call.is_settled = True
        output = block.output
        if block.is_error:
            return [*chunks, _failure(block.tool_use_id, output if isinstance(output, str) else dumps(output))]
        return [*chunks, {"type": "tool-output-available", "toolCallId": block.tool_use_id, "output": output}]

    def _announce(self, call: _Call, *, by_server: bool) -> list[Json]:
        """Return the chunk with the whole input of a call. The page must not run a call that the server runs."""
        if call.is_announced:
            return []
        call.is_announced = True
        executed = {"providerExecuted": True} if by_server else {}
        return [{"type": "tool-input-available", **_names(call), "input": call.block.input, **executed}]

    def _fail_incomplete(self, before: int) -> list[Json]:
        """Return the chunks of calls before an index that were interrupted, and will not be carried out."""
        chunks: list[Json] = []
        for call in self._calls.values():
            if call.index < before and call.is_incomplete and not call.is_settled:
                call.is_announced = call.is_settled = True
                error = {"input": call.block.input, "errorText": INCOMPLETE}
                chunks.append({"type": "tool-input-error", **_names(call), **error})
        return chunks

    def _end_step(self) -> list[Json]:
        was_in_step, self._is_in_step = self._is_in_step, False
        return [{"type": "finish-step"}] if was_in_step else []


def file_chunk(path: str, media_type: str) -> Json:
    """Return the chunk of a file that the answer contains."""
    return {"type": "file", "url": path, "mediaType": media_type}


def _names(call: _Call) -> Json:
    return {"toolCallId": call.block.tool_use_id, "toolName": call.block.name, "dynamic": True}


def _failure(tool_call_id: str, text: str) -> Json:
    return {"type": "tool-output-error", "toolCallId": tool_call_id, "errorText": text}


def _media_type(stored: Json) -> str:
    source = stored.get("source")
    media_type = source.get("media_type") if is_object(source) else None
    return media_type if isinstance(media_type, str) else UNKNOWN_TYPE


def _source(id: str, citation: Citation) -> Json:
    title = citation.title or citation.source
    if citation.url is not None:
        return {"sourceType": "url", "id": id, "url": citation.url, **({"title": title} if title else {})}
    return {"sourceType": "document", "id": id, "mediaType": UNKNOWN_TYPE, "title": title}
