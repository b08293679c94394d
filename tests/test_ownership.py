"""Two users, every root field and every REST route: what is not yours does not exist.

The tables below are held against the schema and the list of routes: a new field that takes an id, or a new route, fails
until it stands here.
"""

from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import strawberry
from client import Api, Json
from graphql import GraphQLInputObjectType, get_named_type
from media import image
from people import MODE, register, signed
from running import tertulia

from tertulia.schema.own_fields import schema_with
from tertulia.schema.root import schema

SECRET = "xylophone"
"""A word that only the one user has said."""
MADE_UP = "idempotencyKey"
"""The only ID that clients make up."""

SENT = "{ __typename ... on SendMessagePayload { userMessage { text } } ... on Error { message } }"
CONVERSATION = "{ __typename ... on ConversationPayload { conversation { id title } } ... on Error { message } }"
PROBES = {
    "Query.node.id": "query ($id: ID!) { found: node(id: $id) { __typename id } }",
    "Query.nodes.ids": "query ($id: ID!) { found: nodes(ids: [$id]) { __typename id } }",
    "Query.conversation.id": "query ($id: ID!) { found: conversation(id: $id) { id title lastMessage { text } } }",
    "Query.generation.id": "query ($id: ID!) { found: generation(id: $id) { id message { text } } }",
    "Mutation.submitToolResults.input.generationId": "mutation ($id: ID!, $use: ID!) { found: submitToolResults(input: {generationId: $id, results: [{toolUseId: $use, output: 1}]}) { __typename } }",
    "Mutation.submitToolResults.input.results.toolUseId": "mutation ($id: ID!, $asked: ID!) { found: submitToolResults(input: {generationId: $asked, results: [{toolUseId: $id, output: 1}]}) { __typename } }",
    "Mutation.updateConversation.input.id": f'mutation ($id: ID!) {{ found: updateConversation(input: {{id: $id, title: "T"}}) {CONVERSATION} }}',
    "Mutation.sendMessage.input.conversationId": f'mutation ($id: ID!) {{ found: sendMessage(input: {{text: "Hi", conversationId: $id}}) {SENT} }}',
    "Mutation.sendMessage.input.parentId": f'mutation ($id: ID!, $own: ID) {{ found: sendMessage(input: {{text: "Hi", conversationId: $own, parentId: $id}}) {SENT} }}',
    "Mutation.sendMessage.input.attachmentIds": f'mutation ($id: ID!) {{ found: sendMessage(input: {{text: "Hi", attachmentIds: [$id]}}) {SENT} }}',
    "Mutation.editMessage.input.messageId": f'mutation ($id: ID!) {{ found: editMessage(input: {{messageId: $id, text: "Hi"}}) {SENT} }}',
    "Mutation.editMessage.input.attachmentIds": f'mutation ($id: ID!, $said: ID!) {{ found: editMessage(input: {{messageId: $said, text: "Hi", attachmentIds: [$id]}}) {SENT} }}',
    "Mutation.regenerateMessage.input.messageId": f"mutation ($id: ID!) {{ found: regenerateMessage(input: {{messageId: $id}}) {SENT} }}",
    "Mutation.selectBranch.messageId": f"mutation ($id: ID!) {{ found: selectBranch(messageId: $id) {CONVERSATION} }}",
    "Mutation.forkConversation.input.messageId": f"mutation ($id: ID!) {{ found: forkConversation(input: {{messageId: $id}}) {CONVERSATION} }}",
    "Mutation.stopGeneration.id": "mutation ($id: ID!) { found: stopGeneration(id: $id) { __typename ... on GenerationPayload { generation { id } } } }",
    "Subscription.generationEvents.generationId": "subscription ($id: ID!) { found: generationEvents(generationId: $id) { __typename sequence } }",
    # The last one: what it finds is gone.
    "Mutation.deleteConversation.id": "mutation ($id: ID!) { found: deleteConversation(id: $id) { __typename } }",
}  # fmt: skip
OWN = ("said", "asked", "use")
"""Things of one's own that a document names beside the id that it probes."""
NOT_FOUND = (None, [None], "NotFound", "InvalidInput")
LISTS = {
    "Query.viewer": "{ viewer { id name usage { outputTokens } usageByDay { model } budget { limitUsd } limits { name } toolUsage { name } } }",
    "Query.conversations": "{ conversations { edges { node { title messages { edges { node { text } } } } } } }",
    "Query.searchMessages": f'{{ searchMessages(query: "{SECRET}") {{ edges {{ excerpt node {{ text }} }} }} }}',
    "Query.models": "{ models { id } }",
    "Query.tools": "{ tools { name } }",
    "Query.toolServers": "{ toolServers { name } }",
    "Mutation.createConversation": "mutation { createConversation(input: {}) { ... on ConversationPayload { conversation { title } } } }",
    "Subscription.conversationChanges": 'subscription { conversationChanges(after: "0") { kind conversation { title } } }',
}  # fmt: skip
OPEN_ROUTES = {
    *(("POST", f"/auth/{name}") for name in ("register", "token", "refresh", "revoke", "password")),
    ("DELETE", "/auth/user"),
}
"""Routes by which one comes in: tests/test_auth.py."""


@dataclass
class Two:
    """One user who has everything, and another one who has little."""

    owner: Api
    stranger: Api
    ids: dict[str, str]
    own: Json


def have(api: Api, word: str) -> dict[str, str]:
    """Let somebody have one of each thing."""
    pictures = [api.http.post("/attachments", files={"file": (f"{word}.png", image())}).json()["id"] for _ in range(2)]
    sent = api.send(word, attachmentIds=pictures[:1])
    api.follow(sent["generation"]["id"])
    tools = {"client": [{"name": "look", "description": "Looks.", "inputSchema": {"type": "object"}}]}
    asked = api.send(f"/simulate call look {{}}\n{word}", tools=tools)["generation"]["id"]
    with api.socket() as socket:
        events = socket.events(asked)
        while next(events)["__typename"] != "ToolResultsRequired":
            pass
    called = "query ($id: ID!) { generation(id: $id) { message { content { ... on ToolUseBlock { toolUseId } } } } }"
    use = api.ask(called, id=asked)["generation"]["message"]["content"][0]["toolUseId"]
    return {
        "asked": asked,
        "use": use,
        "conversation": sent["conversation"]["id"],
        "said": sent["userMessage"]["id"],
        "answer": sent["generation"]["message"]["id"],
        "generation": sent["generation"]["id"],
        "shown": pictures[0],
        "waiting": pictures[1],
    }


@pytest.fixture
def two(tmp_path_factory: pytest.TempPathFactory) -> Generator[Two]:
    unlimited = {"rate_limit": "100000", "request_limit": "100000"}
    with (
        tertulia(tmp_path_factory.mktemp("two"), **MODE, **unlimited) as address,
        signed(address, register(address, "owner")) as owner,
        signed(address, register(address, "stranger")) as stranger,
    ):
        own = have(stranger, "mine")
        yield Two(
            owner, stranger, have(owner, SECRET), {"own": own["conversation"]} | {name: own[name] for name in OWN}
        )


def ask(api: Api, document: str, **variables: Any) -> Any:
    """Give what `found` is: null, a name of a type, a list of them, or an event's."""
    named = {name: value for name, value in variables.items() if f"${name}" in document}
    if document.startswith("subscription"):
        with api.socket() as socket:
            socket.subscribe(document, named)
            answered = socket.receive()
        return answered["payload"]["data"] if answered["type"] == "next" else None
    body = api.post(document, named).json()
    assert SECRET not in str(body) or api.ask("{ viewer { name } }")["viewer"]["name"] == "owner"
    return (body.get("data") or {}).get("found")


def kind_of(found: Any) -> Any:
    return found.get("__typename", "found") if isinstance(found, dict) else found


def with_ids(given: dict[str, Any], path: str) -> Iterator[str]:
    """Paths of all arguments, and fields of their inputs, that take an id."""
    for name, argument in given.items():
        named = get_named_type(argument.type)
        if isinstance(named, GraphQLInputObjectType):
            yield from with_ids(named.fields, f"{path}.{name}")
        elif named.name == "ID" and name != MADE_UP:
            yield f"{path}.{name}"


def test_every_root_field_stands_in_one_of_the_tables() -> None:
    core = schema.core
    roots = [root for root in (core.query_type, core.mutation_type, core.subscription_type) if root]
    fields = {f"{root.name}.{name}": field for root in roots for name, field in root.fields.items()}
    taking = {path for name, field in fields.items() for path in with_ids(field.args, name)}
    assert taking == set(PROBES)
    assert {name for name in fields if not any(path.startswith(f"{name}.") for path in taking)} == set(LISTS)


def field_that_returns(declared: Any) -> type:
    """Return a class with one field, such as an application adds to `Query`."""

    async def own(self: object) -> Any: ...

    own.__annotations__["return"] = declared
    return strawberry.type(type("OwnQuery", (), {"own": strawberry.field(resolver=own)}))


@pytest.mark.parametrize("name", ["Conversation", "Message", "Generation", "Attachment", "Node", "SendMessageResult"])
def test_a_field_of_an_application_reaches_no_rows_through_a_type_of_tertulia(name: str) -> None:
    definition: Any = schema.get_type_by_name(name)
    declared = getattr(definition, "origin", definition)
    with pytest.raises(TypeError, match=rf"OwnQuery\.own: returns {name}, which is a type of Tertulia"):
        schema_with([field_that_returns(declared)])


def test_fields_of_an_application_change_no_field_of_tertulia() -> None:
    extended = schema_with([field_that_returns(str)])
    lines = Counter(extended.as_str().split("\n"))
    lines.subtract(schema.as_str().split("\n"))
    assert [line for line, count in lines.items() if count] == ["  own: String!"]


def test_no_root_field_gives_a_stranger_anything(two: Two) -> None:
    crossings = {
        f"{path} by {kind}": kind_of(found)
        for path, document in PROBES.items()
        for kind, id in two.ids.items()
        if kind_of(found := ask(two.stranger, document, id=id, **two.own)) not in NOT_FOUND
    }
    assert crossings == {}
    assert two.owner.messages(two.ids["conversation"])[0]["text"] == SECRET


def test_the_same_documents_find_what_is_ones_own(two: Two) -> None:
    own = {"own": two.ids["conversation"]} | {name: two.ids[name] for name in OWN}
    vacuous = [
        path
        for path, document in PROBES.items()
        if all(kind_of(ask(two.owner, document, id=id, **own)) in NOT_FOUND for id in two.ids.values())
    ]
    assert vacuous == []


def test_no_list_shows_a_stranger_anything(two: Two) -> None:
    for document in LISTS.values():
        seen: Any = None
        if document.startswith("subscription"):
            with two.stranger.socket() as socket:
                socket.subscribe(document, {})
                seen = [socket.receive() for _ in range(2)]
        else:
            seen = two.stranger.ask(document)
        assert SECRET not in str(seen)
        assert not any(id in str(seen) for id in two.ids.values())


def test_no_rest_route_gives_a_stranger_anything(two: Two) -> None:
    found = two.stranger.http.get("/openapi.json").json()["paths"]
    routes = {(method.upper(), path) for path, methods in found.items() for method in methods} - OPEN_ROUTES
    tried = set[tuple[str, str]]()
    for method, path in sorted(routes):
        for id in two.ids.values():
            tried.add((method, path))
            answered = _call(two.stranger, method, path, id)
            assert SECRET not in answered.text, (method, path)
            if "{id}" in path or path.startswith("/chat"):
                assert answered.status_code == 404, (method, path)
    assert tried == routes
    assert len(routes) == 7


def _call(api: Api, method: str, path: str, id: str) -> Any:
    files = {"file": ("a.png", image())} if path in ("/attachments", "/import") else None
    body = {"message": "Hello", "conversation_id": id} if path.startswith("/chat") else None
    return api.http.request(method, path.replace("{id}", id), files=files, json=body)
