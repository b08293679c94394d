"""No root field and no REST route returns or changes another user's data.

The tables below are compared with the schema and the list of routes, so a new field that accepts an id, or a new route,
fails until it is added here.
"""

import json
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
import strawberry
from client import Api, Json
from graphql import GraphQLInputObjectType, get_named_type
from media import image
from people import MODE, register, signed
from running import tertulia

from tertulia.schema.federation import KEYS, query_types
from tertulia.schema.own_fields import schema_with
from tertulia.schema.root import schema

SECRET = "xylophone"
"""A word that only one of the two users has sent."""
UNOWNED = ("idempotencyKey", "assistantId")
"""The IDs that clients generate, and those of assistants, which all users share."""

SENT = "{ __typename ... on SendMessagePayload { userMessage { text } } ... on Error { message } }"
CONVERSATION = "{ __typename ... on ConversationPayload { conversation { id title } } ... on Error { message } }"
PROBES = {
    "Query.node.id": "query ($id: ID!) { found: node(id: $id) { __typename id } }",
    "Query.nodes.ids": "query ($id: ID!) { found: nodes(ids: [$id]) { __typename id } }",
    "Query._entities.representations": "query ($keys: [_Any!]!) { found: _entities(representations: $keys) { __typename ... on Node { id } ... on Viewer { name } } }",
    "Query.conversation.id": "query ($id: ID!) { found: conversation(id: $id) { id title lastMessage { text } } }",
    "Query.generation.id": "query ($id: ID!) { found: generation(id: $id) { id message { text } } }",
    "Mutation.submitToolResults.input.generationId": "mutation ($id: ID!, $use: ID!) { found: submitToolResults(input: {generationId: $id, results: [{toolUseId: $use, output: 1}]}) { __typename } }",
    "Mutation.submitToolResults.input.results.toolUseId": "mutation ($id: ID!, $asked: ID!) { found: submitToolResults(input: {generationId: $asked, results: [{toolUseId: $id, output: 1}]}) { __typename } }",
    "Mutation.updateConversation.input.id": f'mutation ($id: ID!) {{ found: updateConversation(input: {{id: $id, title: "T"}}) {CONVERSATION} }}',
    "Query.conversation.externalId": "query ($id: String!) { found: conversation(externalId: $id) { id title lastMessage { text } } }",
    "Mutation.updateMessage.input.id": "mutation ($id: ID!) { found: updateMessage(input: {id: $id, metadata: {a: 1}}) { __typename ... on MessagePayload { updatedMessage { text } } } }",
    "Mutation.sendMessage.input.conversationId": f'mutation ($id: ID!) {{ found: sendMessage(input: {{text: "Hi", conversationId: $id}}) {SENT} }}',
    "Mutation.sendMessage.input.parentId": f'mutation ($id: ID!, $own: ID) {{ found: sendMessage(input: {{text: "Hi", conversationId: $own, parentId: $id}}) {SENT} }}',
    "Mutation.sendMessage.input.attachmentIds": f'mutation ($id: ID!) {{ found: sendMessage(input: {{text: "Hi", attachmentIds: [$id]}}) {SENT} }}',
    "Mutation.editMessage.input.messageId": f'mutation ($id: ID!) {{ found: editMessage(input: {{messageId: $id, text: "Hi"}}) {SENT} }}',
    "Mutation.editMessage.input.attachmentIds": f'mutation ($id: ID!, $said: ID!) {{ found: editMessage(input: {{messageId: $said, text: "Hi", attachmentIds: [$id]}}) {SENT} }}',
    "Mutation.regenerateMessage.input.messageId": f"mutation ($id: ID!) {{ found: regenerateMessage(input: {{messageId: $id}}) {SENT} }}",
    "Mutation.compactConversation.input.conversationId": "mutation ($id: ID!) { found: compactConversation(input: {conversationId: $id}) { __typename ... on CompactConversationPayload { conversation { id } } ... on Error { message } } }",
    "Mutation.selectBranch.messageId": f"mutation ($id: ID!) {{ found: selectBranch(messageId: $id) {CONVERSATION} }}",
    "Mutation.forkConversation.input.messageId": f"mutation ($id: ID!) {{ found: forkConversation(input: {{messageId: $id}}) {CONVERSATION} }}",
    "Mutation.rateMessage.input.messageId": "mutation ($id: ID!) { found: rateMessage(input: {messageId: $id, rating: GOOD}) { __typename } }",
    "Mutation.stopGeneration.id": "mutation ($id: ID!) { found: stopGeneration(id: $id) { __typename ... on GenerationPayload { generation { id } } } }",
    "Subscription.generationEvents.generationId": "subscription ($id: ID!) { found: generationEvents(generationId: $id) { __typename sequence } }",
    "Mutation.shareConversation.id": "mutation ($id: ID!) { found: shareConversation(id: $id) { __typename ... on ShareConversationPayload { url } } }",
    "Mutation.revokeShare.id": "mutation ($id: ID!) { found: revokeShare(id: $id) { __typename } }",
    "Mutation.updateMemory.input.id": 'mutation ($id: ID!) { found: updateMemory(input: {id: $id, content: "C"}) { __typename ... on MemoryPayload { memory { content } } } }',
    "Mutation.deleteMemory.id": "mutation ($id: ID!) { found: deleteMemory(id: $id) { __typename } }",
    "Mutation.revokePersonalToken.id": "mutation ($id: ID!) { found: revokePersonalToken(id: $id) { __typename } }",
    # These must be last, because they delete the messages and the conversation, and sign the owner out.
    "Mutation.deleteMessage.id": "mutation ($id: ID!) { found: deleteMessage(id: $id) { __typename } }",
    "Mutation.deleteConversation.id": "mutation ($id: ID!) { found: deleteConversation(id: $id) { __typename } }",
    "Mutation.revokeSignIn.id": "mutation ($id: ID!) { found: revokeSignIn(id: $id) { __typename } }",
}  # fmt: skip
OWN = ("said", "asked", "use")
"""The viewer's own objects that a document names in addition to the probed id."""
FIND_OR_CREATE = ("Mutation.createConversation.input.externalId", "Mutation.sendMessage.input.externalId")
"""Ids of the application that create an object of the viewer: tests/test_metadata.py covers them."""
REPRESENTATIONS = [*((name, key) for name, keys in KEYS.items() for key in keys)]
NOT_FOUND = (None, [None], [None] * len(REPRESENTATIONS), "NotFound", "InvalidInput")
LISTS = {
    "Query.viewer": "{ viewer { id name usage { outputTokens } usageByDay { model } budget { limitUsd } limits { name } toolUsage { name } tags { name } memories { edges { node { id content path } } } signIns { id userAgent } personalTokens { id label } } }",
    "Query.conversations": "{ conversations { edges { node { title externalId metadata tags messages { edges { node { text } } } shares { edges { node { id } } } } } } }",
    "Query.searchMessages": f'{{ searchMessages(query: "{SECRET}") {{ edges {{ excerpt node {{ text }} }} }} }}',
    "Query._service": "{ _service { sdl } }",
    "Query.models": "{ models { id } }",
    "Query.assistants": "{ assistants { name } }",
    "Query.assistant": '{ assistant(id: "default") { name } }',
    "Query.tools": "{ tools { name } }",
    "Query.toolServers": "{ toolServers { name } }",
    # tests/test_tool_crossings.py tries to reach the connections of another user.
    "Mutation.connectToolServer": 'mutation { connectToolServer(confirmation: "unknown") { __typename } }',
    "Mutation.disconnectToolServer": 'mutation { disconnectToolServer(name: "unknown") { __typename } }',
    "Mutation.createPersonalToken": 'mutation { createPersonalToken(label: "mine") { ... on CreatePersonalTokenPayload { personalToken { label } } } }',
    "Query.shares": "{ shares { edges { node { id title conversation { title } } } } }",
    # tests/test_operators.py tries all of its fields.
    "Query.admin": "{ admin { users { edges { node { id name signIns { id } personalTokens { id label } } } } } }",
    "Query.sharedConversation": '{ sharedConversation(token: "unknown") { messages { edges { node { text } } } } }',
    "Mutation.createConversation": "mutation { createConversation(input: {}) { ... on ConversationPayload { conversation { title } } } }",
    "Subscription.conversationChanges": 'subscription { conversationChanges(after: "0") { kind conversation { title } } }',
}  # fmt: skip
OPEN_ROUTES = {
    *(("POST", f"/auth/{name}") for name in ("register", "token", "refresh", "revoke", "password")),
    ("DELETE", "/auth/user"),
}
"""Routes of authentication, which tests/test_auth.py covers."""


UNKNOWN_CHAT = {"/ai-sdk/{id}/stream": 204, "/ai-sdk/{id}/messages": 200}
"""The statuses of routes for which a chat without a conversation is one that begins."""
HELLO = {"type": "text", "text": "Hello"}


@dataclass
class Two:
    """Two users: the owner of the probed ids, and a stranger with other objects."""

    owner: Api
    stranger: Api
    ids: dict[str, str]
    own: Json


def create_objects(api: Api, word: str) -> dict[str, str]:
    """Create one object of each kind for a user; return their ids."""
    external_id = f"order {uuid4()}"
    uploads = ((f"{word}.png", image()), (f"{word}.txt", word.encode()))
    picture, text = (api.http.post("/attachments", files={"file": upload}).json()["id"] for upload in uploads)
    sent = api.send(word, attachmentIds=[picture], externalId=external_id)
    api.follow(sent["generation"]["id"])
    tools = {"client": [{"name": "look", "description": "Looks.", "inputSchema": {"type": "object"}}]}
    waiting_generation = api.send(f"/simulate call look {{}}\n{word}", tools=tools)["generation"]["id"]
    with api.socket() as socket:
        events = socket.events(waiting_generation)
        while next(events)["__typename"] != "ToolResultsRequired":
            pass
    called = "query ($id: ID!) { generation(id: $id) { message { content { ... on ToolUseBlock { toolUseId } } } } }"
    use = api.ask(called, id=waiting_generation)["generation"]["message"]["content"][0]["toolUseId"]
    shared = api.ask(
        "mutation ($id: ID!) { shareConversation(id: $id) { ... on ShareConversationPayload { share { id } } } }",
        id=sent["conversation"]["id"],
    )["shareConversation"]
    remembering = json.dumps({"command": "create", "path": f"/memories/{word}.md", "file_text": word})
    api.answer(f"/simulate call memory {remembering}")
    (memory,) = api.ask("{ viewer { memories { edges { node { id } } } } }")["viewer"]["memories"]["edges"]
    token = api.ask(
        "mutation ($label: String!) { createPersonalToken(label: $label) { ... on CreatePersonalTokenPayload { personalToken { id } } } }",
        label=word,
    )["createPersonalToken"]
    (sign_in,) = api.ask("{ viewer { signIns { id } } }")["viewer"]["signIns"]
    return {
        "token": token["personalToken"]["id"],
        "signIn": sign_in["id"],
        "memory": memory["node"]["id"],
        "share": shared["share"]["id"],
        "asked": waiting_generation,
        "use": use,
        "conversation": sent["conversation"]["id"],
        "external": external_id,
        "said": sent["userMessage"]["id"],
        "viewer": api.ask("{ viewer { id } }")["viewer"]["id"],
        "answer": sent["generation"]["message"]["id"],
        "generation": sent["generation"]["id"],
        "shown": picture,
        "waiting": text,
    }


@pytest.fixture
def two(tmp_path_factory: pytest.TempPathFactory) -> Generator[Two]:
    folder = tmp_path_factory.mktemp("assistants")
    (folder / "default.md").write_text("---\nmemory: true\nclients_may_set: [model, options, tools]\n---\nHelp.\n")
    unlimited = {"rate_limit": "100000", "request_limit": "100000"}
    with (
        tertulia(
            tmp_path_factory.mktemp("two"), **MODE, **unlimited, sharing=True, federation=True, assistants=str(folder)
        ) as address,
        signed(address, register(address, "owner")) as owner,
        signed(address, register(address, "stranger")) as stranger,
    ):
        own = create_objects(stranger, "mine")
        yield Two(
            owner,
            stranger,
            create_objects(owner, SECRET),
            {"own": own["conversation"]} | {name: own[name] for name in OWN},
        )


def ask(api: Api, document: str, **variables: Any) -> Any:
    """Run a document and return its field `found`; for a subscription, the first event's data."""
    variables["keys"] = [{"__typename": name, key: variables["id"]} for name, key in REPRESENTATIONS]
    named = {name: value for name, value in variables.items() if f"${name}" in document}
    if document.startswith("subscription"):
        with api.socket() as socket:
            socket.subscribe(document, named)
            message = socket.receive()
        return message["payload"]["data"] if message["type"] == "next" else None
    body = api.post(document, named).json()
    assert SECRET not in str(body) or api.ask("{ viewer { name } }")["viewer"]["name"] == "owner"
    return (body.get("data") or {}).get("found")


def kind_of(found: Any) -> Any:
    return found.get("__typename", "found") if isinstance(found, dict) else found


def with_ids(given: dict[str, Any], path: str) -> Iterator[str]:
    """Yield the paths of all arguments, and of the fields of their inputs, that accept an id."""
    for name, argument in given.items():
        named = get_named_type(argument.type)
        if isinstance(named, GraphQLInputObjectType):
            yield from with_ids(named.fields, f"{path}.{name}")
        elif (
            named.name == "_Any"
            or (named.name == "ID" and name not in UNOWNED and path != "Query.assistant")
            or name == "externalId"
        ):
            yield f"{path}.{name}"


def test_every_root_field_is_in_one_of_the_tables() -> None:
    core = schema_with(federation=query_types(introspection=True)).core
    roots = [root for root in (core.query_type, core.mutation_type, core.subscription_type) if root]
    # tests/test_operators.py tries all mutations of operators.
    fields = {
        f"{root.name}.{name}": field
        for root in roots
        for name, field in root.fields.items()
        if root is not core.mutation_type or not name.startswith("admin")
    }
    taking = {path for name, field in fields.items() for path in with_ids(field.args, name)}
    assert taking == {*PROBES, *FIND_OR_CREATE}
    probed = taking - set(FIND_OR_CREATE)
    assert {name for name in fields if not any(path.startswith(f"{name}.") for path in probed)} == set(LISTS)


def field_that_returns(declared: Any) -> type:
    """Return a class with one field, as an application would add to `Query`."""

    async def own(self: object) -> Any: ...

    own.__annotations__["return"] = declared
    return strawberry.type(type("OwnQuery", (), {"own": strawberry.field(resolver=own)}))


@pytest.mark.parametrize("name", ["Conversation", "Message", "Generation", "Attachment", "Node", "SendMessageResult"])
def test_an_applications_field_cannot_return_a_type_of_tertulia(name: str) -> None:
    definition: Any = schema.get_type_by_name(name)
    declared = getattr(definition, "origin", definition)
    with pytest.raises(TypeError, match=rf"OwnQuery\.own returns {name}, which is a type of Tertulia"):
        schema_with([field_that_returns(declared)])


def test_an_applications_fields_do_not_change_tertulias_fields() -> None:
    extended = schema_with([field_that_returns(str)])
    lines = Counter(extended.as_str().split("\n"))
    lines.subtract(schema.as_str().split("\n"))
    assert [line for line, count in lines.items() if count] == ["  own: String!"]


def test_root_fields_return_nothing_of_another_user(two: Two) -> None:
    crossings = {
        f"{path} by {kind}": kind_of(found)
        for path, document in PROBES.items()
        for kind, id in two.ids.items()
        if kind_of(found := ask(two.stranger, document, id=id, **two.own)) not in NOT_FOUND
    }
    assert crossings == {}
    assert two.owner.messages(two.ids["conversation"])[0]["text"] == SECRET


def test_the_same_documents_return_the_owners_objects(two: Two) -> None:
    own = {"own": two.ids["conversation"]} | {name: two.ids[name] for name in OWN}
    vacuous = [
        path
        for path, document in PROBES.items()
        if all(kind_of(ask(two.owner, document, id=id, **own)) in NOT_FOUND for id in two.ids.values())
    ]
    assert vacuous == []


def test_lists_contain_nothing_of_another_user(two: Two) -> None:
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


def test_rest_routes_return_nothing_of_another_user(two: Two) -> None:
    paths = two.stranger.http.get("/openapi.json").json()["paths"]
    routes = {(method.upper(), path) for path, methods in paths.items() for method in methods} - OPEN_ROUTES
    tried = set[tuple[str, str]]()
    for method, path in sorted(routes):
        for id in two.ids.values():
            tried.add((method, path))
            response = _call(two.stranger, method, path, id)
            assert SECRET not in response.text, (method, path)
            if "{id}" in path or path.startswith(("/chat", "/ag-ui")):
                # An id of another form cannot be that of an event.
                expected = UNKNOWN_CHAT.get(path, 404)
                assert response.status_code == expected or (path, response.status_code) == ("/ag-ui", 422), (
                    method,
                    path,
                )
    assert tried == routes
    assert len(routes) == 15


def _call(api: Api, method: str, path: str, id: str) -> Any:
    files = {"file": ("a.png", image())} if path in ("/attachments", "/import") else None
    body: Any = {"message": "Hello", "conversation_id": id} if path.startswith("/chat") else None
    headers = {}
    if path == "/ag-ui":
        # A thread with a foreign id is a new one; an event of a foreign answer does not exist.
        body, headers = {"threadId": id, "runId": id, "messages": []}, {"Last-Event-ID": f"{id}:start"}
        without = api.http.post(path, json=body)
        assert [line for line in without.text.split("\n\n") if line].pop().count("RUN_FINISHED") == 1
        assert SECRET not in without.text
    if path == "/ai-sdk":
        # In turn, the id is that of the chat, of an answer with a result, and of the message to edit or regenerate.
        part = {"type": "dynamic-tool", "toolCallId": id, "state": "output-available", "output": 1}
        messages = [{"id": id, "role": "assistant", "parts": [part]}, {"id": id, "role": "user", "parts": [HELLO]}]
        for more in ({"messages": messages[:1]}, {"messageId": id}, {"messageId": id, "trigger": "regenerate-message"}):
            response = api.http.request(method, path, json={"id": id, "messages": messages} | more)
            assert SECRET not in response.text
            assert response.status_code == (200 if "messageId" in more else 404)
        body = {"id": id, "messages": messages}
    return api.http.request(method, path.replace("{id}", id), files=files, json=body, headers=headers)
