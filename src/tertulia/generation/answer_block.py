"""One content block of an answer while it is being received."""

from dataclasses import dataclass, field

from tertulia.claude.continuation import JOINS, TextJoin
from tertulia.claude.deltas import join_text
from tertulia.claude.prompt import FILTERED
from tertulia.json import MAX_VALUE_DEPTH, InvalidJson, Json, clean, loads
from tertulia.streams.events import unfinished_block
from tertulia.text_filters import BlockFilter


def without(values: Json, name: str) -> Json:
    """Return an object without one of its keys."""
    return {key: value for key, value in values.items() if key != name}


@dataclass(slots=True)
class AnswerBlock:
    """A block in the Messages API's format, with the text that has arrived since it was started."""

    block: Json
    offset: int
    pieces: list[str] = field(default_factory=list[str])
    finished: bool = False
    text_filter: BlockFilter | None = None
    held_back: str = ""
    """The text that was returned at the end of the join or the filter, and that is not appended yet."""
    join: TextJoin | None = None
    """Recognizes what the text repeats, if it continues an interrupted text."""
    broken_off: bool = False
    """Whether the block was interrupted, and is not continued."""
    written: list[str] = field(default_factory=list[str])
    """The thinking or the summary that Claude wrote, if it is filtered."""
    original: Json | None = None
    """The block as Claude wrote it, if the filter has changed it."""

    def to_json(self) -> Json:
        """Return the block; an unfinished one has the key `partial`."""
        if self.finished:
            return self.block
        # Checkpoints call this each second. A short text takes ten times as much memory as a separate object.
        self.pieces = ["".join(self.pieces)]
        return unfinished_block(self.block, join_text(self.pieces))

    def feed(self, text: str) -> str:
        """Return what to show of a piece of the block, without what it repeats or its filter holds back."""
        text = text if self.join is None else self.join.feed(text)
        return text if self.text_filter is None or not text else self.text_filter.feed(text)

    def finish_join(self) -> None:
        """Decide what the text repeats, and move what is held back until then to `held_back`."""
        if self.join is None:
            return
        join, self.join = self.join, None
        text = join.finish()
        if join.repeated:
            *earlier, last = self.block[JOINS]
            self.block = {**self.block, JOINS: [*earlier, {**last, "repeated": join.repeated}]}
        self.held_back += text if self.text_filter is None or not text else self.text_filter.feed(text)

    def finish_text(self) -> str:
        """Return the text that is held back, and remove the filter."""
        self.finish_join()
        if self.text_filter is not None:
            text_filter, self.text_filter = self.text_filter, None
            self.held_back += text_filter.finish()
        return self.held_back

    def filter_summary(self, text_filter: BlockFilter) -> None:
        """Show a finished summary as the filter returns it. Claude accepts only the original."""
        summary, self.written = join_text(self.written), []
        shown = text_filter.feed(summary) + text_filter.finish()
        original = {**self.block, "content": summary or None}
        if shown == summary:
            self.block = original
            return
        fields = {name: value for name, value in self.block.items() if name not in ("signature", "encrypted_content")}
        self.original, self.block = original, {**fields, "content": shown or None, FILTERED: True}

    def keep_original(self) -> None:
        """Mark finished thinking that the filter has changed. Its signature is not valid for the changed text."""
        thinking = join_text(self.written)
        if self.written and thinking != self.block["thinking"]:
            self.original = {**self.block, "thinking": thinking}
            self.block = {**without(self.block, "signature"), FILTERED: True}


def completed_block(block: Json, text: str) -> Json:
    """Return a block with the text that has arrived."""
    match block.get("type"):
        case "text":
            return {**block, "text": (block.get("text") or "") + text}
        case "thinking":
            return {**block, "thinking": (block.get("thinking") or "") + text}
        case _ if text:
            return _with_input(block, text)
        case _:
            return block


def _with_input(block: Json, text: str) -> Json:
    try:
        return {**block, "input": clean(loads(text), max_depth=MAX_VALUE_DEPTH)}
    except InvalidJson:
        # `max_tokens` can cut off a tool's input, and Tertulia does not accept every number and nesting depth.
        return unfinished_block(block, text)


def characters_of(block: Json) -> int:
    """Return the number of characters that Claude wrote in a block."""
    return len(block.get("text") or block.get("thinking") or block.get("partial_json") or "")


def is_running_call(block: Json) -> bool:
    """Return whether a block is the result of a tool that has not ended."""
    return block.get("type") == "tool_result" and bool(block.get("partial"))


def has_valid_input(block: Json) -> bool:
    """Return whether the input of a tool call is complete and a JSON object."""
    return not block.get("partial") and isinstance(block.get("input"), dict)
