"""Jobs of sandbox processes: compile JSON schemas, and validate texts with them, without access to the network."""

import json
import re
from collections.abc import Callable
from typing import Any

from tertulia.json import is_list, is_object, loads
from tertulia.tools.schemas import modern_schema, schema_for_claude

MAX_PROBLEM = 300
"""The maximum length of a message in characters."""
UNKNOWN_RESOURCE = re.compile(r"^Resource '(.*?)' is not present in a registry", re.DOTALL)


def output_schema_problem(data: bytes) -> str | None:
    """Return why texts cannot be validated with a schema; None if they can."""
    return _problem_of(lambda: _validator(json.loads(data)))


def tool_schema_problem(data: bytes) -> str | None:
    """Return why the schema of a tool's input is invalid in the draft that Claude requires; None if it is valid.

    Patterns are not compiled, because the tool applies them with its own regular expression engine.
    """
    import jsonschema_rs

    schema = json.loads(data)

    def compile_schema() -> None:
        if "$schema" in schema:
            # The draft must be known. The schema itself is checked against the draft that Claude requires.
            jsonschema_rs.validator_for({"$schema": schema["$schema"]}, offline=True)
        without_draft = {name: value for name, value in schema.items() if name != "$schema"}
        jsonschema_rs.validator_for(without_patterns(modern_schema(without_draft)), offline=True)
        claude_schema = without_patterns(schema_for_claude(schema))
        jsonschema_rs.validator_for(claude_schema, offline=True)
        jsonschema_rs.meta.validate(claude_schema)

    return _problem_of(compile_schema)


def answer_problem(data: bytes, schema: str) -> str | None:
    """Return why a text does not match a schema; None if it does."""
    import jsonschema_rs

    try:
        value = loads(data)
    except ValueError as error:
        return f"The text is not JSON: {_first_line(error)}"
    try:
        _validator(json.loads(schema)).validate(value)
    except jsonschema_rs.ValidationError as error:
        location = "".join(f"[{part!r}]" for part in error.instance_path)
        return f"{location}: {error.message}"[:MAX_PROBLEM] if location else str(error.message)[:MAX_PROBLEM]
    return None


def without_patterns(value: Any) -> Any:
    """Return a schema without its regular expressions."""
    if is_list(value):
        return [without_patterns(part) for part in value]
    if not is_object(value):
        return value
    cleaned: dict[str, Any] = {}
    for name, part in value.items():
        if name == "patternProperties" and is_object(part):
            cleaned[name] = {f"x{index}": without_patterns(shape) for index, shape in enumerate(part.values())}
        elif name != "pattern" or not isinstance(part, str):
            cleaned[name] = without_patterns(part)
    return cleaned


def _validator(schema: Any) -> Any:
    import jsonschema_rs

    # This engine of regular expressions takes linear time.
    return jsonschema_rs.validator_for(schema, offline=True, pattern_options=jsonschema_rs.RegexOptions())


def _problem_of(compile_schema: Callable[[], object]) -> str | None:
    import jsonschema_rs

    try:
        compile_schema()
    except (jsonschema_rs.ValidationError, ValueError) as error:
        line = _first_line(error)
        if match := UNKNOWN_RESOURCE.match(str(error)):
            return (
                f"refers to {match[1][:100]!r}. References must point into the schema itself, such as `#/$defs/name`."
            )
        return f"is not a valid JSON schema: {line}"
    return None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0][:MAX_PROBLEM]
