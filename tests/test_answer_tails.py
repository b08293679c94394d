"""The tails that checkpoints save of long answers, without a database."""

from typing import Any

import pytest
from active import texts
from client import Json

from tertulia.db.answer_tails import joined, tail_of
from tertulia.json import dumps, loads_stored

CALL: Json = {"type": "tool_use", "id": "toolu_1", "name": "add"}


def partial(text: str, kind: str = "text") -> Json:
    return {"type": kind, kind: text, "partial": True}


@pytest.mark.parametrize(
    ("base", "content"),
    [
        ([], []),
        ([], texts("a", "b")),
        (texts("a"), texts("a")),
        ([partial("a")], [partial("ab")]),
        ([partial("a")], texts("ab", "c")),
        ([partial("")], [partial("a")]),
        ([*texts("a"), partial("b", "thinking")], [*texts("a"), partial("bc", "thinking"), partial("d")]),
        ([partial("other")], texts("a")),
        (texts("a", "b", "c"), texts("a")),
        ([{**CALL, "partial_json": '{"a', "partial": True}], [{**CALL, "partial_json": '{"ab', "partial": True}]),
        ([{**CALL, "partial_json": '{"a', "partial": True}], [{**CALL, "input": {"a": 1}}]),
        ([{"type": "text", "text": None}], texts("a")),
        ([partial("a \ud83d")], [partial("a \ud83d\ude00")]),
        ([partial("a \ud83d\ude00")], [partial("a \ud83d\ude00b")]),
        ([partial("\0\u2028")], [partial("\0\u2028a\0")]),
    ],
)
def test_a_saved_content_and_its_tail_are_the_newer_content(base: list[Json], content: list[Json]) -> None:
    def stored(value: Any) -> Any:
        return loads_stored(dumps(value))

    assert joined(stored(base), loads_stored(tail_of(base, content))) == stored(content)


def test_a_tail_contains_only_what_is_new() -> None:
    before = [*texts("a" * 10_000), partial("b" * 10_000)]
    after = [*texts("a" * 10_000, "b" * 10_000 + "c" * 100), partial("d" * 100)]
    assert len(tail_of(before, after)) < 400
