"""Sockets that wait: what they keep in memory, and what it costs to open many of them at once."""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from types import CoroutineType
from typing import Any, cast
from uuid import UUID

import pytest
from client import WAIT, Api, raw_socket
from conftest import Staged
from rows import Rows, rolled_back
from scripted import Gate, says

from tertulia.db import generations, read_limit
from tertulia.db.database import AsyncSession
from tertulia.db.tables import Generation, Message, Role
from tertulia.resolvers import followed_rows
from tertulia.resolvers.followed_rows import FollowedRows
from tertulia.server.http import websocket
from tertulia.server.runtime.socket_protocol import MessageQueue, WritableFlag

FOLLOW = """subscription ($id: ID!) { generationEvents(generationId: $id) {
  __typename ... on MessageSnapshot { message { text } } } }"""
SOCKETS = 10


def counted() -> Counter[type[Any]]:
    """Return the number of objects of each class that are in memory."""
    return Counter(map(type, gc.get_objects()))


@contextmanager
def following(api: Api, generation: str) -> Generator[None]:
    with api.socket() as socket:
        socket.subscribe(FOLLOW, {"id": generation})
        assert socket.receive()["payload"]["data"]["generationEvents"]["__typename"] == "MessageSnapshot"
        yield


def test_an_idle_subscription_keeps_no_rows_and_few_coroutines(staged: Staged) -> None:
    gate = Gate()
    api = staged(says("Wait", gate)).api
    generation = api.send("Hello")["generation"]["id"]
    with following(api, generation):
        assert gate.reached.wait(WAIT)
        before = counted()
        with ExitStack() as stack:
            for _ in range(SOCKETS):
                stack.enter_context(following(api, generation))
            gc.collect()
            after = counted()
    gate.open.set()
    # Of middleware and routers, none remain.
    assert after[CoroutineType] - before[CoroutineType] <= 16 * SOCKETS
    assert after[Generation] + after[Message] <= before[Generation] + before[Message] + SOCKETS // 2


def test_a_failing_operation_ends_with_an_error_that_has_a_trace_id(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise LookupError("a secret detail")

    with api.socket() as socket:
        with monkeypatch.context() as patch:
            patch.setattr(websocket, "is_subscription", fail)
            socket.subscribe("{ viewer { name } }", {}, id="1")
            message = socket.receive()
        assert (message["id"], message["type"]) == ("1", "error")
        extensions = message["payload"][0]["extensions"]
        assert (extensions["code"], len(extensions["traceId"])) == ("INTERNAL_SERVER_ERROR", 32)
        assert "secret" not in str(message)
        # The id can be used again.
        socket.subscribe("{ viewer { name } }", {}, id="1")
        assert socket.receive()["type"] == "next"


def test_a_socket_that_closes_before_its_initialization_does_not_affect_others(api: Api) -> None:
    with raw_socket(api.address) as connection:
        connection.close()
    with raw_socket(api.address) as connection:
        connection.send('{"type": "connection_init"}')
        assert "connection_ack" in str(connection.recv(timeout=WAIT))


@pytest.mark.anyio
async def test_the_queue_of_a_socket_keeps_the_order_of_messages() -> None:
    queue = MessageQueue()
    reading = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    for number in range(3):
        queue.put_nowait(number)
    assert [await reading, await queue.get(), await queue.get()] == [0, 1, 2]
    assert queue.empty()
    cancelled = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    queue.put_nowait(3)
    assert await queue.get() == 3


@pytest.mark.anyio
async def test_all_tasks_that_wait_for_a_writable_socket_continue() -> None:
    writable = WritableFlag()
    await writable.wait()
    writable.clear()
    writable.clear()
    waiting = [asyncio.create_task(writable.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    assert not writable.is_set()
    assert not any(task.done() for task in waiting)
    writable.set()
    await asyncio.gather(*waiting)
    assert writable.is_set()


class CountedReads:
    """A database whose reads are those of one session, and are counted."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session
        self.reads = 0

    @asynccontextmanager
    async def read(self) -> AsyncGenerator[AsyncSession]:
        self.reads += 1
        yield self.session


async def answer_of(rows: Rows, owner: UUID) -> UUID:
    conversation = await rows.conversation(owner)
    return await rows.generation(conversation, await rows.message(conversation, role=Role.ASSISTANT, depth=1))


def test_followers_that_begin_together_share_a_transaction_and_read_only_their_own_rows() -> None:
    async def test(rows: Rows) -> None:
        ada, bob = await rows.user(), await rows.user("bob")
        hers, his = await answer_of(rows, ada), await answer_of(rows, bob)
        database = CountedReads(rows.session)
        followed = FollowedRows(cast("Any", database))
        keys = [(ada, hers), (ada, hers), (bob, his), (ada, his), (bob, hers)]
        found = await asyncio.gather(*(followed.read(*key) for key in keys))
        assert [row and row[0].id for row in found] == [hers, hers, his, None, None]
        assert database.reads == 1
        assert await followed.read(bob, his) is not None
        assert database.reads == 2

    rolled_back(test)


def test_a_row_that_cannot_be_read_affects_only_its_followers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(rows: Rows) -> None:
        ada, bob = await rows.user(), await rows.user("bob")
        hers, his = await answer_of(rows, ada), await answer_of(rows, bob)
        read = generations.with_answers

        async def broken(session: AsyncSession, owner: UUID, ids: Sequence[UUID]) -> Any:
            if his in ids:
                raise LookupError("a broken row")
            return await read(session, owner, ids)

        monkeypatch.setattr(generations, "with_answers", broken)
        followed = FollowedRows(cast("Any", CountedReads(rows.session)))
        results = await asyncio.gather(followed.read(ada, hers), followed.read(bob, his), return_exceptions=True)
        assert isinstance(results[0], tuple)
        assert isinstance(results[1], LookupError)

    rolled_back(test)


def test_many_followers_that_begin_together_share_few_transactions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(followed_rows, "READ_AT_ONCE", 2)

    async def test(rows: Rows) -> None:
        ada = await rows.user()
        ids = [await answer_of(rows, ada) for _ in range(5)]
        database = CountedReads(rows.session)
        followed = FollowedRows(cast("Any", database))
        waiting = [asyncio.create_task(followed.read(ada, id)) for id in ids]
        await asyncio.sleep(0)
        waiting[1].cancel()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(found.pop(1), asyncio.CancelledError)
        assert [isinstance(row, tuple) and row[0].id for row in found] == [ids[0], *ids[2:]]
        assert database.reads == 3

    rolled_back(test)


def test_an_unavailable_database_is_asked_once_for_all_followers(monkeypatch: pytest.MonkeyPatch) -> None:
    async def unavailable(*_arguments: object) -> Any:
        raise OSError("no connection")

    async def test(rows: Rows) -> None:
        database = CountedReads(rows.session)
        followed = FollowedRows(cast("Any", database))
        with monkeypatch.context() as patch:
            patch.setattr(generations, "with_answers", unavailable)
            reads = (followed.read(UUID(int=number), UUID(int=1)) for number in range(3))
            found = await asyncio.gather(*reads, return_exceptions=True)
        assert [type(error) for error in found] == [OSError] * 3
        assert database.reads == 1
        assert await followed.read(UUID(int=1), UUID(int=1)) is None

    rolled_back(test)


def test_followers_do_not_wait_for_a_transaction_that_was_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    async def cancelled(*_arguments: object) -> Any:
        raise asyncio.CancelledError

    monkeypatch.setattr(generations, "with_answers", cancelled)
    monkeypatch.setattr(followed_rows, "READ_AT_ONCE", 2)

    async def test(rows: Rows) -> None:
        followed = FollowedRows(cast("Any", CountedReads(rows.session)))
        waiting = [asyncio.create_task(followed.read(UUID(int=1), UUID(int=number))) for number in range(3)]
        await asyncio.wait(waiting, timeout=WAIT)
        assert all(task.cancelled() for task in waiting)

    rolled_back(test)


def test_a_reader_with_a_limit_does_not_limit_the_followers_that_read_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_limit, "MAX_CHARACTERS", 30)

    async def test(rows: Rows) -> None:
        ada, bob = await rows.user(), await rows.user("bob")
        hers, his = await answer_of(rows, ada), await answer_of(rows, bob)
        followed = FollowedRows(cast("Any", CountedReads(rows.session)))

        async def limited() -> object:
            with read_limit.read_limit():
                return await followed.read(ada, hers)

        results = await asyncio.gather(limited(), followed.read(bob, his), return_exceptions=True)
        assert isinstance(results[1], tuple)

    rolled_back(test)
