"""Structured output: a JSON schema goes in, and what Claude writes is checked against it.

Source: "Structured outputs" in the Claude API documentation; JSON Schema, draft 2020-12.
"""

import json
from collections.abc import Iterable
from typing import Any, NoReturn, TypeGuard

import anthropic
import jsonschema_rs

Json = dict[str, Any]

MAX_BYTES = 64 * 1024
MAX_DEPTH = 64
"""Of objects and lists in one another."""
DEEPEST = 500
"""Of an answer's."""
MAX_PROBLEM = 300
"""Characters of what is said of an answer that does not fit."""


def schema_problem(schema: Any) -> str | None:
    """Say why this is no schema that can be asked for; None where it is one."""
    if not is_object(schema):
        return "takes a JSON schema, which is an object."
    if _is_deeper(schema, MAX_DEPTH):
        return f"takes a schema of at most {MAX_DEPTH} levels."
    if (size := len(json.dumps(schema))) > MAX_BYTES:
        return f"takes a schema of at most {MAX_BYTES:,} bytes, not {size:,}."
    try:
        _validator(schema)
    except (jsonschema_rs.ValidationError, ValueError) as error:
        return f"is no JSON schema: {_first_line(error)}"
    return None


def answer_problem(schema: Json, text: str) -> str | None:
    """Say why a text is not what the schema asks for; None where it is."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"This is not JSON: {_first_line(error)}"
    if _is_deeper(value, DEEPEST):
        return "This is too deep to be checked."
    first: Any = next(iter(_validator(schema).iter_errors(value)), None)
    if first is None:
        return None
    place = "".join(f"[{part!r}]" for part in first.instance_path)
    return f"{place}: {first.message}"[:MAX_PROBLEM] if place else str(first.message)[:MAX_PROBLEM]


def output_format(schema: Json) -> Json:
    """Give what is sent: closed objects, and what the API does not take of a schema as words for Claude."""
    try:
        taken = anthropic.transform_schema(schema)
    except (ValueError, AssertionError, TypeError):
        # Newer than the SDK, perhaps; the API says what it does not take.
        taken = schema
    return {"type": "json_schema", "schema": taken}


def _validator(schema: Json) -> Any:
    # Patterns in linear time, and no address is ever fetched.
    return jsonschema_rs.validator_for(schema, retriever=_refuse, pattern_options=jsonschema_rs.RegexOptions())


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"{uri} stands elsewhere")


def _is_deeper(value: Any, most: int) -> bool:
    level: list[Any] = [value]
    for _ in range(most):
        level = [part for one in level for part in _parts(one)]
        if not level:
            return False
    return True


def _parts(value: Any) -> Iterable[Any]:
    if is_object(value):
        return value.values()
    return value if _is_list(value) else ()


def is_object(value: object) -> TypeGuard[Json]:
    """Say whether it is an object of JSON's."""
    return isinstance(value, dict)


def _is_list(value: object) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:MAX_PROBLEM]
