"""JSON that fits a schema, for the simulated Claude."""

from typing import Any

Json = dict[str, Any]

EXAMPLES: Json = {"integer": 1, "number": 1.5, "boolean": True, "string": "example", "null": None}


def example(schema: Json, root: Json, depth: int = 0) -> Any:
    """Give a small value that fits; references are those into `root`."""
    if "const" in schema or schema.get("enum"):
        choices: list[Any] = schema.get("enum") or [schema.get("const")]
        return choices[0]
    inside = _inside(schema, root)
    if inside is not None:
        return example(inside, root, depth + 1)
    kinds: Any = schema.get("type")
    kind = kinds if isinstance(kinds, str) else "string"
    if kind == "object":
        return {name: example(shape, root, depth + 1) for name, shape in _wanted(schema, depth)}
    if kind == "array":
        return [example(schema["items"], root, depth + 1)] if schema.get("minItems") else []
    return EXAMPLES.get(kind, "example")


def schema_in(body: Json) -> Json | None:
    """Give the schema that a request asks for."""
    config: Json = body.get("output_config") or {}
    wanted: Json = config.get("format") or {}
    return wanted.get("schema")


def _inside(schema: Json, root: Json) -> Json | None:
    """Give the schema that this one points at, or is made of."""
    if "$ref" in schema:
        definitions: dict[str, Json] = root.get("$defs") or {}
        return definitions.get(str(schema["$ref"]).rpartition("/")[2], {})
    choices: list[list[Json]] = [schema[name] for name in ("anyOf", "oneOf", "allOf") if schema.get(name)]
    return choices[0][0] if choices else None


def _wanted(schema: Json, depth: int) -> list[tuple[str, Json]]:
    properties: dict[str, Json] = schema.get("properties") or {}
    required: list[str] = schema.get("required") or []
    return [(name, shape) for name, shape in properties.items() if name in required or depth == 0]
