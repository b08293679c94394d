"""An application's own GraphQL fields: authentication, limits and error handling are those of Tertulia's fields."""

import asyncio
import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import strawberry
from client import Api, Json
from fastapi import FastAPI
from people import MODE, register, signed
from running import prepare_database, running, settings
from starlette.requests import HTTPConnection

from tertulia import FieldContext, Tertulia, Viewer
from tertulia.schema.document_policy import digest
from tertulia.schema.root import schema
from tertulia.schema.types import Conversation as InternalConversation

PEOPLE = {"token-of-ada": Viewer("ada@example.com", "Ada", {"team": "engines"})}
Info = strawberry.Info[FieldContext]


async def who_is_asking(connection: HTTPConnection) -> Viewer | None:
    token = connection.headers.get("authorization") or connection.state.connection_init.get("Authorization", "")
    return PEOPLE.get(token.removeprefix("Bearer "))


@strawberry.type
class Order:
    id: strawberry.ID
    owner: str

    @strawberry.field
    @staticmethod
    def label(order: strawberry.Parent["Order"]) -> str:
        return f"{order.owner}: {order.id}"

    @strawberry.field
    async def parts(self, first: int = 10) -> "list[Order]":
        return [Order(id=strawberry.ID(f"{self.id}.{number}"), owner=self.owner) for number in range(first)]


class IsManager(strawberry.BasePermission):
    message = "Only managers see this."

    async def has_permission(self, source: Any, info: Info, **kwargs: Any) -> bool:
        return info.context.viewer.claims.get("role") == "manager"


async def read_revenue() -> int:
    return 1_000_000


@strawberry.type
class OrderQuery:
    revenue: int = strawberry.field(resolver=read_revenue, permission_classes=[IsManager])

    @strawberry.field
    async def order(self, info: Info, id: strawberry.ID) -> Order:
        return Order(id=id, owner=info.context.viewer.id)

    @strawberry.field
    async def team(self, info: Info) -> str:
        return str(info.context.viewer.claims.get("team"))

    @strawberry.field
    async def stock(self) -> int:
        raise RuntimeError("the password of the warehouse is 1234")


@strawberry.type
class OrderMutation:
    @strawberry.mutation
    async def place_order(self, info: Info, id: strawberry.ID) -> Order:
        CALLS.append(f"{id} begins")
        await asyncio.sleep(0)
        CALLS.append(f"{id} ends")
        return Order(id=id, owner=info.context.viewer.id)


def note_mutation(embedded: Callable[[], Tertulia]) -> type:
    @strawberry.type
    class NoteMutation:
        @strawberry.mutation
        async def note(self, info: Info) -> strawberry.ID:
            sent = await embedded().send(info.context.viewer, "A note")
            return strawberry.ID(str(sent.conversation.id))

    return NoteMutation


@strawberry.type
class WeatherQuery:
    @strawberry.field
    async def weather(self) -> str:
        return "sunny"


CALLS: list[str] = []
"""The calls of `placeOrder`."""


def make(folder: Path, query: Any = (), mutation: Any = (), **more: Any) -> Tertulia:
    folder.mkdir(exist_ok=True)
    chosen = settings(folder, **more)
    prepare_database(chosen.database_url)
    return Tertulia(chosen, authenticate=who_is_asking, query=query, mutation=mutation)


@contextmanager
def serving(embedded: Tertulia) -> Generator[str]:
    """Serve a host application that mounts one Tertulia; yield the Tertulia's address."""
    app = FastAPI(lifespan=embedded.lifespan)
    app.mount("/ai", embedded.app)
    with running(app) as address:
        yield f"{address}/ai"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Generator[str]:
    """The address of a Tertulia with the fields of a shop."""
    mutations = [OrderMutation, note_mutation(lambda: embedded)]
    embedded = make(tmp_path_factory.mktemp("shop"), [OrderQuery], mutations)
    with serving(embedded) as address:
        yield address


@pytest.fixture
def ada(shop: str) -> Generator[Api]:
    with Api(shop, "token-of-ada") as api:
        yield api


def over_socket(api: Api, document: str) -> Json:
    """Return a socket's first message for an operation."""
    with api.socket() as socket:
        socket.subscribe(document, {})
        return socket.receive()


def code_of(errors: list[Json]) -> str:
    code: str = errors[0]["extensions"]["code"]
    return code


ORDER = '{ order(id: "7") { id owner } team }'
ORDERED = {"order": {"id": "7", "owner": "ada@example.com"}, "team": "engines"}


def test_an_applications_field_gets_the_viewer_that_the_host_authenticated(ada: Api) -> None:
    assert ada.ask(ORDER) == ORDERED
    assert over_socket(ada, ORDER)["payload"]["data"] == ORDERED


def test_one_document_can_select_fields_of_the_application_and_of_tertulia(ada: Api) -> None:
    ada.answer("Hello")
    conversations = ada.ask("{ conversations { edges { node { title messages { edges { node { text } } } } } } }")
    document = "{ team conversations { edges { node { title messages { edges { node { text } } } } } } }"
    assert ada.ask(document) == {"team": "engines", **conversations}
    assert ada.ask("query { ...Own viewer { name } } fragment Own on Query { ... { team } }") == {
        "team": "engines",
        "viewer": {"name": "Ada"},
    }


def test_an_applications_mutations_run_in_sequence(ada: Api) -> None:
    CALLS.clear()
    ada.ask('mutation { a: placeOrder(id: "1") { id } b: placeOrder(id: "2") { id } }')
    assert CALLS == ["1 begins", "1 ends", "2 begins", "2 ends"]


def test_an_applications_mutation_can_send_messages_for_its_viewer(ada: Api) -> None:
    assert ada.messages(ada.ask("mutation { note }")["note"])[0]["text"] == "A note"


def test_an_error_in_an_applications_field_is_masked_with_a_trace_id(ada: Api) -> None:
    response = ada.post("{ stock team }")
    assert "1234" not in response.text
    (error,) = response.json()["errors"]
    assert (error["message"], error["path"]) == ("Internal server error.", ["stock"])
    assert error["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
    assert error["extensions"]["traceId"]
    result = over_socket(ada, "{ stock }")["payload"]
    assert "1234" not in str(result)
    assert code_of(result["errors"]) == "INTERNAL_SERVER_ERROR"


def test_strawberrys_permissions_and_resolvers_work_in_an_applications_fields(ada: Api) -> None:
    response = ada.post('{ revenue order(id: "7") { label } }')
    assert response.json()["errors"][0]["message"] == "Only managers see this."
    assert ada.ask('{ order(id: "7") { label } }') == {"order": {"label": "ada@example.com: 7"}}


DEEP = '{ order(id: "7") {' + "parts(first: 1) {" * 20 + "id" + "}" * 22
WIDE = "{" + " ".join(f"a{number}: team" for number in range(101)) + "}"


@pytest.mark.parametrize(
    "document", [DEEP, WIDE, '{ order(id: "7") { parts(first: 100000) { id } } }'], ids=["deep", "aliases", "cost"]
)
def test_the_limits_on_documents_apply_to_an_applications_fields(ada: Api, document: str) -> None:
    assert code_of(ada.errors(document)) == "QUERY_TOO_COMPLEX"
    assert code_of(over_socket(ada, document)["payload"]) == "QUERY_TOO_COMPLEX"


def test_an_unauthenticated_client_cannot_use_an_applications_field(shop: str) -> None:
    response = httpx2.post(f"{shop}/graphql", json={"query": ORDER})
    assert response.status_code == 401
    assert code_of(response.json()["errors"]) == "UNAUTHENTICATED"


def test_introspection_and_persisted_queries_also_restrict_an_applications_fields(
    tmp_path: Path,
) -> None:
    trusted = tmp_path / "trusted.json"
    trusted.write_text(json.dumps({digest(ORDER): ORDER}))
    closed = make(tmp_path / "closed", [OrderQuery], introspection=False)
    with serving(closed) as address, Api(address, "token-of-ada") as ada:
        assert code_of(ada.errors('{ __type(name: "Order") { name } }')) == "GRAPHQL_VALIDATION_FAILED"
        assert "order" not in ada.errors("{ ordr { id } }")[0]["message"].replace("ordr", "")
        assert ada.ask(ORDER) == ORDERED
    persisted = make(tmp_path / "known", [OrderQuery], persisted_queries=str(trusted))
    with serving(persisted) as address, Api(address, "token-of-ada") as ada:
        assert ada.ask(ORDER) == ORDERED
        assert code_of(ada.errors("{ team }")) == "PERSISTED_QUERY_NOT_FOUND"


def test_two_tertulias_in_one_process_have_separate_fields(shop: str, tmp_path: Path) -> None:
    other = make(tmp_path / "other", [WeatherQuery])
    plain = make(tmp_path / "plain")
    with (
        serving(other) as of_other,
        serving(plain) as of_plain,
        Api(shop, "token-of-ada") as ada,
        Api(of_other, "token-of-ada") as weather,
        Api(of_plain, "token-of-ada") as nothing,
    ):
        assert ada.ask("{ team }") == {"team": "engines"}
        assert weather.ask("{ weather }") == {"weather": "sunny"}
        assert code_of(weather.errors("{ team }")) == "GRAPHQL_VALIDATION_FAILED"
        assert code_of(ada.errors("{ weather }")) == "GRAPHQL_VALIDATION_FAILED"
        assert code_of(nothing.errors("{ weather }")) == "GRAPHQL_VALIDATION_FAILED"
    assert "team" not in schema.as_str()


def test_an_applications_field_gets_the_viewer_of_a_server_with_accounts(tmp_path: Path) -> None:
    chosen = settings(tmp_path, **MODE)
    prepare_database(chosen.database_url)
    embedded = Tertulia(chosen, query=[OrderQuery], mutation=[note_mutation(lambda: embedded)])
    with serving(embedded) as address, signed(address, register(address, "grace")) as grace:
        own = grace.ask('{ viewer { id } order(id: "7") { owner } }')
        assert own["order"]["owner"] == own["viewer"]["id"]
        assert grace.messages(grace.ask("mutation { note }")["note"])[0]["text"] == "A note"


# ---- fields that the constructor refuses -----------------------------------------------------


@strawberry.type
class ClashingQuery:
    search: int = strawberry.field(resolver=read_revenue, name="searchMessages")


@strawberry.type
class ClashingMutation:
    @strawberry.mutation
    async def stop_generation(self) -> str:
        return ""


@strawberry.type(name="Message")
class Letter:
    text: str


@strawberry.type
class LetterQuery:
    @strawberry.field
    async def letters(self) -> list[Letter]:
        return []


@strawberry.type
class Summary:
    conversation: InternalConversation


@strawberry.type
class LeadingQuery:
    @strawberry.field
    async def summaries(self) -> list[Summary]:
        return []


@strawberry.input
class OrderInput:
    id: int


@pytest.mark.parametrize(
    ("own", "error", "message"),
    [
        ({"query": [ClashingQuery]}, ValueError, "ClashingQuery.search: `searchMessages` is already a field of Query"),
        ({"mutation": [ClashingMutation]}, ValueError, "ClashingMutation.stop_generation: `stopGeneration` is already"),
        ({"query": [WeatherQuery, WeatherQuery]}, ValueError, "WeatherQuery.weather: `weather` is already a field of"),
        ({"query": [LetterQuery]}, ValueError, "Letter: Type Message is defined multiple times"),
        ({"query": [LeadingQuery]}, TypeError, "LeadingQuery.summaries returns Conversation, which is a type of"),
        ({"query": WeatherQuery}, TypeError, "`query` must be a list of Strawberry types"),
        ({"query": [Viewer]}, TypeError, "`query` must contain only Strawberry types, and Viewer is none"),
        ({"mutation": [WeatherQuery()]}, TypeError, "`mutation` must contain only .*, and WeatherQuery.* is none"),
        ({"mutation": [OrderInput]}, TypeError, "`mutation` must contain only .*, and OrderInput is none"),
    ],
    ids=["field", "mutation", "own field", "type", "internal type", "no list", "plain class", "instance", "input"],
)
def test_invalid_fields_are_refused_by_the_constructor_in_one_line(
    tmp_path: Path, own: Json, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as raised:
        make(tmp_path, **own)
    assert "\n" not in str(raised.value)
