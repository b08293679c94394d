"""Options of definitions that depend on the schema: strict inputs, and examples.

Source: "Strict tool use" and "Providing tool use examples" in the Claude API documentation.
"""

from typing import Any

from tertulia.json import Json, dumps, is_list, is_object
from tertulia.tools.base import ToolOptions
from tertulia.tools.schemas import DATA, schema_for_claude

MAX_QUOTED = 200
"""The number of characters of an example that an error message quotes."""


def strict_schema(schema: Json) -> Json:
    """Return the schema of a strict tool: its objects are closed, and unsupported keywords become descriptions."""
    import anthropic

    return anthropic.transform_schema(schema)


def strict_problem(schema: Json) -> str | None:
    """Return why a tool with a schema cannot be strict, as the end of a sentence; None if it can be."""
    if _has_open_object(schema):
        return "accepts objects with any keys"
    try:
        strict_schema(schema)
    except (ValueError, AssertionError, TypeError) as error:
        return f"cannot be converted: {error}"
    return None


def options_problem(options: ToolOptions, schema: Json) -> str | None:
    """Return why a function with a schema cannot have some options; None if it can."""
    if options.strict and (problem := strict_problem(schema_for_claude(schema))) is not None:
        return f"`strict` is not supported, because its schema {problem}"
    if not options.input_examples:
        return None
    import jsonschema_rs

    validator = jsonschema_rs.validator_for(schema, offline=True)
    for example in options.input_examples:
        if (error := next(validator.iter_errors(example), None)) is not None:
            return f"the input example {dumps(example)[:MAX_QUOTED]} does not match the schema: {error.message}"
    return None


def _has_open_object(schema: Any) -> bool:
    """Return whether an object in a schema may have properties that the schema does not name."""
    if is_list(schema):
        return any(_has_open_object(part) for part in schema)
    if not is_object(schema):
        return False
    if schema.get("type") == "object" and (schema.get("additionalProperties") or "patternProperties" in schema):
        return True
    if schema.get("type") == "object" and "properties" not in schema and "additionalProperties" not in schema:
        return True
    names = [
        value for name, value in schema.items() if name in ("properties", "$defs", "definitions") and is_object(value)
    ]
    parts = [value for name, value in schema.items() if name not in DATA]
    return any(_has_open_object(part) for part in [*parts, *(part for named in names for part in named.values())])
