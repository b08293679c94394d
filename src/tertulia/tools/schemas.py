"""Convert the schema of a tool's input to the form that the Messages API accepts.

The API requires JSON Schema 2020-12, with `type: object` and without `anyOf`, `oneOf`, `allOf` and `$ref` at the top
level ("Tool use" in its documentation). The tool still validates its input with its own schema, which is unchanged.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tertulia.json import Json, is_list, is_object

ALTERNATIVES = ("anyOf", "oneOf")
COMBINATIONS = (*ALTERNATIVES, "allOf", "$ref", "$dynamicRef")
CLOSED = ("additionalProperties", "unevaluatedProperties")
DATA = ("const", "default", "enum", "example", "examples")
"""Keywords whose values are data and not schemas."""
MAX_VISITED = 500
"""The maximum number of parts of a schema that are merged, because references can multiply them."""
MAX_DESCRIBED = 20
"""The maximum number of alternatives that are described in words."""


def schema_for_claude(schema: Json) -> Json:
    """Return a tool's schema in the form that the API accepts, with all properties that the tool may accept."""
    modern: Json = modern_schema({name: value for name, value in schema.items() if name != "$schema"})
    if not any(name in modern for name in COMBINATIONS):
        return modern
    merged = _Merger(modern).merge(modern)
    other_keywords = {name: value for name, value in modern.items() if name not in (*COMBINATIONS, *CLOSED)}
    words = [modern.get("description"), *merged.alternatives]
    description = " ".join(part for part in words if isinstance(part, str) and part)
    return {
        **other_keywords,
        "type": "object",
        **({"description": description} if description else {}),
        "properties": {name: _joined(shapes) for name, shapes in merged.properties.items()},
        **({"required": merged.required} if merged.required else {}),
    }


@dataclass
class _Shape:
    """The properties of an object, each with all its schemas, and the names of the required ones."""

    properties: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    required: list[str] = field(default_factory=list[str])
    alternatives: list[str] = field(default_factory=list[str])
    """Sentences about alternatives, which properties cannot express."""
    is_object: bool = True

    def add(self, other: "_Shape") -> None:
        """Add the properties of another shape, without its required names."""
        for name, shapes in other.properties.items():
            schemas = self.properties.setdefault(name, [])
            schemas += [shape for shape in shapes if shape not in schemas]
        self.alternatives += other.alternatives

    def require(self, names: Sequence[str]) -> None:
        """Add required properties."""
        self.required += [name for name in names if name not in self.required]


class _Merger:
    """Merges the parts of one schema, and resolves its references."""

    def __init__(self, root: Json) -> None:
        self._root = root
        self._visited = 0

    def merge(self, schema: Json, references: tuple[str, ...] = ()) -> _Shape:
        """Return the shape that all parts of a schema describe together."""
        self._visited += 1
        shape = _Shape(is_object=schema.get("type", "object") == "object")
        properties = schema.get("properties")
        shape.add(_Shape({name: [part] for name, part in properties.items()} if is_object(properties) else {}))
        shape.require(_strings(schema.get("required")))
        for part, inner in self._parts_of_all(schema, references):
            merged = self.merge(part, inner)
            shape.add(merged)
            shape.require(merged.required)
        for keyword in ALTERNATIVES:
            self._add_alternatives(shape, keyword, schema, references)
        return shape

    def _add_alternatives(self, shape: _Shape, keyword: str, schema: Json, references: tuple[str, ...]) -> None:
        merged = [self.merge(part, references) for part in self._bounded(schema.get(keyword))]
        objects = [member for member in merged if member.is_object]
        if not objects:
            return
        for member in objects:
            shape.add(member)
        shape.require([name for name in objects[0].required if all(name in member.required for member in objects)])
        if len(objects) > 1:
            shape.alternatives.append(_described(keyword, objects))

    def _parts_of_all(self, schema: Json, references: tuple[str, ...]) -> Iterator[tuple[Json, tuple[str, ...]]]:
        for part in self._bounded(schema.get("allOf")):
            yield part, references
        reference = schema.get("$ref", schema.get("$dynamicRef"))
        if isinstance(reference, str) and reference not in references and self._visited < MAX_VISITED:
            target = self._find(reference)
            if is_object(target):
                yield target, (*references, reference)

    def _bounded(self, parts: object) -> Iterator[Json]:
        for part in parts if is_list(parts) else ():
            if is_object(part) and self._visited < MAX_VISITED:
                yield part

    def _find(self, reference: str) -> object:
        """Return the target of a reference within the schema; None if it does not exist."""
        target: Any = self._root
        if not reference.startswith("#"):
            return None
        for step in reference[1:].split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            if is_object(target):
                target = target.get(name)
            else:
                target = target[int(name)] if is_list(target) and name.isdecimal() and int(name) < len(target) else None
        return target


def _joined(shapes: list[Any]) -> Any:
    return shapes[0] if len(shapes) == 1 else {"anyOf": shapes}


def _described(keyword: str, objects: Sequence[_Shape]) -> str:
    """Describe alternatives in words, because the API does not accept them as a schema."""
    sets = [
        ", ".join(_marked(name, member) for name in member.properties or member.required) or "none"
        for member in objects
    ]
    sets = list(dict.fromkeys(sets))
    remainder = "; or others" if len(sets) > MAX_DESCRIBED else ""
    begin = "Exactly one" if keyword == "oneOf" else "At least one"
    return f"{begin} of these sets of properties applies: {'; or '.join(sets[:MAX_DESCRIBED])}{remainder}."


def _marked(name: str, shape: _Shape) -> str:
    return f"{name} (required)" if name in shape.required else name


def modern_schema(schema: Any) -> Any:
    """Convert a schema of an older draft, or one with small mistakes, to draft 2020-12."""
    if is_list(schema):
        return [modern_schema(part) for part in schema]
    if not is_object(schema):
        return schema
    modern: Json = {}
    for name, value in schema.items():
        if name in DATA and (value is not None or name in ("const", "default")):
            modern[name] = value
        elif name == "items" and is_list(value):
            modern["prefixItems"] = modern_schema(value)
        elif name == "additionalItems" and is_list(schema.get("items")):
            modern["items"] = modern_schema(value)
        elif not _is_outdated(name, value):
            modern[name] = modern_schema(value)
    for name, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if schema.get(name) is True and bound in modern:
            modern[name] = modern.pop(bound)
    return modern


def _is_outdated(name: str, value: object) -> bool:
    """Return whether a keyword has a value of an older draft, or null, which means that it is absent."""
    return value is None or (name in ("exclusiveMinimum", "exclusiveMaximum", "required") and isinstance(value, bool))


def _strings(value: object) -> list[str]:
    return [part for part in value if isinstance(part, str)] if is_list(value) else []
