"""Random values in every argument and input field: each is answered or refused as documented, and each is reached."""

import json
import string
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from client import Api, Json
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLScalarType,
    build_schema,
    get_nullable_type,
)
from hypothesis import given
from hypothesis import strategies as st
from people import MODE, PASSWORD, post, register, signed
from running import tertulia
from test_fuzz import PIECES, examples

from tertulia.json import is_list, is_object
from tertulia.ratelimit.limits import Rate
from tertulia.schema.federation import KEYS, query_types
from tertulia.schema.own_fields import schema_with
from tertulia.server.auth import sessions

pytestmark = pytest.mark.repeated

SCHEMA = build_schema(schema_with(federation=query_types(introspection=True)).as_str())
ROOTS = {"query": SCHEMA.query_type, "mutation": SCHEMA.mutation_type}
OPERATIONS = [
    (kind, name)
    for kind, root in ROOTS.items()
    for name, declared in cast("GraphQLObjectType", root).fields.items()
    if declared.args
]
CODES = {"BAD_USER_INPUT", "GRAPHQL_VALIDATION_FAILED"}
REFUSED = {"InvalidInput", "NotFound", "ConversationBusy", "RateLimited", "BudgetExceeded", "SendRefused"}
OBJECTS = st.dictionaries(st.text(string.ascii_letters, min_size=1, max_size=8), PIECES, max_size=3)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "ID": st.sampled_from(["support", "$conversation", "$question", "$answer", "$generation", str(uuid4()), "", "\0"]),
    "String": st.sampled_from(["order 42", "$token", "claude-haiku-5-5", "who", "", " ", "\0"]) | st.text(max_size=20),
    "Boolean": st.booleans(),
    "Int": st.integers(1, 50) | st.integers(-(2**31), 2**31 - 1),
    "Float": st.floats(allow_nan=False, allow_infinity=False),
    "DateTime": st.sampled_from(["2999-01-01T00:00:00Z", "1999-01-01T00:00:00Z", "9999-12-31T23:59:59Z"]),
    "Date": st.just("2026-11-29"),
    "JSON": (OBJECTS | PIECES).filter(lambda value: "Infinity" not in json.dumps(value)),
    "_Any": st.fixed_dictionaries(
        {"__typename": st.sampled_from([*KEYS, "Model"])},
        optional={
            name: st.sampled_from(["$conversation", "$question", "order 42", "", 5]) for name in ("id", "externalId")
        },
    )
    | PIECES.filter(lambda value: "Infinity" not in json.dumps(value)),
}
"""Values of each scalar. Those with `$` are replaced with the ids of objects that exist."""
SENT: Json = {"text": "Hello"}
BASES: dict[str, Json] = {
    "sendMessage": {"input": SENT},
    "createConversation": {"input": {}},
    "updateConversation": {"input": {"id": "$conversation"}},
    "editMessage": {"input": {"messageId": "$question", "text": "Hello", "whenBusy": "QUEUE"}},
    "updateMessage": {"input": {"id": "$question"}},
    "rateMessage": {"input": {"messageId": "$answer", "rating": "GOOD"}},
    "shareConversation": {"id": "$conversation"},
    "conversations": {"filter": {}},
}
"""Arguments that are accepted, to which one field is added."""
ACCEPTED = {
    *(f"sendMessage.input.{name}" for name in ("context", "metadata", "externalId", "assistantId", "whenBusy")),
    "sendMessage.input.conversationMetadata", "createConversation.input.metadata",
    "createConversation.input.externalId", "createConversation.input.assistantId",
    "updateConversation.input.metadata", "updateMessage.input.metadata", "editMessage.input.context",
    "editMessage.input.metadata", "rateMessage.input.comment", "rateMessage.input.tags",
    "shareConversation.expiresAt", "shareConversation.includeThinking", "shareConversation.includeTools",
    *(f"sendMessage.input.whenBusy={value}" for value in ("REJECT", "QUEUE", "INTERRUPT", "STEER")),
    "rateMessage.input.rating=GOOD", "rateMessage.input.rating=BAD",
    "shareConversation.includeContext", "conversations.filter.metadata.contains", "conversations.filter.assistantId",
}  # fmt: skip
"""The fields of which some random value must be accepted, and not only refused."""


@dataclass
class Fuzzed:
    """A user, the ids of the user's objects, and which fields the server has reached."""

    api: Api
    ids: dict[str, str] = field(default_factory=dict[str, str])
    reached: Counter[str] = field(default_factory=Counter[str])
    accepted: Counter[str] = field(default_factory=Counter[str])

    def prepare(self) -> None:
        """Create a conversation with an answer and a share."""
        sent = self.api.send("Hello")
        self.api.follow(sent["generation"]["id"])
        share = "mutation ($id: ID!) { shareConversation(id: $id) { ... on ShareConversationPayload { token } } }"
        id = sent["conversation"]["id"]
        self.ids = {
            "$conversation": id,
            "$question": sent["userMessage"]["id"],
            "$answer": sent["generation"]["message"]["id"],
            "$generation": sent["generation"]["id"],
            "$token": self.api.ask(share, id=id)["shareConversation"]["token"],
        }

    def named(self, value: Any) -> Any:
        """Replace names of ids in a value."""
        if isinstance(value, str):
            return self.ids.get(value, value)
        if is_list(value):
            return [self.named(item) for item in value]
        if is_object(value):
            return {key: self.named(item) for key, item in value.items()}
        return value

    def send(self, kind: str, name: str, arguments: Json) -> None:
        """Send an operation, and check its response."""
        declared = cast("GraphQLObjectType", ROOTS[kind]).fields[name]
        variables = ", ".join(f"${key}: {declared.args[key].type}" for key in arguments)
        passed = ", ".join(f"{key}: ${key}" for key in arguments)
        declaring, passing = (f"({variables})", f"({passed})") if arguments else ("", "")
        document = f"{kind} {declaring} {{ result: {name}{passing} {{ __typename }} }}"
        response = self.api.post(document, self.named(arguments))
        assert response.status_code in (200, 400), response.text
        body = response.json()
        codes = {error["extensions"]["code"] for error in body.get("errors", ())}
        assert codes <= CODES, body
        paths = set(_paths(name, {key: argument.type for key, argument in declared.args.items()}, arguments))
        if "GRAPHQL_VALIDATION_FAILED" not in codes:
            self.reached.update(paths)
        result: Any = None if codes else body["data"]["result"]
        if is_object(result) and result["__typename"] not in REFUSED:
            self.accepted.update(paths)


def _paths(path: str, types: Json, values: Json) -> Iterator[str]:
    """Yield the path of each value that is not null, such as `sendMessage.input.options.effort`."""
    for key, value in values.items():
        if value is None:
            continue
        yield f"{path}.{key}"
        if isinstance(_item_type(types[key]), GraphQLEnumType):
            yield f"{path}.{key}={value}"
        items: list[Any] = value if isinstance(value, list) else [value]
        inner = _item_type(types[key])
        if isinstance(inner, GraphQLInputObjectType):
            for item in items:
                yield from _paths(f"{path}.{key}", {name: f.type for name, f in inner.fields.items()}, item or {})


def _all_paths(path: str, types: Json) -> Iterator[str]:
    for key, declared in types.items():
        yield f"{path}.{key}"
        inner = _item_type(declared)
        if isinstance(inner, GraphQLInputObjectType):
            yield from _all_paths(f"{path}.{key}", {name: f.type for name, f in inner.fields.items()})


def _item_type(declared: Any) -> Any:
    while isinstance(declared, GraphQLNonNull | GraphQLList):
        declared = cast("Any", declared).of_type
    return declared


def _values(declared: Any) -> st.SearchStrategy[Any]:
    """Return the values of a type, without null."""
    if isinstance(declared, GraphQLNonNull):
        return _values(cast("Any", declared).of_type)
    if isinstance(declared, GraphQLList):
        return st.lists(_values(cast("Any", declared).of_type), min_size=1, max_size=2)
    if isinstance(declared, GraphQLEnumType):
        return st.sampled_from(list(declared.values))
    if isinstance(declared, GraphQLScalarType):
        return SCALARS[declared.name]
    fields = cast("GraphQLInputObjectType", declared).fields
    return _fields({name: f.type for name, f in fields.items()})


def _fields(types: dict[str, Any]) -> st.SearchStrategy[Json]:
    """Return objects with all fields, or with some of them, which may be null."""
    every = {name: _values(declared) for name, declared in types.items()}
    required = {name: every[name] for name, declared in types.items() if isinstance(declared, GraphQLNonNull)}
    optional = {name: st.none() | values for name, values in every.items() if name not in required}
    return st.fixed_dictionaries(every) | st.fixed_dictionaries(required, optional=optional)


def _types_of(kind: str, name: str) -> dict[str, Any]:
    return {key: arg.type for key, arg in cast("GraphQLObjectType", ROOTS[kind]).fields[name].args.items()}


def _with_one_more(types: dict[str, Any], base: Json) -> Iterator[st.SearchStrategy[Json]]:
    """Yield the arguments of a base with each of the other fields, where it has any."""
    if len(base) == 1 and isinstance(inner := _item_type(types[next(iter(base))]), GraphQLInputObjectType):
        (key,) = base
        for fields in _with_one_more({name: f.type for name, f in inner.fields.items()}, base[key]):
            yield st.fixed_dictionaries({key: fields})
        return
    for name, declared in types.items():
        if name not in base or isinstance(_item_type(declared), GraphQLEnumType):
            others = {key: st.just(value) for key, value in base.items()}
            inner = get_nullable_type(declared)
            strategies = (
                [st.just(value) for value in inner.values]
                if isinstance(inner, GraphQLEnumType)
                else [_values(declared)]
            )
            for values in strategies:
                yield st.fixed_dictionaries(others | {name: values})


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """A server with assistants, shares and guests, and with limits that nobody reaches."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "assistants").mkdir()
    setting = "clients_may_set: [instructions, model, options, tools]"
    (folder / "assistants" / "support.md").write_text(f"---\n{setting}\ntools: [who]\n---\nBe kind.\n")
    (folder / "plans.toml").write_text('[guest]\nmessages = "5/day"\n')
    unlimited = {"request_limit": "1000000", "rate_limit": "1000000", "max_concurrent_generations": 1000}
    features = {"sharing": True, "share_limit": "1000000", "guests": True, "tools": ("some_tools",)}
    places = {"assistants": str(folder / "assistants"), "plans": str(folder / "plans.toml")}
    with pytest.MonkeyPatch.context() as patch:
        for name in ("TRIES_OF_ADDRESS", "GUESTS_OF_ADDRESS"):
            patch.setattr(sessions, name, Rate(name, "1000000/minute"))
        with tertulia(folder, **MODE, **unlimited, **features, **places, federation=True) as url:
            yield url


@pytest.fixture(scope="module")
def fuzzed(address: str) -> Generator[Fuzzed]:
    with signed(address, register(address, "fuzz")) as api:
        yield Fuzzed(api)


@pytest.mark.parametrize(("kind", "name"), OPERATIONS)
def test_random_arguments_are_answered_or_refused_and_each_field_is_reached(
    fuzzed: Fuzzed, kind: str, name: str
) -> None:
    fuzzed.prepare()

    def send(arguments: Json) -> None:
        if name.startswith("delete"):
            fuzzed.prepare()
        fuzzed.send(kind, name, arguments)

    types = _types_of(kind, name)
    examples(12)(given(_fields(types))(send))()
    if name in BASES:
        for arguments in _with_one_more(types, BASES[name]):
            examples(20)(given(arguments)(send))()
    assert set(_all_paths(name, types)) - fuzzed.reached.keys() == set()
    assert {path for path in ACCEPTED if path.startswith(f"{name}.")} - fuzzed.accepted.keys() == set()


CHAT: dict[str, st.SearchStrategy[Any]] = {
    "model": st.sampled_from(["claude-haiku-5-5", "gpt-4", ""]),
    "conversation_id": st.sampled_from(["$conversation", "x", ""]),
    "context": SCALARS["JSON"],
    "metadata": SCALARS["JSON"],
    "external_id": SCALARS["String"],
    "assistant_id": st.sampled_from(["support", "nobody", ""]),
    "conversation_metadata": SCALARS["JSON"],
}


@pytest.mark.parametrize("name", CHAT)
def test_each_field_of_a_chat_is_reached_with_random_values(fuzzed: Fuzzed, name: str) -> None:
    fuzzed.prepare()
    statuses = Counter[int]()

    @examples(8)
    @given(
        st.fixed_dictionaries({name: CHAT[name]})
        | st.fixed_dictionaries(
            {name: CHAT[name]}, optional={key: values for key, values in CHAT.items() if key != name}
        )
    )
    def send(body: Json) -> None:
        response = fuzzed.api.http.post("/chat", json=fuzzed.named({"message": "Hello", **body}))
        statuses[response.status_code] += 1
        if response.status_code == 422:
            assert response.json()["detail"][0]["loc"][1] in {"message", *CHAT}

    send()
    assert statuses.keys() <= {200, 404, 409, 422}
    assert statuses[200] > 0


PARTS = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "image", "document", "audio", "x"])},
    optional={
        "text": SCALARS["String"],
        "source": st.fixed_dictionaries(
            {"type": st.sampled_from(["data", "url", "file"]), "value": SCALARS["String"] | st.just("aGk=")},
            optional={"mimeType": SCALARS["String"]},
        ),
    },
)
RUN_MESSAGES = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["1", "2", "3"]),
        "role": st.sampled_from(["user", "user", "assistant", "tool", "system", "developer", "activity"]),
        "content": st.just("Hello") | SCALARS["String"] | st.lists(PARTS, max_size=2),
    },
    optional={"toolCallId": SCALARS["String"], "error": SCALARS["String"]},
)
RUN: dict[str, st.SearchStrategy[Any]] = {
    "messages": st.lists(RUN_MESSAGES, max_size=3),
    "tools": st.lists(
        st.fixed_dictionaries(
            {"name": st.sampled_from(["look", "a b", ""]), "description": SCALARS["String"]},
            optional={"parameters": SCALARS["JSON"]},
        ),
        max_size=2,
    ),
    "context": st.lists(
        st.fixed_dictionaries({"description": SCALARS["String"], "value": SCALARS["String"]}), max_size=2
    ),
    "state": SCALARS["JSON"],
    "forwardedProps": SCALARS["JSON"]
    | st.fixed_dictionaries({"model": st.sampled_from(["gpt-4", "claude-haiku-5-5"])}),
    "resume": st.lists(
        st.fixed_dictionaries(
            {"interruptId": SCALARS["String"], "status": st.sampled_from(["resolved", "cancelled", "x"])},
            optional={"payload": SCALARS["JSON"]},
        ),
        max_size=2,
    ),
}


def test_runs_of_ag_ui_with_random_values_are_answered_or_refused(fuzzed: Fuzzed) -> None:
    fuzzed.prepare()
    statuses = Counter[int]()
    hello = [{"id": "1", "role": "user", "content": "Hello"}]

    @examples(40)
    @given(st.fixed_dictionaries({"threadId": st.sampled_from(["a", "b"])}, optional=RUN), st.uuids())
    def send(body: Json, run: UUID) -> None:
        content = json.dumps({"runId": str(run), "messages": hello, **body})
        response = fuzzed.api.http.post("/ag-ui", content=content, headers={"content-type": "application/json"})
        statuses[response.status_code] += 1
        if response.status_code == 422:
            assert response.json()["detail"][0]["loc"][1] in {"threadId", *RUN}

    send()
    assert statuses.keys() <= {200, 422}
    assert statuses[200] > 0


UI_PARTS: st.SearchStrategy[Any] = st.lists(
    st.fixed_dictionaries(
        {"type": st.sampled_from(["text", "file", "dynamic-tool", "tool-x", "step-start", ""])},
        optional={
            "text": SCALARS["String"] | SCALARS["JSON"],
            "url": st.sampled_from(["data:,x", "data:text/plain;base64,eA==", "/attachments/x", "https://example.com"]),
            "toolCallId": SCALARS["String"],
            "state": st.sampled_from(["output-available", "approval-responded", "output-error"]),
            "output": SCALARS["JSON"],
        },
    )
    | SCALARS["JSON"],
    max_size=3,
)
UI_CHAT = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["$conversation", "x", "a chat"]),
        "messages": st.lists(
            st.fixed_dictionaries(
                {"id": SCALARS["String"], "role": st.sampled_from(["user", "assistant", "system"]), "parts": UI_PARTS},
                optional={"metadata": SCALARS["JSON"]},
            ),
            max_size=3,
        ),
    },
    optional={
        "trigger": st.sampled_from(["submit-message", "regenerate-message"]),
        "messageId": SCALARS["String"],
        "whenBusy": st.sampled_from(["interrupt", "queue", "x"]),
        "model": CHAT["model"],
        "context": SCALARS["JSON"],
        "assistantId": CHAT["assistant_id"],
        "conversationMetadata": SCALARS["JSON"],
    },
)


def test_random_chats_of_the_ai_sdk_are_answered_or_refused(fuzzed: Fuzzed) -> None:
    fuzzed.prepare()
    statuses = Counter[int]()

    @examples(30)
    @given(UI_CHAT)
    def send(body: Json) -> None:
        response = fuzzed.api.http.post("/ai-sdk", json=fuzzed.named(body))
        statuses[response.status_code] += 1

    send()
    assert statuses.keys() <= {200, 404, 409, 422}
    assert statuses[422] > 0


FORMS = st.fixed_dictionaries(
    {},
    optional={
        "username": st.text(string.ascii_letters, min_size=1, max_size=30) | st.text(max_size=5),
        "password": st.just(PASSWORD) | st.text(max_size=20),
        "guest_token": st.just("$guest") | st.text(max_size=20),
        "grant_type": st.sampled_from(["password", "refresh_token", "x"]),
    },
)


@examples(25)
@given(FORMS, st.sampled_from(["guest", "register", "token"]))
def test_random_forms_enter_as_a_guest_register_or_are_refused(address: str, form: dict[str, str], path: str) -> None:
    entered = post(address, "guest", **form)
    assert entered.status_code == 201, entered.text
    token = entered.json()["access_token"]
    sent = post(address, path, **{key: token if value == "$guest" else value for key, value in form.items()})
    assert sent.status_code in (200, 201, 400, 422), sent.text


@examples(25)
@given(st.just("$token") | st.text(max_size=50), st.none() | st.text(max_size=20))
def test_random_links_and_cursors_of_shares_show_a_page(fuzzed: Fuzzed, token: str, after: str | None) -> None:
    if not fuzzed.ids:
        fuzzed.prepare()
    cursor = {} if after is None else {"after": after}
    shown = fuzzed.api.http.get(f"/s/{quote(fuzzed.named(token), safe='')}", params=cursor)
    assert shown.status_code in (200, 404)
    assert (shown.status_code == 200) == (token == "$token" and after is None)
