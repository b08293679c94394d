"""What clients read of the schema: all of it is described, with units, limits and errors, as the code holds them."""

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

from tertulia.attachments import media
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
    """A part of the schema: where it stands, its name, the name of its type if it has one, and what is said of it."""

    place: str
    name: str
    type: str
    text: str


def parts() -> Iterator[Described]:
    """Give all that can be described, but for what GraphQL itself defines."""
    for kind in schema.core.type_map.values():
        if is_introspection_type(kind) or is_specified_scalar_type(kind):
            continue
        yield Described(kind.name, kind.name, "", kind.description or "")
        if isinstance(kind, GraphQLEnumType):
            for name, member in kind.values.items():
                yield Described(f"{kind.name}.{name}", name, kind.name, member.description or "")
        if isinstance(kind, GraphQLInputObjectType | GraphQLInterfaceType | GraphQLObjectType):
            for name, field in cast("dict[str, Any]", kind.fields).items():
                of_field = Described(
                    f"{kind.name}.{name}", name, get_named_type(field.type).name, field.description or ""
                )
                yield of_field
                for argument, given in getattr(field, "args", {}).items():
                    type_name = get_named_type(given.type).name
                    yield Described(f"{of_field.place}({argument}:)", argument, type_name, given.description or "")


PARTS = {part.place: part for part in parts()}


def words(text: str) -> set[str]:
    """Give the words of a name or a sentence, in lower case, without those that say nothing."""
    apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", text).replace("_", " ")
    return {word.rstrip("s") for word in re.findall(r"[a-z]+", apart.lower())} - {"the", "a", "an", "of", "it", "thi"}


def test_all_of_the_schema_is_described() -> None:
    assert [place for place, part in PARTS.items() if not part.text.strip()] == []
    assert len(PARTS) > 400
    assert {"Query", "SendMessageResult", "Decimal", "Node.id", "TextDelta.sequence", "Effort.XHIGH"} < PARTS.keys()
    assert {"SendMessageInput.whenBusy", "Query.nodes(ids:)", "Conversation.messages(first:)"} < PARTS.keys()


def test_a_description_is_sentences_that_readers_wrap_themselves() -> None:
    assert [place for place, part in PARTS.items() if not re.search(r"[.!]$", part.text)] == []
    assert [
        place for place, part in PARTS.items() if re.search(r"(?<!\n)\n(?!\n|- )|\n\n\n|[ \t]\n|  ", part.text)
    ] == []


def test_no_description_merely_repeats_the_name() -> None:
    assert [place for place, part in PARTS.items() if words(part.text) <= words(part.name)] == []


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
    (r"^(sequence|cursor)$", r"\b(number|sequence|place|after)\b"),
]


@pytest.mark.parametrize(("name", "unit"), UNITS)
def test_a_number_says_its_unit(name: str, unit: str) -> None:
    numbers = [part for part in PARTS.values() if re.search(name, part.name) and part.type in NUMBERS]
    assert numbers
    assert [part.place for part in numbers if not re.search(unit, part.text)] == []


def test_a_moment_says_that_it_is_in_utc() -> None:
    moments = [part for part in PARTS.values() if part.type in ("DateTime", "Date") and "(" not in part.place]
    assert len(moments) > 10
    assert [part.place for part in moments if "UTC" not in part.text] == []


def test_what_may_be_null_says_what_that_means() -> None:
    nullable = [
        f"{kind.name}.{name}"
        for kind in schema.core.type_map.values()
        if isinstance(kind, GraphQLObjectType) and not is_introspection_type(kind)
        for name, field in kind.fields.items()
        if not str(field.type).endswith("!")
    ]
    # Of a model the type itself says it, once for all of its fields.
    silent = [place for place in nullable if "null" not in PARTS[place].text and not place.startswith("Model.")]
    assert silent == []
    assert "null" in PARTS["Model"].text


def mutations() -> dict[str, set[str]]:
    """Give each mutation with the errors of its result."""
    found: dict[str, set[str]] = {}
    for name, field in schema.core.type_map["Mutation"].fields.items():  # type: ignore[attr-defined] # an object's
        result = get_named_type(field.type)
        assert isinstance(result, GraphQLUnionType), name
        found[name] = {kind.name for kind in result.types if ERROR in {one.name for one in kind.interfaces}}
    return found


@pytest.mark.parametrize(("name", "errors"), mutations().items())
def test_a_mutation_says_when_it_gives_which_error(name: str, errors: set[str]) -> None:
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
    ("GenerationOptionsInput.maxTokens", f"{prompt.DEFAULT_MAX_TOKENS:,} at most"),
    ("ThinkingInput.budgetTokens", f"{prompt.MIN_BUDGET_TOKENS:,} or more"),
    ("Query.nodes(ids:)", f"At most {viewing.MAX_NODES} ids"),
    ("Query.conversations(first:)", f"0 to {paging.MAX_PAGE}, and {paging.DEFAULT_PAGE} where"),
    ("Query.searchMessages(first:)", f"0 to {paging.MAX_PAGE}, and {paging.DEFAULT_PAGE} where"),
    ("Generation.events(first:)", f"0 to {paging.MAX_PAGE}, and {paging.MAX_PAGE} where"),
    (
        "Query.searchMessages(query:)",
        f"1 to {search.MAX_TERMS} words and phrases, in at most {search.MAX_QUERY:,} characters",
    ),
    ("MessageSearchEdge.excerpt", f"about {search.PASSAGE} characters"),
    ("Attachment", f"{media.MAX_IMAGE_BYTES / 2**20} MB and {media.MAX_SIDE} x {media.MAX_SIDE} pixels"),
    ("Attachment", f"{media.MAX_DOCUMENT_BYTES >> 20} MB and {media.MAX_PAGES} pages"),
    ("Attachment.filename", f"at most {attachments.MAX_FILENAME} characters"),
]


@pytest.mark.parametrize(("place", "said"), LIMITS)
def test_a_limit_is_said_as_it_is_held(place: str, said: str) -> None:
    assert said in PARTS[place].text


def test_how_many_may_wait_and_run_is_said_as_it_is_held() -> None:
    in_words = {4: "four", 10: "ten"}
    assert f"{in_words[sending.MAX_SIDE_BY_SIDE]} branches" in PARTS["WhenBusy"].text
    assert f"at most {in_words[sending.MAX_QUEUE]} " in PARTS["WhenBusy.QUEUE"].text
    assert f"{in_words[sending.MAX_QUEUE]} messages wait" in PARTS["Mutation.sendMessage"].text


def test_a_type_whose_source_is_not_there_is_declared_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = ModuleType("compiled")
    monkeypatch.setitem(sys.modules, compiled.__name__, compiled)
    exec('class Thing:\n    """A thing."""\n    size_bytes: int\n    """Bytes."""', compiled.__dict__)
    definition = get_object_definition(described(compiled.Thing), strict=True)
    assert (definition.description, [field.description for field in definition.fields]) == ("A thing.", [None])


def test_a_field_is_described_by_what_stands_under_it_and_else_by_its_resolver() -> None:
    assert PARTS["Generation.model"].text != PARTS["Conversation.model"].text
    assert PARTS["Generation.message"].text.startswith("The assistant's message")
    assert PARTS["TextDelta.sequence"].text == PARTS["GenerationEvent.sequence"].text
