"""A conversation as the Messages API reads it: neighbouring messages of one role are one turn."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tertulia.json import Json
from tertulia.simulator.request_rules import SERVER_RESULTS, as_blocks


@dataclass(slots=True)
class Turn:
    """What one side says until the other one answers. `last`: the place of its last message."""

    role: str
    last: int
    blocks: list[tuple[str, Json]] = field(default_factory=list[tuple[str, Json]])
    """Each with its path in the request."""

    def of(self, kind: str) -> list[Json]:
        """Give its blocks of a kind."""
        return [block for _, block in self.blocks if block["type"] == kind]

    @property
    def gives_results_alone(self) -> bool:
        """Whether it is nothing but results of tools: then Claude's turn goes on behind it."""
        return self.role == "user" and all(block["type"] == "tool_result" for _, block in self.blocks)


def turns_of(messages: Sequence[Json]) -> list[Turn]:
    """Give the turns of a conversation."""
    found: list[Turn] = []
    for place, message in enumerate(messages):
        if not found or found[-1].role != message["role"]:
            found.append(Turn(message["role"], place))
        found[-1].last = place
        blocks = enumerate(as_blocks(message["content"]))
        found[-1].blocks += [(f"messages.{place}.content.{index}", block) for index, block in blocks]
    return found


def results_in(body: Json) -> list[Json]:
    """Give the results of tools that the last turn brings."""
    return turns_of(body["messages"])[-1].of("tool_result")


def waiting_in(body: Json) -> list[Json]:
    """Give the calls of Claude's own tools that have no result yet, in their order."""
    waiting: dict[str, Json] = {}
    for turn in turns_of(body["messages"]):
        for _, block in turn.blocks:
            if block["type"] == "server_tool_use":
                waiting[block["id"]] = block
            elif block["type"] in SERVER_RESULTS.values():
                waiting.pop(block["tool_use_id"], None)
    return list(waiting.values())


def words_of(message: Json) -> str:
    """Give the text of a message."""
    return "\n".join(block["text"] for block in as_blocks(message["content"]) if block["type"] == "text")


def last_words(body: Json) -> str:
    """Give what the user says in the last message; nothing where it is Claude's own, or gives results of tools."""
    last = body["messages"][-1]
    return words_of(last) if last["role"] == "user" else ""


def what_was_said(body: Json) -> list[str]:
    """Give the texts of the user's messages; those that give results of tools say nothing."""
    said = [words_of(message) for message in body["messages"] if _speaks(message)]
    return said or [""]


def rounds_since_words(body: Json) -> int:
    """Count Claude's turns with calls since the user has last said something."""
    messages: list[Json] = body["messages"]
    spoken = [place for place, message in enumerate(messages) if _speaks(message)]
    since = turns_of(messages[spoken[-1] + 1 if spoken else 0 :])
    return sum(bool(turn.of("tool_use")) for turn in since)


def _speaks(message: Json) -> bool:
    gives = any(block["type"] == "tool_result" for block in as_blocks(message["content"]))
    return message["role"] == "user" and (bool(words_of(message)) or not gives)
