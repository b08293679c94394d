"""Examples of JSON values that match a schema, for the simulated Claude's answers and calls."""

from typing import Any

from tertulia.json import Json

EXAMPLES: Json = {"integer": 1, "number": 1.5, "boolean": True, "string": "example", "null": None}
MAX_DEPTH = 20
"""The maximum nesting of an example, because schemas may be recursive."""


def example(schema: Any, root: Json, depth: int = 0) -> Any:
    """Return a small value that matches a schema.

    Args:
        schema: The schema.
        root: The schema that references are resolved in.
        depth: The nesting of this value.
    """
    if isinstance(schema, bool) or depth > MAX_DEPTH:
        return "example"
    return _example({**schema}, root, depth)


def example_input(tool: Json) -> Json:
    """Return an example of a tool's input, or an empty object if the tool has no schema."""
    schema: Json = tool.get("input_schema") or {}
    properties: Json = schema.get("properties") or {}
    return {name: example(shape, schema) for name, shape in properties.items()}


def _example(schema: Json, root: Json, depth: int) -> Any:
    if "const" in schema or schema.get("enum"):
        choices: list[Any] = schema.get("enum") or [schema.get("const")]
        return choices[0]
    resolved = _resolve(schema, root)
    if resolved is not None:
        return example(resolved, root, depth + 1)
    kinds: Any = schema.get("type")
    kind = kinds if isinstance(kinds, str) else str(kinds[0]) if kinds else "string"
    if kind == "object":
        return {name: example(shape, root, depth + 1) for name, shape in _properties(schema, depth)}
    if kind == "array":
        return [example(schema.get("items", True), root, depth + 1)] * min(schema.get("minItems", 0), 1)
    return EXAMPLES.get(kind, "example")


def schema_in(body: Json) -> Json | None:
    """Return the output schema of a request, or None if it has none."""
    config: Json = body.get("output_config") or {}
    output_format: Json = config.get("format") or {}
    return output_format.get("schema")


def _resolve(schema: Json, root: Json) -> Any:
    """Return the schema that a reference refers to, or the first alternative of a schema; else None."""
    if "$ref" in schema:
        definitions: Json = root.get("$defs") or root.get("definitions") or {}
        return definitions.get(str(schema["$ref"]).rpartition("/")[2], {})
    choices: list[list[Any]] = [schema[name] for name in ("anyOf", "oneOf", "allOf") if schema.get(name)]
    return choices[0][0] if choices else None


def _properties(schema: Json, depth: int) -> list[tuple[str, Json]]:
    properties: dict[str, Json] = schema.get("properties") or {}
    required: list[str] = schema.get("required") or []
    return [(name, shape) for name, shape in properties.items() if name in required or depth == 0]
