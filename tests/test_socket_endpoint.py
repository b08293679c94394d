"""Sockets under another server than uvicorn: the endpoint as an ASGI application, in memory and with a stopped clock.

Nothing here waits for time: a test moves the clock of its event loop, and then gives all tasks their turns.
"""

import asyncio
import gc
import json
import tracemalloc
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
import strawberry
from prometheus_client import CollectorRegistry

from tertulia.db.read_limit import ReadLimitExceeded
from tertulia.schema.document_policy import DocumentPolicy
from tertulia.schema.documents import Schema
from tertulia.server.auth.providers import Unauthenticated, Unavailable
from tertulia.server.http.operation_facts import OperationObserver
from tertulia.server.http.websocket import PROTOCOL, SocketEndpoint
from tertulia.server.telemetry.operations import OperationMetrics

Json = dict[str, Any]
TURNS = 300
"""More turns of the event loop than any step here needs."""
WORD = "{ word }"
NUMBERS = "subscription ($to: Int!) { numbers(to: $to) }"
SILENT = "subscription ($length: Int!) { silent(length: $length) }"
events: list[str] = []
"""The steps of the resolvers and of the connection slot in the running test, in order."""


@strawberry.type
class Query:
    @strawberry.field
    def word(self) -> str:
        events.append("word")
        return "yes"

    @strawberry.field
    def broken(self) -> str:
        raise LookupError("a secret detail")

    @strawberry.field
    def large(self) -> str:
        raise ReadLimitExceeded


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def numbers(self, to: int) -> AsyncGenerator[int]:
        for number in range(to):
            yield number

    @strawberry.subscription
    async def silent(self, length: int) -> AsyncGenerator[str]:
        """Send a text of `length` characters, and then nothing."""
        try:
            yield "x" * length
            await asyncio.Event().wait()
        finally:
            events.append("operation ended")

    @strawberry.subscription
    async def endless(self) -> AsyncGenerator[int]:
        try:
            while True:
                yield 1
        finally:
            events.append("operation ended")


POLICY = DocumentPolicy(Schema(query=Query, subscription=Subscription))


@pytest.fixture(scope="module", autouse=True)
def _only_new_objects_are_collected() -> None:
    # Each test collects its garbage, and would otherwise also scan what hundreds of earlier tests have left.
    gc.collect()
    gc.freeze()


class Viewer:
    """The context of an authenticated client, which has one connection slot."""

    def __init__(self, per_socket: int) -> None:
        self.services = SimpleNamespace(subscriptions=SimpleNamespace(per_socket=per_socket))
        self.viewer = SimpleNamespace(user_id=UUID(int=1))
        self.limits = SimpleNamespace(sockets=1, connection_slot=self._slot, check_request=self._check)

    @asynccontextmanager
    async def _slot(self, _user: UUID) -> AsyncGenerator[None]:
        yield
        events.append("slot released")

    async def _check(self, _user: UUID) -> None:
        pass


class Stage:
    """A socket, its client and its clock."""

    def __init__(self, *, per_socket: int) -> None:
        self.messages: list[Json] = []
        """The messages that the client has received."""
        self.closed: list[tuple[int, str]] = []
        self.faults: list[str] = []
        """Errors of tasks that nobody has awaited."""
        self.stuck = set[str]()
        """The kinds of messages that wait forever, because the client reads nothing."""
        self.is_lost = False
        """Whether the connection is lost, which the server has not yet reported."""
        self.lost_after: int | None = None
        """The number of messages after which the connection is lost."""
        self.signing_in = asyncio.Event()
        self.signing_in.set()
        self.refusal: Exception | None = None
        """The exception with which the next sign-in fails. None lets it succeed."""
        self.context: Viewer | None = Viewer(per_socket)
        self._incoming = asyncio.Queue[Json]()
        self._incoming.put_nowait({"type": "websocket.connect"})
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time()
        vars(self._loop)["time"] = lambda: self._time
        self._loop.set_exception_handler(lambda _, fault: self.faults.append(fault["message"]))

        endpoint = SocketEndpoint(
            POLICY,
            lambda: cast("Any", SimpleNamespace(admit=self._admit)),
            allows_origin=lambda _: True,
            init_seconds=10,
            observer=OperationObserver(POLICY, OperationMetrics(CollectorRegistry())),
        )
        scope: Json = {"type": "websocket", "subprotocols": [PROTOCOL], "headers": [], "path": "/graphql"}
        self.serving = asyncio.ensure_future(endpoint(scope, self._incoming.get, self._deliver))

    async def _admit(self, *_: object) -> Any:
        await self.signing_in.wait()
        if self.refusal is not None:
            raise self.refusal
        identity = SimpleNamespace(revocable=True)
        return SimpleNamespace(context=self.context, identity=identity, lapsed=asyncio.Event().wait)

    async def _deliver(self, message: Any) -> None:
        if message["type"] in self.stuck:
            await asyncio.Event().wait()
        if self.is_lost:
            raise OSError("The connection is lost.")
        if message["type"] == "websocket.close":
            self.closed.append((message["code"], message["reason"]))
        elif message["type"] == "websocket.send":
            self.messages.append(json.loads(message["text"]))
            self.is_lost = len(self.messages) == self.lost_after

    def send(self, type: str, **fields: Any) -> None:
        self._incoming.put_nowait({"type": "websocket.receive", "text": json.dumps({"type": type, **fields})})

    def subscribe(self, id: str, query: str, **variables: Any) -> None:
        self.send("subscribe", id=id, payload={"query": query, "variables": variables})

    async def subscribed(self, id: str, query: str, **variables: Any) -> list[Json]:
        """Subscribe, and return the messages that follow."""
        count = len(self.messages)
        self.subscribe(id, query, **variables)
        await turns()
        return self.messages[count:]

    async def initialize(self) -> None:
        self.send("connection_init")
        await turns()
        assert self.messages == [{"type": "connection_ack"}]
        self.messages.clear()

    async def advance(self, seconds: float) -> None:
        self._time += seconds
        await turns()

    async def disconnect(self) -> None:
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1005})
        await turns()
        self.expect_end()

    def expect_end(self) -> None:
        """Expect that the endpoint has returned without an error, and that none of its tasks is left."""
        assert self.serving.done()
        self.serving.result()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        gc.collect()
        assert self.faults == []


async def turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


def on_stage(test: Callable[[Stage], Coroutine[Any, Any, None]], *, per_socket: int = 10) -> None:
    """Run a test with a new socket."""

    async def work() -> None:
        events.clear()
        # Documents are parsed in a thread, and then cached: no test waits for that thread.
        for document in (WORD, NUMBERS, SILENT, "{ broken }", "{ large }", "subscription { endless }"):
            await POLICY.schema.prepare(document)
        stage = Stage(per_socket=per_socket)
        await turns()
        await test(stage)
        if not stage.serving.done():
            await stage.disconnect()

    asyncio.run(work())


def test_operations_run_under_any_server() -> None:
    async def test(stage: Stage) -> None:
        await stage.initialize()
        assert await stage.subscribed("1", WORD) == [
            {"id": "1", "type": "next", "payload": {"data": {"word": "yes"}}},
            {"id": "1", "type": "complete"},
        ]
        assert await stage.subscribed("2", NUMBERS, to=2) == [
            {"id": "2", "type": "next", "payload": {"data": {"numbers": 0}}},
            {"id": "2", "type": "next", "payload": {"data": {"numbers": 1}}},
            {"id": "2", "type": "complete"},
        ]

    on_stage(test)


def test_an_error_of_the_whole_request_is_an_error_message_and_one_of_a_field_is_a_result() -> None:
    async def test(stage: Stage) -> None:
        await stage.initialize()
        (whole,) = await stage.subscribed("1", "{ large }")
        assert (whole["type"], whole["payload"][0]["extensions"]["code"]) == ("error", "QUERY_TOO_COMPLEX")
        of_a_field, completion = await stage.subscribed("2", "{ broken }")
        assert (of_a_field["type"], completion["type"]) == ("next", "complete")
        assert of_a_field["payload"]["data"] is None
        assert of_a_field["payload"]["errors"][0]["path"] == ["broken"]

    on_stage(test)


def test_a_duplicate_id_closes_the_socket_and_ends_the_operation_that_has_it() -> None:
    async def test(stage: Stage) -> None:
        await stage.initialize()
        await stage.subscribed("same", SILENT, length=1)
        assert await stage.subscribed("same", WORD) == []
        assert stage.closed == [(4409, "Subscriber for same already exists")]
        assert events == ["operation ended", "slot released"]
        stage.expect_end()

    on_stage(test)


def test_a_refused_subscription_is_not_executed() -> None:
    async def test(stage: Stage) -> None:
        await stage.initialize()
        await stage.subscribed("first", SILENT, length=1)
        (refusal,) = await stage.subscribed("second", WORD)
        assert (refusal["type"], refusal["payload"][0]["extensions"]["code"]) == ("error", "RATE_LIMITED")
        assert events == []
        stage.send("complete", id="first")
        assert [message["type"] for message in await stage.subscribed("third", WORD)] == ["next", "complete"]

    on_stage(test, per_socket=1)


def test_subscribing_before_the_initialization_closes_the_socket_without_an_error() -> None:
    async def test(stage: Stage) -> None:
        await stage.subscribed("early", WORD)
        assert stage.closed == [(4401, "Unauthorized")]
        assert stage.messages == []
        stage.expect_end()

    on_stage(test)


def test_a_second_initialization_closes_the_socket_without_an_error() -> None:
    async def test(stage: Stage) -> None:
        await stage.initialize()
        stage.send("connection_init")
        await turns()
        assert stage.closed == [(4429, "Too many initialisation requests")]
        assert stage.messages == []
        stage.expect_end()

    on_stage(test)


@pytest.mark.parametrize("refusal", [None, Unauthenticated()])
def test_a_sign_in_that_takes_too_long_closes_the_socket_once(refusal: Exception | None) -> None:
    async def test(stage: Stage) -> None:
        stage.signing_in.clear()
        stage.refusal = refusal
        stage.send("connection_init")
        await stage.advance(9.9)
        assert stage.closed == []
        await stage.advance(0.2)
        assert stage.closed == [(4408, "Connection initialisation timeout")]
        stage.signing_in.set()
        await turns()
        assert (len(stage.closed), stage.messages) == (1, [])
        stage.expect_end()

    on_stage(test)


@pytest.mark.parametrize(
    ("refusal", "closed"),
    [(Unauthenticated(), (4403, "Forbidden")), (Unavailable("a secret detail"), (1013, "Try again later"))],
)
def test_a_client_that_cannot_be_authenticated_is_told_why(refusal: Exception, closed: tuple[int, str]) -> None:
    async def test(stage: Stage) -> None:
        stage.refusal = refusal
        stage.send("connection_init")
        await turns()
        assert stage.closed == [closed]
        stage.expect_end()

    on_stage(test)


def test_operations_end_before_the_slot_of_their_socket_is_released() -> None:
    async def test(stage: Stage) -> None:
        await stage.initialize()
        await stage.subscribed("1", SILENT, length=1)
        await stage.disconnect()
        assert events == ["operation ended", "slot released"]

    on_stage(test)


def test_a_closed_socket_keeps_nothing_in_memory() -> None:
    async def test(stage: Stage) -> None:
        assert stage.context is not None
        context = weakref.ref(stage.context)
        await stage.initialize()
        await stage.subscribed("1", SILENT, length=1)
        await stage.disconnect()
        stage.context = None
        gc.collect()
        assert context() is None

    on_stage(test)


async def counted_by_another_task(count: Callable[[], int], until: int) -> list[int]:
    """Return what another task counts in each of its turns, from the first that is not 0 to that which is `until`."""
    counts = [0]
    while counts[-1] < until and len(counts) < TURNS:
        await asyncio.sleep(0)
        if number := count():
            counts.append(number)
    return counts[1:]


def test_other_tasks_run_after_each_message_of_a_client() -> None:
    async def test(stage: Stage) -> None:
        await stage.initialize()
        for _ in range(5):
            stage.send("ping")
        assert await counted_by_another_task(lambda: len(stage.messages), 5) == [1, 2, 3, 4, 5]

    on_stage(test)


def test_other_tasks_run_after_every_20_results_that_are_available() -> None:
    async def test(stage: Stage) -> None:
        await stage.initialize()
        stage.subscribe("1", NUMBERS, to=60)
        counts = await counted_by_another_task(lambda: len(stage.messages), 60)
        assert counts == [20, 40, 60]

    on_stage(test)


def test_an_idle_subscription_does_not_keep_its_last_result() -> None:
    length = 10_000_000

    async def test(stage: Stage) -> None:
        await stage.initialize()
        tracemalloc.start(1)
        try:
            stage.subscribe("1", SILENT, length=length)
            await turns()
            (result,) = stage.messages
            assert len(result["payload"]["data"]["silent"]) == length
            stage.messages.clear()
            del result
            gc.collect()
            assert tracemalloc.get_traced_memory()[0] < length
        finally:
            tracemalloc.stop()

    on_stage(test)


def test_a_socket_is_pinged_and_keeps_none_of_its_finished_tasks() -> None:
    async def test(stage: Stage) -> None:
        await stage.initialize()
        tasks = weakref.WeakSet[asyncio.Task[Any]]()

        def create(loop: asyncio.AbstractEventLoop, work: Any, **more: Any) -> asyncio.Task[Any]:
            task = asyncio.Task(work, loop=loop, **more)
            tasks.add(task)
            return task

        asyncio.get_running_loop().set_task_factory(cast("Any", create))
        for count in range(3):
            await stage.advance(14.9)
            assert len(stage.messages) == count
            await stage.advance(0.2)
            assert stage.messages == [{"type": "ping"}] * (count + 1)
        gc.collect()
        assert len(tasks) == 0

    on_stage(test)


def test_a_client_that_cannot_be_pinged_is_not_pinged_again() -> None:
    async def test(stage: Stage) -> None:
        await stage.initialize()
        stage.is_lost = True
        await stage.advance(15.1)
        stage.is_lost = False
        await stage.advance(15.1)
        assert stage.messages == []
        await stage.disconnect()

    on_stage(test)


def test_a_client_that_does_not_read_its_ping_is_disconnected_and_not_pinged_again() -> None:
    async def test(stage: Stage) -> None:
        await stage.initialize()
        stage.stuck = {"websocket.send"}
        await stage.advance(15.1)
        await stage.advance(29.8)
        assert stage.closed == []
        await stage.advance(0.3)
        assert stage.closed == [(1013, "The client read nothing for too long")]
        stage.stuck.clear()
        await stage.advance(15.1)
        assert stage.messages == []

    on_stage(test)


def test_a_socket_whose_client_reads_nothing_ends_even_if_it_cannot_be_closed() -> None:
    async def test(stage: Stage) -> None:
        await stage.initialize()
        stage.stuck = {"websocket.send", "websocket.close"}
        stage.send("ping")
        await turns()
        await stage.advance(30.1)
        await stage.advance(0.8)
        assert not stage.serving.done()
        await stage.advance(0.2)
        stage.expect_end()
        assert events == ["slot released"]

    on_stage(test)


def test_a_subscription_ends_as_soon_as_its_socket_is_lost() -> None:
    async def test(stage: Stage) -> None:
        await stage.initialize()
        stage.lost_after = 41
        assert len(await stage.subscribed("1", "subscription { endless }")) == stage.lost_after
        assert events == ["operation ended"]
        await stage.disconnect()

    on_stage(test)


@pytest.mark.parametrize("messages", [1, 2])
def test_a_socket_that_is_lost_during_an_operation_ends_without_an_error(messages: int) -> None:
    async def test(stage: Stage) -> None:
        await stage.initialize()
        stage.lost_after = messages
        assert len(await stage.subscribed("1", WORD)) == messages
        stage.send("ping")
        await turns()
        stage.expect_end()

    on_stage(test)
