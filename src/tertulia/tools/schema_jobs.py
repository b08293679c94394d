"""What a sandbox process does with JSON schemas: compile them, and validate by them. Nothing is ever fetched."""

import json
import re
from collections.abc import Callable
from typing import Any

from tertulia.json import is_list, is_object, loads
from tertulia.tools.schemas import modern_schema, schema_for_claude

MAX_PROBLEM = 300
"""Characters of a message."""
ELSEWHERE = re.compile(r"^Resource '(.*?)' is not present in a registry", re.DOTALL)


def output_schema_problem(data: bytes) -> str | None:
    """Return why a schema cannot be used to validate; None where it can."""
    return _problem_of(lambda: _validator(json.loads(data)))


def tool_schema_problem(data: bytes) -> str | None:
    """Return why a schema of a tool's input is no valid one of the draft that Claude holds it to; None where it is.

    Patterns are not compiled: whoever runs the tool applies them, by an engine of their own.
    """
    import jsonschema_rs

    schema = json.loads(data)

    def compile_schema() -> None:
        if "$schema" in schema:
            # It must be one that is known; the schema itself is held to the draft that Claude wants.
            jsonschema_rs.validator_for({"$schema": schema["$schema"]}, offline=True)
        own = {name: value for name, value in schema.items() if name != "$schema"}
        jsonschema_rs.validator_for(without_patterns(modern_schema(own)), offline=True)
        told = without_patterns(schema_for_claude(schema))
        jsonschema_rs.validator_for(told, offline=True)
        jsonschema_rs.meta.validate(told)

    return _problem_of(compile_schema)


def answer_problem(data: bytes, schema: str) -> str | None:
    """Return why a text is not what the schema asks for; None where it is."""
    import jsonschema_rs

    try:
        value = loads(data)
    except ValueError as error:
        return f"This is not JSON: {_first_line(error)}"
    try:
        _validator(json.loads(schema)).validate(value)
    except jsonschema_rs.ValidationError as error:
        place = "".join(f"[{part!r}]" for part in error.instance_path)
        return f"{place}: {error.message}"[:MAX_PROBLEM] if place else str(error.message)[:MAX_PROBLEM]
    return None


def without_patterns(value: Any) -> Any:
    """Return a schema in which no string is held against a regular expression."""
    if is_list(value):
        return [without_patterns(part) for part in value]
    if not is_object(value):
        return value
    kept: dict[str, Any] = {}
    for name, part in value.items():
        if name == "patternProperties" and is_object(part):
            kept[name] = {f"x{place}": without_patterns(shape) for place, shape in enumerate(part.values())}
        elif name != "pattern" or not isinstance(part, str):
            kept[name] = without_patterns(part)
    return kept


def _validator(schema: Any) -> Any:
    import jsonschema_rs

    # Patterns match in linear time.
    return jsonschema_rs.validator_for(schema, offline=True, pattern_options=jsonschema_rs.RegexOptions())


def _problem_of(compile_schema: Callable[[], object]) -> str | None:
    import jsonschema_rs

    try:
        compile_schema()
    except (jsonschema_rs.ValidationError, ValueError) as error:
        line = _first_line(error)
        if found := ELSEWHERE.match(str(error)):
            return (
                f"refers to {found[1][:100]!r}: references must point into the schema itself, as `#/$defs/name` does."
            )
        return f"is not a valid JSON schema: {line}"
    return None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:MAX_PROBLEM]
