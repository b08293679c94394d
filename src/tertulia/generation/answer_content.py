"""The blocks of an answer while it is being written: what Claude has written, and the results of its tool calls."""

from collections.abc import Sequence
from itertools import pairwise
from uuid import UUID

from tertulia.claude.continuation import THINKING
from tertulia.generation.answer_block import AnswerBlock, has_valid_input, is_running_call, without
from tertulia.generation.usage import UsageAccumulator
from tertulia.json import Json
from tertulia.streams.events import ContentBlockFinished, ContentBlockStarted, GenerationEvent

MOST_NAMES = 50
"""The most names of tools that the ledger stores for one request."""


class AnswerContent(UsageAccumulator):
    """The blocks of an answer, to which the results of tools are added between its rounds."""

    __slots__ = (
        "_blocks",
        "_round_start",
        "fallbacks",
        "generation_id",
        "sequence",
    )

    def __init__(self, generation_id: UUID, sequence: int = 0, content: Sequence[Json] = ()) -> None:
        """Start with no content, or with the content that another process has saved."""
        super().__init__()
        self.generation_id = generation_id
        self.sequence: int = sequence
        self._blocks = {
            index: AnswerBlock(without(block, "partial"), 0)
            if is_running_call(block)
            else AnswerBlock(block, 0, finished=True)
            for index, block in enumerate(content)
        }
        self._round_start = len(self._blocks)
        self.fallbacks: frozenset[str] = frozenset()
        """The models that the API may ask instead of the model of the request."""

    @property
    def content(self) -> list[Json]:
        """All blocks in the Messages API's format and order; unfinished ones have the key `partial`."""
        return [self._blocks[index].to_json() for index in sorted(self._blocks)]

    @property
    def original_content(self) -> list[Json]:
        """The content with the thinking that this process has received, before it was filtered."""
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
    def has_text(self) -> bool:
        """Whether Claude has written any text."""
        return any(entry.to_json().get("text") for entry in self._blocks.values())

    @property
    def has_calls(self) -> bool:
        """Whether Claude has called tools in this round."""
        return any(
            entry.block.get("type") == "tool_use" for index, entry in self._blocks.items() if index >= self._round_start
        )

    @property
    def tools_of_round(self) -> list[str]:
        """The names of the tools that Claude has called in this round, including its server tools."""
        blocks = (entry.block for index, entry in sorted(self._blocks.items()) if index >= self._round_start)
        names = (block["name"] for block in blocks if block.get("type") in ("tool_use", "server_tool_use"))
        return list(dict.fromkeys(names))[:MOST_NAMES]

    def open_calls(self) -> dict[int, Json]:
        """Return the calls of past rounds that have no complete result yet, by block index."""
        answered_ids = {entry.block.get("tool_use_id") for entry in self._blocks.values() if entry.finished}
        past = ((index, entry.block) for index, entry in sorted(self._blocks.items()) if index < self._round_start)
        calls = ((index, block) for index, block in past if block.get("type") == "tool_use")
        return {n: block for n, block in calls if block["id"] not in answered_ids and not block.get("partial")}

    def _of_round(self) -> list[tuple[int, AnswerBlock]]:
        """Return the blocks after the last output of tools, with their indexes."""
        outputs = (n for n, entry in self._blocks.items() if entry.block.get("type") in ("tool_result", "image"))
        last_output = max(outputs, default=-1)
        return [(index, entry) for index, entry in sorted(self._blocks.items()) if index > last_output]

    def decline(self) -> list[GenerationEvent]:
        """Mark thinking and open calls of a response after which its model has refused. Return the events.

        They stay visible, but are neither run nor sent back. Text is kept, because another model continues it.
        """
        blocks = [(index, entry.to_json()) for index, entry in self._blocks.items() if index >= self._round_start]
        answered_ids = {block.get("tool_use_id") for _, block in blocks}
        events: list[GenerationEvent] = []
        for index, block in blocks:
            is_open_call = str(block.get("type")).endswith("tool_use") and block.get("id") not in answered_ids
            if (block.get("type") in THINKING or is_open_call) and not block.get("partial"):
                self._blocks[index] = AnswerBlock({**block, "partial": True}, 0, finished=True, broken_off=True)
                event = ContentBlockFinished(self.generation_id, self.next_sequence(), index, self._blocks[index].block)
                events.append(event)
        return events

    def fix_invalid_inputs(self, events: list[GenerationEvent]) -> set[str]:
        """Replace each tool input that is not a JSON object with an empty object, and return the ids of these calls.

        Appends one event for each of these calls to `events`.
        """
        broken = set[str]()
        for index, entry in self._blocks.items():
            block = entry.block
            is_new_call = index >= self._round_start and block.get("type") == "tool_use" and not entry.broken_off
            if is_new_call and not has_valid_input(block):
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

    def next_sequence(self) -> int:
        """Return the sequence number of the next event."""
        self.sequence += 1
        return self.sequence
