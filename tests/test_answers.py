"""The accumulator of an answer counts its tool rounds, calls and tokens."""

from typing import Any
from uuid import uuid4

from tertulia.db.ledger import UsageSum
from tertulia.generation.accumulator import AnswerAccumulator
from tertulia.generation.usage import LARGEST_COUNT

Json = dict[str, Any]


def answer(*kinds: str) -> AnswerAccumulator:
    blocks: list[Json] = []
    for number, kind in enumerate(kinds):
        more = {"tool_result": {"tool_use_id": "toolu_0", "content": ""}, "text": {"text": "Hi."}}.get(kind, {})
        blocks.append({"type": kind, "id": f"toolu_{number}", **more})
    return AnswerAccumulator(uuid4(), 1, blocks)


def test_adjacent_tool_results_count_as_one_round() -> None:
    assert answer().rounds == 0
    assert answer("text", "tool_use").rounds == 0
    assert answer("tool_use", "tool_use", "tool_result", "tool_result").rounds == 1
    written = answer("tool_use", "tool_result", "text", "tool_use", "tool_use", "tool_result", "tool_result", "text")
    assert (written.rounds, written.calls) == (2, 3)


def test_the_tokens_of_all_rounds_are_added_up_to_the_largest_storable_number() -> None:
    written = answer()
    written.usage = {"input_tokens": 5, "output_tokens": LARGEST_COUNT}
    written.end_round(0)
    written.usage = {"input_tokens": 7, "output_tokens": 1}
    total = written.total()
    assert (total["input_tokens"], total["output_tokens"]) == (12, LARGEST_COUNT)


def test_tokens_of_every_kind_are_added_up() -> None:
    assert UsageSum(1, 20, 300, 4_000).tokens == 4_321
