"""Indexes that a migration adds to existing tables of PostgreSQL."""

import asyncio
import functools
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest
from client import wait_until
from running import execute
from servers import Servers

from tertulia.db.migrate import migrate

PREVIOUS = "0033"
INDEX = "messages_by_depth"
BUILDS = "SELECT 1 FROM pg_stat_progress_create_index"
IS_VALID = f"SELECT indisvalid FROM pg_index WHERE indexrelid = '{INDEX}'::regclass"
USER, CONVERSATION = (f"00000000-0000-0000-0000-00000000000{number}" for number in (1, 2))
ADD_MESSAGE = f"""INSERT INTO messages (id, conversation_id, role, depth, content, created_at)
VALUES (gen_random_uuid(), '{CONVERSATION}', 'user', 0, '[]', now())"""
ROWS = f"""INSERT INTO users (id, name, created_at) VALUES ('{USER}', 'ada', now());
INSERT INTO conversations (id, owner_id, model, archived, pinned, temporary, options, tools,
  input_tokens, output_tokens, cache_read_tokens, cache_write_tokens, created_at, updated_at)
VALUES ('{CONVERSATION}', '{USER}', 'claude-opus-5-5', false, false, false, '{{}}', '{{}}', 0, 0, 0, 0, now(), now())"""
SECONDS = 20

pytestmark = pytest.mark.joined


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(**arguments: Any) -> None:
        asyncio.run(asyncio.wait_for(test(**arguments), SECONDS))

    return run


@pytest.fixture
def address(servers: Servers) -> str:
    """An empty database of PostgreSQL."""
    return str(servers.empty()["database_url"])


def place(address: str) -> dict[str, Any]:
    return {"database_url": address.replace("postgresql://", "postgresql+asyncpg://")}


def migrating(address: str, revision: str = "head") -> Coroutine[Any, Any, None]:
    return migrate(place(address)["database_url"], revision)


@asynccontextmanager
async def connected(address: str) -> AsyncGenerator[Any]:
    connection: Any = await asyncpg.connect(address)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def previous_release(address: str) -> AsyncGenerator[Any]:
    """Connect to a database with the schema of the previous release, and with a conversation."""
    await migrating(address, PREVIOUS)
    async with connected(address) as connection:
        await connection.execute(ROWS)
        yield connection


@in_loop
async def test_the_previous_release_writes_while_an_index_is_built(address: str) -> None:
    async with previous_release(address) as writer, connected(address) as other:
        async with writer.transaction():
            await writer.execute(ADD_MESSAGE)
            build = asyncio.create_task(migrating(address))
            # The build has begun, and waits for the writer's transaction.
            await asyncio.to_thread(wait_until, lambda: execute(place(address), BUILDS), "the build")
            await other.execute("SET lock_timeout = '2s'")
            await other.execute(ADD_MESSAGE)
            assert not build.done()
        await build
        assert await other.fetchval(IS_VALID) is True


@in_loop
async def test_an_index_that_a_killed_process_left_incomplete_is_built_again(address: str) -> None:
    async with previous_release(address) as connection:
        await connection.execute(f"CREATE INDEX {INDEX} ON messages (depth)")
        await connection.execute(f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{INDEX}'::regclass")
        await migrating(address)
        assert await connection.fetchval(IS_VALID) is True
        definition = await connection.fetchval(f"SELECT pg_get_indexdef('{INDEX}'::regclass)")
        assert definition.endswith("(conversation_id, depth, id)")


@in_loop
async def test_several_processes_build_the_indexes_once(address: str) -> None:
    async with previous_release(address) as connection:
        await asyncio.gather(*(migrating(address) for _ in range(4)))
        assert await connection.fetchval(IS_VALID) is True
