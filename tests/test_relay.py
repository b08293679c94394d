"""The whole schema follows Relay's connection rules, as the ESLint rules for GraphQL schemas check them.

These are the rules relay-arguments, relay-connection-types, relay-edge-types, relay-page-info and no-typename-prefix of
@graphql-eslint/eslint-plugin 4, with their default options. Deliberate exceptions are in docs/decisions/0010-relay.md.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from client import Api, Json
from graphql import (
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    get_named_type,
    get_nullable_type,
    is_introspection_type,
    is_list_type,
)
from running import forget_logs, tertulia

from tertulia.schema.root import schema

TYPES = schema.core.type_map
PAGING = {"first": "Int", "last": "Int", "after": "String", "before": "String"}
NUMBERED = {
    "Generation.events(after:)": "A sequence, as in `generationEvents(after:)`; `eventLog` takes cursors.",
    "Generation.events(before:)": "A sequence, like `after` of the same field.",
}
WITHOUT_NODE = {
    "AdminAuditEntry": "An entry is found by the list of operators.",
    "AdminGeneration": "Operators see no content, which `node` would return.",
    "AdminMessage": "Operators read messages only with their conversation, so that the audit log has an entry.",
    "AdminUser": "A user is found by operators only, with `Admin.user`.",
    "GenerationEvent": "An event has no id, and `node` does not find it: its sequence names it.",
    "Memory": "A memory is found by the list of its owner, and its content is that of a private file.",
    "Share": "A share is found by the list of its owner, or by the secret token in its link.",
    "SharedMessage": "A message of a share has no id, because those who read it have no access to the conversation.",
}
"""Types of `node` fields that do not implement `Node`, and why. The rule ignores interfaces; this test does not."""

_BLOCKS = "Parts of one message, whose size is limited."
_SETTINGS = "The settings of the server or of a conversation determine the length."
_REQUESTS = "One request for each round of an answer, whose number is limited, and the parts of each."
_SUMS = "One row for each day and model, or for each tool: `since` and `until` limit it."
PLAIN_LISTS = {
    "Admin.plans": _SETTINGS,
    "Admin.assistants": _SETTINGS,
    "Admin.settings": _SETTINGS,
    "Admin.toolServers": _SETTINGS,
    "Admin.toolUsage": _SUMS,
    "Admin.webhooks": _SETTINGS,
    "Admin.webhookFailures": "Only the newest 100 are listed.",
    "AdminAssistant.tools": _SETTINGS,
    "AdminWebhook.events": _SETTINGS,
    "Admin.budgets": "One for each period.",
    "Admin.limitHits": "Sums, at most as many as `maxRows`, which is at most 1000.",
    "Admin.usage": "Sums, at most as many as `maxRows`, which is at most 1000.",
    "AdminUser.personalTokens": "At most 50 are valid at a time.",
    "AdminUser.signIns": "Only the newest 100 are listed.",
    "Message.content": _BLOCKS,
    "Message.files": "The files of one answer. Only the first 20 are stored.",
    "Message.leftOut": _BLOCKS,
    "MessageSearchEdge.highlights": _BLOCKS,
    "SharedMessage.content": _BLOCKS,
    "TextBlock.citations": _BLOCKS,
    "ToolResultsRequired.approvals": _BLOCKS,
    "ToolResultsRequired.toolUses": _BLOCKS,
    **{f"Assistant.{name}": _SETTINGS for name in ("clientsMaySet", "models", "starters", "tools")},
    **{f"ClaudeRequest.{name}": _REQUESTS for name in ("contextEdits", "costs", "tools")},
    "Conversation.clientsMaySet": _SETTINGS,
    "ConversationTools.client": _SETTINGS,
    "ConversationTools.server": _SETTINGS,
    **{f"Generation.{name}": _REQUESTS for name in ("contextEdits", "costs", "requests")},
    "GenerationOptions.stopSequences": _SETTINGS,
    "Model.efforts": _SETTINGS,
    "Model.serverTools": _SETTINGS,
    "Model.thinking": _SETTINGS,
    "Query.assistants": _SETTINGS,
    "Query.models": _SETTINGS,
    "Query.toolServers": _SETTINGS,
    "Query.tools": _SETTINGS,
    "ToolServer.skipped": _SETTINGS,
    "ToolServer.tools": _SETTINGS,
    "MessageRating.tags": _BLOCKS,
    "JsonBlock.models": _BLOCKS,
    "TextBlock.models": _BLOCKS,
    "ThinkingBlock.models": _BLOCKS,
    "ToolUseBlock.models": _BLOCKS,
    "Plan.assistants": _SETTINGS,
    "Plan.models": _SETTINGS,
    "Plan.tools": _SETTINGS,
    "Conversation.tags": "The tags of a conversation are part of its metadata, which has at most 100 items.",
    "Viewer.limits": _SETTINGS,
    "Viewer.roles": _SETTINGS,
    "Viewer.personalTokens": "At most 50 are valid at a time.",
    "Viewer.signIns": "Only the newest 100 are listed.",
    "Viewer.tags": "At most 100 sums, the most used first.",
    "Viewer.toolUsage": _SUMS,
    "Viewer.usageByDay": _SUMS,
    "Query.nodes": "One item for each id of the argument, of which there are at most 100.",
    "Message.siblings": "The versions that the user has made of one message, shown as a whole (`2 / 3`).",
}
"""Lists that are not connections, and why."""


class Field(NamedTuple):
    """A field of an object or interface type."""

    place: str
    parent: str
    name: str
    field: GraphQLField


def fields() -> Iterator[Field]:
    """Yield all fields of object and interface types, except those of introspection."""
    for kind in TYPES.values():
        if isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) and not is_introspection_type(kind):
            for name, field in kind.fields.items():
                yield Field(f"{kind.name}.{name}", kind.name, name, field)


FIELDS = {field.place: field for field in fields()}
CONNECTIONS = sorted(name for name in TYPES if name.endswith("Connection"))
CONNECTED = [place for place, found in FIELDS.items() if get_named_type(found.field.type).name in CONNECTIONS]


def nodes_of(connection: str) -> Any:
    """Return the type of a connection's edges."""
    return get_named_type(FIELDS[f"{connection}.edges"].field.type)


def test_the_rules_check_all_connections() -> None:
    assert CONNECTIONS == [
        "AdminAuditConnection",
        "AdminGenerationConnection",
        "AdminMessageConnection",
        "AdminUserConnection",
        "ConversationConnection",
        "GenerationEventConnection",
        "MemoryConnection",
        "MessageConnection",
        "MessageSearchConnection",
        "ShareConnection",
        "SharedMessageConnection",
    ]
    assert sorted(CONNECTED) == [
        "Admin.answers",
        "Admin.auditLog",
        "Admin.failures",
        "Admin.users",
        "AdminConversation.messages",
        "Conversation.messages",
        "Conversation.shares",
        "Generation.eventLog",
        "Generation.events",
        "Query.conversations",
        "Query.searchMessages",
        "Query.shares",
        "SharedConversation.messages",
        "Viewer.memories",
    ]


def test_a_list_is_a_connection_unless_there_is_a_reason() -> None:
    lists = {
        place
        for place, found in FIELDS.items()
        if is_list_type(get_nullable_type(found.field.type)) and found.parent not in CONNECTIONS
    }
    assert lists == PLAIN_LISTS.keys()


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_a_connection_is_an_object_with_a_list_of_edges_and_a_page_info(connection: str) -> None:
    assert isinstance(TYPES[connection], GraphQLObjectType)
    assert is_list_type(get_nullable_type(FIELDS[f"{connection}.edges"].field.type))
    assert str(FIELDS[f"{connection}.pageInfo"].field.type) == "PageInfo!"


def test_only_connections_have_edges_and_a_page_info() -> None:
    for name in ("edges", "pageInfo"):
        assert sorted(field.parent for field in FIELDS.values() if field.name == name) == CONNECTIONS


@pytest.mark.parametrize("connection", CONNECTIONS)
def test_an_edge_is_an_object_with_a_node_and_a_cursor(connection: str) -> None:
    edge = nodes_of(connection)
    assert isinstance(edge, GraphQLObjectType)
    assert edge.name.endswith("Edge")
    assert str(edge.fields["cursor"].type) == "String!"
    assert not is_list_type(get_nullable_type(edge.fields["node"].type))
    node: Any = get_named_type(edge.fields["node"].type)
    implements_node = "Node" in {interface.name for interface in node.interfaces}
    assert implements_node != (node.name in WITHOUT_NODE)


def test_the_page_info_has_its_four_fields_with_their_types() -> None:
    page_info = TYPES["PageInfo"]
    assert isinstance(page_info, GraphQLObjectType)
    assert {name: str(field.type) for name, field in page_info.fields.items()} == {
        "hasNextPage": "Boolean!",
        "hasPreviousPage": "Boolean!",
        "startCursor": "String",
        "endCursor": "String",
    }


@pytest.mark.parametrize("place", CONNECTED)
def test_a_connection_is_paged_forward_and_backward_by_cursors(place: str) -> None:
    found = FIELDS[place]
    assert isinstance(found.field.type, GraphQLNonNull)
    for name, expected in PAGING.items():
        type_ = found.field.args[name].type
        assert isinstance(type_, GraphQLScalarType), (place, name)
        assert (type_.name == expected) != (f"{place}({name}:)" in NUMBERED), (place, name)


def test_no_field_begins_with_the_name_of_its_type_unless_it_is_deprecated() -> None:
    repeated = [
        place
        for place, found in FIELDS.items()
        if found.name.lower().startswith(found.parent.lower()) and not found.field.deprecation_reason
    ]
    assert repeated == []


def test_all_exceptions_exist_in_the_schema() -> None:
    places = {f"{place}({name}:)" for place, found in FIELDS.items() for name in found.field.args}
    assert NUMBERED.keys() <= places
    assert WITHOUT_NODE.keys() <= TYPES.keys()


EVENT_LOG = """query ($id: ID!, $first: Int, $after: String, $last: Int, $before: String) { generation(id: $id) {
  eventLog(first: $first, after: $after, last: $last, before: $before) {
    edges { cursor node { __typename sequence } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }"""
EVENTS = """query ($id: ID!, $after: Int, $last: Int, $before: Int) { generation(id: $id) {
  events(after: $after, last: $last, before: $before) { edges { cursor node { __typename sequence } } } } }"""


@pytest.fixture
def generation(api: Api) -> str:
    sent = api.send("/simulate thinking")
    api.follow(sent["generation"]["id"])
    return str(sent["generation"]["id"])


def event_log(api: Api, generation: str, **page: Any) -> Json:
    connection: Json = api.ask(EVENT_LOG, id=generation, **page)["generation"]["eventLog"]
    return connection


def sequences(page: Json) -> list[int]:
    return [edge["node"]["sequence"] for edge in page["edges"]]


def all_sequences(api: Api, generation: str) -> list[int]:
    """Page forward to the end with each page's `endCursor`, as Relay's `loadNext` does."""
    seen: list[int] = []
    after, more = None, True
    while more:
        page = event_log(api, generation, first=7, after=after)
        seen += sequences(page)
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    return seen


@pytest.mark.both
def test_an_event_log_is_paged_forward_by_the_cursors_of_its_pages(api: Api, generation: str) -> None:
    seen = all_sequences(api, generation)
    assert len(seen) > 7
    assert seen == list(range(1, len(seen) + 1))


@pytest.mark.both
def test_an_event_log_is_paged_backward_by_the_cursors_of_its_pages(api: Api, generation: str) -> None:
    seen: list[int] = []
    before, more = None, True
    while more:
        page = event_log(api, generation, last=7, before=before)
        seen = sequences(page) + seen
        assert page["pageInfo"]["hasNextPage"] == (before is not None)
        before, more = page["pageInfo"]["startCursor"], page["pageInfo"]["hasPreviousPage"]
    assert seen == all_sequences(api, generation)


def test_events_can_be_limited_by_numbers_on_both_sides(api: Api, generation: str) -> None:
    def asked(**page: int) -> list[int]:
        return sequences(api.ask(EVENTS, id=generation, **page)["generation"]["events"])

    whole = all_sequences(api, generation)
    assert asked() == whole[:100]
    assert asked(after=2, before=6) == [3, 4, 5]
    assert asked(last=2) == whole[-2:]
    assert asked(last=2, before=6) == [4, 5]
    assert asked(before=1) == []


def test_expired_events_are_replaced_by_a_snapshot_in_both_directions(tmp_path: Path, place: Json) -> None:
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        generation = api.send("Hello")["generation"]["id"]
        last = api.follow(generation)[-1]["sequence"]
    forget_logs(place)
    with tertulia(tmp_path, **place) as address, Api(address) as api:
        newest = event_log(api, generation, last=1)
        assert sequences(newest) == [last]
        assert newest["pageInfo"]["hasPreviousPage"]
        for page in ({"last": 5, "before": str(last)}, {"last": 5, "before": "2"}, {"first": 1, "after": "1"}):
            (edge,) = event_log(api, generation, **page)["edges"]
            assert edge["node"] == {"__typename": "MessageSnapshot", "sequence": last - 1}


@pytest.mark.parametrize("argument", ["after", "before"])
@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.0", "٣", " 1", "2147483648", "9" * 400, "MXwy"])
def test_an_invalid_cursor_is_refused_and_the_error_names_its_argument(
    api: Api, generation: str, argument: str, cursor: str
) -> None:
    (error,) = api.errors(EVENT_LOG, id=generation, **{argument: cursor})
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["message"].lstrip("`").startswith(argument)


@pytest.mark.parametrize("page", [{"first": -1}, {"last": 101}, {"first": 1, "last": 1}])
def test_an_invalid_page_size_is_refused_and_the_error_names_its_argument(
    api: Api, generation: str, page: Json
) -> None:
    (error,) = api.errors(EVENT_LOG, id=generation, **page)
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["message"].lstrip("`").startswith([*page][-1])
