"""Inputs of mutations are built in Tertulia, with the same result as Strawberry's."""

from typing import Any

import pytest
from strawberry.types.arguments import convert_argument
from strawberry.types.base import StrawberryMaybe

from tertulia.resolvers.inputs import EditMessage, SendMessage
from tertulia.schema.graphql_internals import get_object_definition
from tertulia.schema.own_fields import schema_with

SCHEMA = schema_with()
OPTIONS = {"model": "m", "effort": "LOW", "stopSequences": ["a"], "maxTokens": None}
TOOL = {"name": "t", "description": "d", "inputSchema": {"type": "object"}}
SENT: list[tuple[type, dict[str, Any]]] = [
    (SendMessage, {"text": "Hi", "conversationId": None, "whenBusy": "QUEUE", "temporary": False}),
    (SendMessage, {"text": "Hi", "options": OPTIONS, "attachmentIds": ["1", "2"], "tools": [TOOL, TOOL]}),
    (SendMessage, {"text": "Hi", "context": {"page": [1, None]}, "tools": [], "options": None}),
    (EditMessage, {"messageId": "1", "text": "Hi", "options": {}}),
]


def built(cls: type, value: dict[str, Any]) -> object:
    return convert_argument(value, cls, SCHEMA.schema_converter.scalar_registry, SCHEMA.config)


@pytest.mark.parametrize(("cls", "value"), SENT)
def test_an_input_is_built_as_strawberry_builds_it(
    cls: type, value: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = built(cls, value)
    monkeypatch.setattr(get_object_definition(cls, strict=True), "from_input", None)
    assert ours == built(cls, value)


def test_no_input_has_a_field_whose_null_must_be_refused() -> None:
    definitions = [type_.definition for type_ in SCHEMA.schema_converter.type_map.values()]
    inputs = [definition for definition in definitions if getattr(definition, "is_input", False)]
    assert len(inputs) > 10
    for definition in inputs:
        for field in getattr(definition, "fields"):  # noqa: B009 - the definitions of enums have none
            assert not isinstance(field.resolve_type(), StrawberryMaybe), field.name
