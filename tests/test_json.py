"""`tertulia.json`: how JSON is parsed, written and cleaned: numbers, lone surrogates, NUL and nesting."""

import json
import math
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import pytest

from tertulia.json import (
    MAX_DEPTH,
    InvalidJson,
    clean,
    clean_text,
    dumps,
    encode,
    exact_for_javascript,
    loads,
    loads_stored,
)

INTEGERS = [0, -1, 2**53 + 1, -(2**53) - 1, 2**63, -(2**63) - 1, 2**64, 2**70, -(2**70), 10**400]
LONE_SURROGATES = ["\ud83d", "a\ude00b", "\ude00\ud83d"]


class Color(StrEnum):
    RED = "red"


def nested(levels: int) -> str:
    return "[" * levels + "]" * levels


def nested_objects(levels: int) -> str:
    return '{"a":' * levels + "1" + "}" * levels


@pytest.mark.parametrize("integer", INTEGERS)
def test_integers_keep_all_their_digits(integer: int) -> None:
    document = f'{{"n":{integer},"list":[{integer},0.5]}}'
    for form in (document, document.encode()):
        assert loads(form) == {"n": integer, "list": [integer, 0.5]}
    assert dumps(loads(document)) == document
    assert dumps(loads_stored(document)) == document


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "[1e999999999]", '{"a":-1e309}'])
def test_numbers_outside_json_are_refused_and_become_null_in_stored_documents(number: str) -> None:
    with pytest.raises(InvalidJson):
        loads(number)
    with pytest.raises(InvalidJson):
        loads(f"[{'9' * 30},{number}]")
    assert "Infinity" not in dumps(loads_stored(number))
    assert "NaN" not in dumps(loads_stored(number))


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("beside", [1, 2**70, "\ud800"])
def test_infinite_numbers_are_written_as_null(number: float, beside: object) -> None:
    assert loads(dumps({"a": [number], "b": beside})) == {"a": [None], "b": beside}


@pytest.mark.parametrize("make", [nested, nested_objects])
def test_documents_nested_deeper_than_max_depth_are_refused(make: Callable[[int], str]) -> None:
    assert loads(make(MAX_DEPTH)) is not None
    for levels in (MAX_DEPTH + 1, 1_000, 1_025, 100_000):
        with pytest.raises(InvalidJson, match=r"nested|depth|recursion"):
            loads(make(levels))
        with pytest.raises(InvalidJson):
            loads(f'["{"9" * 20}","\\ud800",{make(levels)}]')
    assert loads(f"[{','.join(['[]'] * 10_000)}]") == [[]] * 10_000


@pytest.mark.parametrize(
    "document",
    ["", " ", "{", "[1,]", "{'a':1}", '{"a" 1}', "nul", '"\t"', "1 2", b"\x1f\x8b\x08\x00", b'"\xff"', "9" * 5_000],
)
def test_invalid_json_raises_an_error_of_one_line(document: str | bytes) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        loads(document)
    assert isinstance(raised.value, InvalidJson)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text_with_surrogate", LONE_SURROGATES)
def test_lone_surrogates_are_read_written_and_cleaned(text_with_surrogate: str) -> None:
    document = json.dumps({text_with_surrogate: [text_with_surrogate]})
    assert loads(document) == {text_with_surrogate: [text_with_surrogate]}
    assert loads(encode({text_with_surrogate: [text_with_surrogate], "n": 2**70}))[text_with_surrogate] == [
        text_with_surrogate
    ]
    cleaned = clean(loads(document))
    assert dumps(cleaned).encode().decode() == dumps(loads_stored(document))
    assert all(len(text) == len(text_with_surrogate) and "\ufffd" in text for text in (*cleaned, *cleaned.values())[:1])


def test_adjacent_surrogates_become_one_character_and_nul_is_replaced() -> None:
    assert clean_text("\ud83d\ude00 \0 \ud83d") == "\U0001f600 \ufffd \ufffd"
    assert clean({"\0": ["\0", {"a": "\ud83d\ude00"}]}) == {"\ufffd": ["\ufffd", {"a": "\U0001f600"}]}
    assert loads_stored('{"a":"\\u0000"}') == {"a": "\ufffd"}
    assert clean_text("ünïcode") == "ünïcode"


def test_cleaning_refuses_values_that_are_too_deep_or_infinite() -> None:
    assert clean(loads(nested(5)), max_depth=5) == loads(nested(5))
    for value, depth in ((loads(nested(6)), 5), ([math.inf], 5)):
        with pytest.raises(InvalidJson):
            clean(value, max_depth=depth)


@pytest.mark.parametrize("beside", [0, 2**70])
def test_written_json_contains_no_line_separator(beside: int) -> None:
    value = {"a\u2028": "b\u2029c\u0085d\ne\x1cf\x0bg", "n": beside}
    line = dumps(value)
    assert line.splitlines() == [line]
    assert loads(line) == value


@pytest.mark.parametrize("beside", [0, 2**70, "\ud800"])
def test_both_writers_serialize_other_types_alike(beside: object) -> None:
    at, id = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), UUID(int=1)
    value: Any = {"at": at, "id": id, "color": Color.RED, 1: (1, 2), "set": {1}, "beside": beside, None: None}
    expected = {
        "at": "2026-01-02T03:04:05+00:00",
        "id": str(id),
        "color": "red",
        "1": [1, 2],
        "set": [1],
        "beside": beside,
        "null": None,
    }
    assert loads(encode(value, default=sorted)) == expected
    with pytest.raises(TypeError):
        encode(value)


def test_a_value_that_contains_itself_raises_an_error() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValueError, match="nested"):
        encode(circle)


def test_integers_that_javascript_would_round_become_strings() -> None:
    value = {"id": 2**53, "safe": 2**53 - 1, "list": [-(2**70), True, 0.5], "text": "x"}
    shown = {"id": "9007199254740992", "safe": 2**53 - 1, "list": [str(-(2**70)), True, 0.5], "text": "x"}
    assert exact_for_javascript(value) == shown
