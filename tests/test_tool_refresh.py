"""Refreshes of tokens by several processes that share a database."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
from running import prepare_database
from sqlalchemy.exc import OperationalError
from test_tool_authorization import URL, server_at

from tertulia.db import accounts
from tertulia.db import tool_connections as rows
from tertulia.db.database import Database
from tertulia.db.tables import User
from tertulia.db.tool_connections import ToolConnection
from tertulia.tools.mcp.config import HttpServer
from tertulia.tools.mcp.oauth import connections
from tertulia.tools.mcp.oauth.connections import Access, ConnectionKey, NotConnectedError, UserConnections
from tertulia.tools.mcp.oauth.encryption import Encryption
from tertulia.tools.mcp.oauth.grants import Client, Grant
from tertulia.tools.mcp.oauth.requests import AuthorizationError
from tertulia.tools.mcp.oauth.sessions import storable
from tertulia.tools.mcp.results import ListedTool

ENCRYPTION = Encryption(["a key of the tests" * 2])


class TokenEndpoint:
    """A token endpoint whose responses a test releases. A refresh token works once."""

    def __init__(self) -> None:
        self.requests = 0
        self.arrived = asyncio.Event()
        self.released = asyncio.Event()
        self.status = 200
        self.valid = "refresh-0"

    async def respond(self, request: httpx2.Request) -> httpx2.Response:
        self.requests += 1
        self.arrived.set()
        await self.released.wait()
        if self.status != 200:
            return httpx2.Response(self.status)
        if f"refresh_token={self.valid}" not in request.content.decode():
            return httpx2.Response(400, json={"error": "invalid_grant"})
        self.valid = f"refresh-{self.requests}"
        return httpx2.Response(200, json={"access_token": f"access-{self.requests}", "refresh_token": self.valid})


class Replicas:
    """Two processes that share a database, and the connection of a user."""

    def __init__(
        self, database: Database, endpoint: TokenEndpoint, owner: UUID, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.key = ConnectionKey(owner, "notes")
        self.database = database
        self.endpoint = endpoint
        self.both = [
            UserConnections(database, ENCRYPTION, {"notes": HttpServer(url=URL, auth="oauth")}) for _ in range(2)
        ]
        client = httpx2.AsyncClient(transport=httpx2.MockTransport(endpoint.respond))
        for replica in self.both:
            monkeypatch.setattr(replica, "_client", client)


@asynccontextmanager
async def replicas(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[Replicas]:
    monkeypatch.setattr(connections, "POLL_SECONDS", 0.01)
    url = f"sqlite+aiosqlite:///{folder / 'tertulia.db'}"
    await asyncio.to_thread(prepare_database, url)
    database = Database(url)
    user = User(name="ada")
    async with database.write() as session:
        await accounts.add(session, user)
        grant = Grant(
            url=URL, at=server_at(), client=Client(id="c"), access_token="access-0", refresh_token="refresh-0"
        )
        sealed = ENCRYPTION.encrypt(grant, f"connection {user.id} notes")
        await rows.replace(session, ToolConnection(owner_id=user.id, server="notes", secrets=sealed))
    started = Replicas(database, TokenEndpoint(), user.id, monkeypatch)
    try:
        yield started
    finally:
        for replica in started.both:
            await replica.close()
        await database.close()


def test_processes_and_calls_that_refresh_at_the_same_time_send_one_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        async with replicas(tmp_path, monkeypatch) as shared:
            old = await shared.both[0].access(shared.key)
            refreshes = [
                asyncio.create_task(replica.refresh(shared.key, old)) for replica in shared.both for _ in range(3)
            ]
            await shared.endpoint.arrived.wait()
            # The others look many times whether the tokens are new, and send nothing.
            await asyncio.wait(refreshes, timeout=0.2)
            assert shared.endpoint.requests == 1
            shared.endpoint.released.set()
            new: set[Access] = set(await asyncio.gather(*refreshes))
            assert [access.token for access in new] == ["access-1"]
            assert shared.endpoint.requests == 1
            assert await shared.both[1].access(shared.key) in new

    asyncio.run(work())


def test_a_refresh_that_failed_can_be_tried_again_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with replicas(tmp_path, monkeypatch) as shared:
            first, second = shared.both
            shared.endpoint.released.set()
            shared.endpoint.status = 503
            old = await first.access(shared.key)
            with pytest.raises(AuthorizationError):
                await first.refresh(shared.key, old)
            shared.endpoint.status = 200
            async with asyncio.timeout(connections.CLAIM_SECONDS / 2):
                assert (await second.refresh(shared.key, old)).token == "access-2"

    asyncio.run(work())


def test_a_cancelled_call_does_not_lose_the_new_tokens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with replicas(tmp_path, monkeypatch) as shared:
            first, second = shared.both
            old = await first.access(shared.key)
            call = asyncio.create_task(first.refresh(shared.key, old))
            await shared.endpoint.arrived.wait()
            call.cancel()
            shared.endpoint.released.set()
            assert (await second.refresh(shared.key, old)).token == "access-1"

    asyncio.run(work())


def test_a_connection_that_ends_during_its_refresh_stays_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with replicas(tmp_path, monkeypatch) as shared:
            first, second = shared.both
            old = await first.access(shared.key)
            call = asyncio.create_task(first.refresh(shared.key, old))
            await shared.endpoint.arrived.wait()
            assert await second.disconnect(shared.key)
            shared.endpoint.released.set()
            with pytest.raises(NotConnectedError):
                await call
            with pytest.raises(NotConnectedError):
                await first.access(shared.key)

    asyncio.run(work())


def test_new_tokens_are_stored_after_the_database_was_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [OperationalError("UPDATE", {}, Exception("lost")) for _ in range(2)]
    change = rows.change

    async def failing(*arguments: Any) -> bool:
        if failures:
            raise failures.pop()
        return await change(*arguments)

    async def check() -> None:
        async with replicas(tmp_path, monkeypatch) as shared:
            shared.endpoint.released.set()
            old = await shared.both[0].access(shared.key)
            monkeypatch.setattr(rows, "change", failing)
            assert (await shared.both[0].refresh(shared.key, old)).token == "access-1"
            assert (await shared.both[1].access(shared.key)).token == "access-1"

    asyncio.run(check())


def test_a_callback_with_an_unknown_state_does_not_wait_for_writers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check() -> None:
        async with replicas(tmp_path, monkeypatch) as shared, shared.database.write(), asyncio.timeout(5):
            assert await shared.both[0].receive("unknown", "code", None) is None

    asyncio.run(check())


def test_a_server_cannot_fill_the_database_with_scopes_or_tools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check() -> None:
        async with replicas(tmp_path, monkeypatch) as shared:
            users, key = shared.both[0], shared.key
            for number in range(5):
                await users.require_scope(key, f"{number}" * 1_000)
            row = await users.get(key)
            assert row is not None
            assert row.missing_scope == "0" * 1_000

    asyncio.run(check())
    tool = ListedTool("read", "x" * 10_000, {"type": "object"})
    assert 100 < len(storable([tool] * 1_000)) < 500
    assert [stored["name"] for stored in storable([ListedTool("\ud800", "", {}), tool])] == ["read"]
