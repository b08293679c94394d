"""Tests of the schema's descriptions: all parts have one, and their units, limits and errors match the code."""

import re
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple, cast

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLUnionType,
    get_named_type,
    is_introspection_type,
    is_specified_scalar_type,
)
from strawberry.types.base import get_object_definition

from tertulia.attachments import files, media
from tertulia.attachments.documents import passages
from tertulia.claude import prompt
from tertulia.db import paging
from tertulia.resolvers import attachments, inputs, search, tools
from tertulia.resolvers import send as sending
from tertulia.resolvers import viewer as viewing
from tertulia.schema.declare import described
from tertulia.schema.root import schema
from tertulia.tools import json_schema

ERROR = "Error"


class Described(NamedTuple):
    """A part of the schema with a description, such as a field or an argument."""

    path: str
    """The coordinate of the part, such as `Query.nodes(ids:)`."""
    name: str
    type: str
    """The name of its type; empty for types and enum values."""
    text: str
    """Its description; empty if it has none."""


def parts() -> Iterator[Described]:
    """Yield all parts of the schema that can have a description, except those that GraphQL defines itself."""
    for kind in schema.core.type_map.values():
        if is_introspection_type(kind) or is_specified_scalar_type(kind):
            continue
        yield Described(kind.name, kind.name, "", kind.description or "")
        if isinstance(kind, GraphQLEnumType):
            for name, member in kind.values.items():
                yield Described(f"{kind.name}.{name}", name, kind.name, member.description or "")
        if isinstance(kind, GraphQLInputObjectType | GraphQLInterfaceType | GraphQLObjectType):
            for name, field in cast("dict[str, Any]", kind.fields).items():
                path = f"{kind.name}.{name}"
                yield Described(path, name, get_named_type(field.type).name, field.description or "")
                for argument_name, argument in getattr(field, "args", {}).items():
                    type_name = get_named_type(argument.type).name
                    text = argument.description or ""
                    yield Described(f"{path}({argument_name}:)", argument_name, type_name, text)


PARTS = {part.path: part for part in parts()}


def words(text: str) -> set[str]:
    """Return the words of a name or a sentence in lower case and in the singular, without articles and the like."""
    separated = re.sub(r"([a-z])([A-Z])", r"\1 \2", text).replace("_", " ")
    stems = {word.rstrip("s") for word in re.findall(r"[a-z]+", separated.lower())}
    return stems - {"the", "a", "an", "of", "it", "thi"}


def test_every_part_of_the_schema_has_a_description() -> None:
    assert [path for path, part in PARTS.items() if not part.text.strip()] == []
    assert len(PARTS) > 400
    assert {"Query", "SendMessageResult", "Decimal", "Node.id", "TextDelta.sequence", "Effort.XHIGH"} < PARTS.keys()
    assert {"SendMessageInput.whenBusy", "Query.nodes(ids:)", "Conversation.messages(first:)"} < PARTS.keys()


def test_descriptions_are_sentences_without_line_breaks_inside_paragraphs() -> None:
    assert [path for path, part in PARTS.items() if not part.text.endswith(".")] == []
    assert [path for path, part in PARTS.items() if re.search(r"(?<!\n)\n(?!\n|- )|\n\n\n|[ \t]\n|  ", part.text)] == []


def test_no_description_merely_repeats_the_name() -> None:
    assert [path for path, part in PARTS.items() if words(part.text) <= words(part.name)] == []


NUMBERS = ("Int", "Float", "Decimal", "String")
UNITS = [
    (r"Seconds$", r"\b[Ss]econds\b"),
    (r"Bytes$", r"\bbytes\b"),
    (r"Tokens$", r"\b[Tt]okens\b"),
    (r"Usd$", r"\bUS dollars\b"),
    (r"^(offset|start|end)$", r"\bcode units?\b"),
    (r"^(width|height)$", r"\b[Pp]ixels\b"),
    (r"^(first|last)$", r"\b0 to 100\b"),
    (r"^limit$", r"\b(tokens|megabytes)\b"),
    (r"^remaining$", r"\bmegabytes\b"),
    (r"^index$", r"\bfrom 0\b"),
    (r"Index$", r"\bcharacter, page or block\b"),
    (r"^(sequence|cursor)$", r"\b(number|sequence|position|after)\b"),
]


@pytest.mark.parametrize(("name", "unit"), UNITS)
def test_descriptions_of_numbers_name_the_unit(name: str, unit: str) -> None:
    numbers = [part for part in PARTS.values() if re.search(name, part.name) and part.type in NUMBERS]
    assert numbers
    assert [part.path for part in numbers if not re.search(unit, part.text)] == []


def test_descriptions_of_timestamps_name_utc() -> None:
    timestamps = [part for part in PARTS.values() if part.type in ("DateTime", "Date") and "(" not in part.path]
    assert len(timestamps) > 10
    assert [part.path for part in timestamps if "UTC" not in part.text] == []


def test_descriptions_of_nullable_fields_explain_null() -> None:
    nullable = [
        f"{kind.name}.{name}"
        for kind in schema.core.type_map.values()
        if isinstance(kind, GraphQLObjectType) and not is_introspection_type(kind)
        for name, field in kind.fields.items()
        if not str(field.type).endswith("!")
    ]
    # The description of the type `Model` explains null for all of its fields.
    unexplained = [
        path for path in nullable if not re.search(r"\b[Nn]ull\b", PARTS[path].text) and not path.startswith("Model.")
    ]
    assert unexplained == []
    assert "null" in PARTS["Model"].text


def errors_by_mutation() -> dict[str, set[str]]:
    """Return the errors in the result of each mutation."""
    errors: dict[str, set[str]] = {}
    for name, field in schema.core.type_map["Mutation"].fields.items():  # type: ignore[attr-defined] # an object's
        result = get_named_type(field.type)
        assert isinstance(result, GraphQLUnionType), name
        errors[name] = {kind.name for kind in result.types if ERROR in {base.name for base in kind.interfaces}}
    return errors


@pytest.mark.parametrize(("name", "errors"), errors_by_mutation().items())
def test_descriptions_of_mutations_list_their_errors(name: str, errors: set[str]) -> None:
    assert errors
    assert set(re.findall(r"^- `(\w+)`: \w", PARTS[f"Mutation.{name}"].text, re.MULTILINE)) == errors


LIMITS = [
    ("SendMessageInput.text", f"{inputs.MAX_TEXT:,} characters"),
    ("EditMessageInput.text", f"{inputs.MAX_TEXT:,} characters"),
    ("CreateConversationInput.title", f"{inputs.MAX_TITLE} characters"),
    ("UpdateConversationInput.title", f"{inputs.MAX_TITLE} characters"),
    ("ForkConversationInput.title", f"{inputs.MAX_TITLE} characters"),
    ("CreateConversationInput.systemPrompt", f"{inputs.MAX_SYSTEM_PROMPT:,} characters"),
    ("UpdateConversationInput.systemPrompt", f"{inputs.MAX_SYSTEM_PROMPT:,} characters"),
    ("SendMessageInput.attachmentIds", f"At most {attachments.MAX_ATTACHED} "),
    ("EditMessageInput.attachmentIds", f"At most {attachments.MAX_ATTACHED} "),
    ("ConversationToolsInput.server", f"At most {tools.MAX_TOOLS} "),
    ("ConversationToolsInput.client", f"at most {tools.MAX_TOOLS}."),
    ("ClientToolInput.description", f"1 to {tools.MAX_DESCRIPTION:,} characters"),
    ("ClientToolInput.inputSchema", f"{json_schema.MAX_BYTES:,} bytes"),
    ("GenerationOptionsInput.outputSchema", f"{json_schema.MAX_BYTES:,} bytes and {json_schema.MAX_DEPTH} levels"),
    ("GenerationOptionsInput.maxTokens", f"The default is {prompt.DEFAULT_MAX_TOKENS:,},"),
    ("ThinkingInput.budgetTokens", f"{prompt.MIN_BUDGET_TOKENS:,} or more"),
    ("Query.nodes(ids:)", f"At most {viewing.MAX_NODES} ids"),
    ("Query.conversations(first:)", f"0 to {paging.MAX_PAGE}. The default is {paging.DEFAULT_PAGE} "),
    ("Query.searchMessages(first:)", f"0 to {paging.MAX_PAGE}. The default is {paging.DEFAULT_PAGE} "),
    ("Generation.events(first:)", f"0 to {paging.MAX_PAGE}. The default is {paging.MAX_PAGE} "),
    (
        "Query.searchMessages(query:)",
        f"1 to {search.MAX_TERMS} words and phrases, in at most {search.MAX_QUERY:,} characters",
    ),
    ("MessageSearchEdge.excerpt", f"about {search.PASSAGE} characters"),
    ("Attachment", f"{media.MAX_IMAGE_BYTES / 2**20} MB or {media.MAX_SIDE} x {media.MAX_SIDE} pixels"),
    ("Attachment", f"{media.MAX_DOCUMENT_BYTES >> 20} MB and {media.MAX_PAGES} pages"),
    ("Attachment.filename", f"at most {files.MAX_FILENAME} characters"),
    ("Attachment", f"{passages.MAX_CHARACTERS:,} characters"),
    ("Attachment", f"at most {media.MAX_BYTES >> 20} MB"),
]


@pytest.mark.parametrize(("path", "limit"), LIMITS)
def test_descriptions_name_the_limit_that_the_code_enforces(path: str, limit: str) -> None:
    assert limit in PARTS[path].text


def test_descriptions_name_the_enforced_numbers_of_queued_messages_and_running_branches() -> None:
    in_words = {4: "four", 10: "ten"}
    assert f"{in_words[sending.MAX_CONCURRENT_BRANCHES]} branches" in PARTS["WhenBusy"].text
    assert f"at most {in_words[sending.MAX_QUEUE]} " in PARTS["WhenBusy.QUEUE"].text
    assert f"{in_words[sending.MAX_QUEUE]} messages wait" in PARTS["Mutation.sendMessage"].text


def test_a_type_without_available_source_is_declared_without_descriptions_of_its_fields(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled = ModuleType("compiled")
    monkeypatch.setitem(sys.modules, compiled.__name__, compiled)
    exec('class Thing:\n    """A thing."""\n    size_bytes: int\n    """Bytes."""', compiled.__dict__)
    definition = get_object_definition(described(compiled.Thing), strict=True)
    assert (definition.description, [field.description for field in definition.fields]) == ("A thing.", [None])


def test_the_string_under_a_field_precedes_the_docstring_of_its_resolver() -> None:
    assert PARTS["Generation.model"].text != PARTS["Conversation.model"].text
    assert PARTS["Generation.message"].text.startswith("The assistant's message")
    assert PARTS["TextDelta.sequence"].text == PARTS["GenerationEvent.sequence"].text
