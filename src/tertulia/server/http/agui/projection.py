"""Converts the events of an answer to events of AG-UI. It has the state that AG-UI's rules for their order need."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

from tertulia.json import Json
from tertulia.resolvers.content import (
    ContentBlock,
    JsonBlock,
    TextBlock,
    ThinkingBlock,
    ToolResultBlock,
    ToolUseBlock,
    show_block,
)
from tertulia.server.http.agui.messages import (
    INCOMPLETE,
    NO_RESULT,
    Kind,
    arguments_of,
    block_id,
    is_incomplete,
    kind_of,
    output_of,
    parent_of_call,
    result_id,
)
from tertulia.streams.events import (
    ContentBlockFinished,
    ContentBlockStarted,
    Delta,
    GenerationContinued,
    GenerationEvent,
    GenerationSteered,
    TerminalEvent,
    TextDelta,
    ToolInputDelta,
    ToolResultsRequired,
)


def custom(name: str, value: Json) -> Json:
    """Return an event for what no other event of AG-UI can express."""
    return {"type": "CUSTOM", "name": name, "value": value}


@dataclass(slots=True)
class _Call:
    id: str
    has_arguments: bool = False
    is_complete: bool = False


class Projection:
    """The events of one answer for one client, in order."""

    def __init__(self, message_id: str, answered: Collection[str] = ()) -> None:
        """Initialize for the first event.

        Args:
            message_id: The id of the answer's message.
            answered: The calls whose results came from the client, which therefore has them.
        """
        self._message_id = message_id
        self._kinds: dict[int, Kind] = {}
        self._open: dict[int, type[ContentBlock]] = {}
        self._calls: dict[int, _Call] = {}
        self._settled = set(answered)

    def restore(self, blocks: Sequence[Json]) -> list[Json]:
        """Continue after blocks that the client has, and return the events that open the unfinished ones again."""
        self._kinds.clear()
        self._open.clear()
        self._calls.clear()
        opened: list[Json] = []
        for index, stored in enumerate(blocks):
            block = show_block(index, stored)
            self._kinds[index] = kind_of(block)
            is_last = index == len(blocks) - 1
            match block:
                case ToolUseBlock():
                    is_complete = not is_incomplete(stored)
                    has_arguments = is_complete or bool(block.partial_json)
                    self._calls[index] = _Call(block.tool_use_id, has_arguments, is_complete)
                    if not is_complete and not is_last:
                        self._settled.add(block.tool_use_id)
                case ToolResultBlock() if not is_incomplete(stored):
                    self._settled.add(block.tool_use_id)
                case _:
                    pass
            # An interrupted text may continue after thinking, in another request. All else is written one by one.
            if is_incomplete(stored) and (is_last or isinstance(block, TextBlock | JsonBlock)):
                opened += self._begin(index, block)
        return opened

    def convert(self, event: GenerationEvent) -> list[Json]:
        """Return the events of AG-UI for an event of the answer."""
        match event:
            case Delta():
                return self._append(event)
            case ContentBlockStarted():
                return self._start(event.index, event.block)
            case ContentBlockFinished():
                return self._finish(event.index, event.block)
            case GenerationContinued() | GenerationSteered():
                return self._note(event)
            case ToolResultsRequired() | TerminalEvent():
                return [*self.close(), *self._settle(has_ended=isinstance(event, TerminalEvent))]
            case _:
                return []

    def close(self, except_index: int | None = None) -> list[Json]:
        """End all open messages and calls except one, and return the events."""
        return [event for index in [*self._open] if index != except_index for event in self._end(index)]

    def _note(self, event: GenerationContinued | GenerationSteered) -> list[Json]:
        if isinstance(event, GenerationSteered):
            return [custom("steered", {"generationId": str(event.steered_by)})]
        model = {"model": event.model} if event.model else {}
        continued = custom("continued", {"reason": event.reason, "attempt": event.attempt, **model})
        return [*self.close(event.index), *self._settle(), continued]

    def _start(self, index: int, stored: Json) -> list[Json]:
        block = show_block(index, stored)
        self._kinds[index] = kind_of(block)
        # Claude writes one block after the other; a text that was interrupted may continue after the next one.
        events = [] if isinstance(block, ToolResultBlock) else self._end_all_but_texts()
        if isinstance(block, ToolUseBlock):
            self._calls[index] = _Call(block.tool_use_id)
        events += self._begin(index, block)
        match block:
            case TextBlock() | JsonBlock() if block.text:
                events.append(_text("TEXT_MESSAGE_CONTENT", block_id(self._message_id, index), block.text))
            case ThinkingBlock(redacted=False) if block.text:
                events.append(_text("REASONING_MESSAGE_CONTENT", block_id(self._message_id, index), block.text))
            case _:
                pass
        return events

    def _begin(self, index: int, block: ContentBlock | None) -> list[Json]:
        own = block_id(self._message_id, index)
        match block:
            case TextBlock() | JsonBlock():
                self._open[index] = TextBlock
                return [{"type": "TEXT_MESSAGE_START", "messageId": own, "role": "assistant"}]
            case ThinkingBlock(redacted=False):
                self._open[index] = ThinkingBlock
                start = {"type": "REASONING_MESSAGE_START", "messageId": own, "role": "reasoning"}
                return [{"type": "REASONING_START", "messageId": own}, start]
            case ToolUseBlock():
                self._open[index] = ToolUseBlock
                parent = block_id(self._message_id, parent_of_call(self._kinds, index))
                names = {"toolCallId": block.tool_use_id, "toolCallName": block.name}
                return [{"type": "TOOL_CALL_START", **names, "parentMessageId": parent}]
            case _:
                return []

    def _append(self, delta: Delta) -> list[Json]:
        if delta.index not in self._open or not delta.text:
            return []
        if isinstance(delta, ToolInputDelta):
            call = self._calls[delta.index]
            call.has_arguments = True
            return [{"type": "TOOL_CALL_ARGS", "toolCallId": call.id, "delta": delta.text}]
        type = "TEXT_MESSAGE_CONTENT" if isinstance(delta, TextDelta) else "REASONING_MESSAGE_CONTENT"
        return [_text(type, block_id(self._message_id, delta.index), delta.text)]

    def _finish(self, index: int, stored: Json) -> list[Json]:
        block = show_block(index, stored)
        match block:
            case ToolUseBlock() if (call := self._calls.get(index)) is not None:
                call.is_complete = not is_incomplete(stored)
                arguments = arguments_of(stored)
                events = self._end(index)
                if events and not call.has_arguments and arguments:
                    call.has_arguments = True
                    events.insert(0, {"type": "TOOL_CALL_ARGS", "toolCallId": call.id, "delta": arguments})
                return events
            case ToolResultBlock() if not is_incomplete(stored):
                own = block_id(self._message_id, index)
                return self._result(own, block.tool_use_id, output_of(stored), is_error=block.is_error)
            case TextBlock(citations=[_, *_]):
                value: Json = {"messageId": block_id(self._message_id, index)}
                value["citations"] = [asdict(citation) for citation in block.citations]
                return [*self._end(index), custom("citations", value)]
            case _:
                return self._end(index)

    def _end_all_but_texts(self) -> list[Json]:
        return [event for index in [*self._open] if self._open[index] is not TextBlock for event in self._end(index)]

    def _end(self, index: int) -> list[Json]:
        kind, own = self._open.pop(index, None), block_id(self._message_id, index)
        if kind is TextBlock:
            return [{"type": "TEXT_MESSAGE_END", "messageId": own}]
        if kind is ThinkingBlock:
            return [{"type": "REASONING_MESSAGE_END", "messageId": own}, {"type": "REASONING_END", "messageId": own}]
        return [{"type": "TOOL_CALL_END", "toolCallId": self._calls[index].id}] if kind is ToolUseBlock else []

    def _settle(self, *, has_ended: bool = False) -> list[Json]:
        """Return results for the calls that will have none, so that no client runs them."""
        events: list[Json] = []
        for call in self._calls.values():
            if has_ended or not call.is_complete:
                text = NO_RESULT if call.is_complete else INCOMPLETE
                events += self._result(result_id(self._message_id, call.id), call.id, text)
        return events

    def _result(self, message_id: str, call_id: str, content: str, *, is_error: bool = False) -> list[Json]:
        if call_id in self._settled:
            return []
        self._settled.add(call_id)
        names = {"messageId": message_id, "toolCallId": call_id, "role": "tool"}
        metadata = {"metadata": {"isError": True}} if is_error else {}
        return [{"type": "TOOL_CALL_RESULT", **names, "content": content, **metadata}]


def _text(type: str, message_id: str, delta: str) -> Json:
    return {"type": type, "messageId": message_id, "delta": delta}
