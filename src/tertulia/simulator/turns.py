"""The turns of a request, as the Messages API reads it: consecutive messages of one role are one turn."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tertulia.json import Json
from tertulia.simulator.request_rules import SERVER_RESULTS, as_blocks

APP_CONTEXT = "<application_context>"
"""The first line of a text block with JSON of an application, which is not what the user wrote."""


@dataclass(slots=True)
class Turn:
    """Consecutive messages of one role. `last` is the index of the last one."""

    role: str
    last: int
    blocks: list[tuple[str, Json]] = field(default_factory=list[tuple[str, Json]])
    """The blocks, each with its path in the request."""

    def of(self, kind: str) -> list[Json]:
        """Return the blocks of one type."""
        return [block for _, block in self.blocks if block["type"] == kind]

    @property
    def has_only_results(self) -> bool:
        """Whether the turn consists of tool results, so that Claude's turn continues after it."""
        return self.role == "user" and all(block["type"] == "tool_result" for _, block in self.blocks)


def turns_of(messages: Sequence[Json]) -> list[Turn]:
    """Return the turns of a conversation."""
    turns: list[Turn] = []
    for index, message in enumerate(messages):
        if not turns or turns[-1].role != message["role"]:
            turns.append(Turn(message["role"], index))
        turns[-1].last = index
        blocks = enumerate(as_blocks(message["content"]))
        turns[-1].blocks += [(f"messages.{index}.content.{block_index}", block) for block_index, block in blocks]
    return turns


def results_in(body: Json) -> list[Json]:
    """Return the tool results in the last turn."""
    return turns_of(body["messages"])[-1].of("tool_result")


def waiting_in(body: Json) -> list[Json]:
    """Return the server tool calls that have no result yet, in order."""
    waiting: dict[str, Json] = {}
    for turn in turns_of(body["messages"]):
        for _, block in turn.blocks:
            if block["type"] == "server_tool_use":
                waiting[block["id"]] = block
            elif block["type"] in SERVER_RESULTS.values():
                waiting.pop(block["tool_use_id"], None)
    return list(waiting.values())


def text_of(message: Json) -> str:
    """Return the text blocks of a message, joined with line breaks, without the context of the application."""
    texts = [block["text"] for block in as_blocks(message["content"]) if block["type"] == "text"]
    return "\n".join(text for text in texts if not text.startswith(APP_CONTEXT))


def app_context(body: Json) -> str:
    """Return the JSON that the application sent with the last message, or an empty string."""
    blocks = as_blocks(body["messages"][-1]["content"])
    texts = [block["text"] for block in blocks if block["type"] == "text" and block["text"].startswith(APP_CONTEXT)]
    return "".join(line for text in texts for line in text.split("\n")[-2:-1])


def last_words(body: Json) -> str:
    """Return the user's text in the last message. It is empty if the message is Claude's or has only tool results."""
    message = body["messages"][-1]
    return text_of(message) if message["role"] == "user" else ""


def user_texts(body: Json) -> list[str]:
    """Return the texts of the user's messages, without messages that have only tool results."""
    texts = [text_of(message) for message in body["messages"] if _has_text(message)]
    return texts or [""]


def rounds_since_text(body: Json) -> int:
    """Return the number of Claude's turns with tool calls since the user's last text."""
    messages: list[Json] = body["messages"]
    text_indexes = [index for index, message in enumerate(messages) if _has_text(message)]
    turns = turns_of(messages[text_indexes[-1] + 1 if text_indexes else 0 :])
    return sum(bool(turn.of("tool_use")) for turn in turns)


def _has_text(message: Json) -> bool:
    has_results = any(block["type"] == "tool_result" for block in as_blocks(message["content"]))
    return message["role"] == "user" and (bool(text_of(message)) or not has_results)
