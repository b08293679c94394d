"""Read snapshots of the database: how many are open at once, and which connections remain for writes."""

import asyncio

import pytest
from client import WAIT, Json
from conftest import EMBEDDED
from running import prepare_database

from tertulia.db import accounts
from tertulia.db.database import LEFT_FOR_OTHERS, Database

pytestmark = pytest.mark.both


def test_open_read_snapshots_leave_connections_for_writes(place: Json, setup: str) -> None:
    url = str(place["database_url"]).replace("postgresql://", "postgresql+asyncpg://")
    if setup == EMBEDDED:
        prepare_database(url)

    async def work() -> None:
        database = Database(url)
        most = database.connections[1] - LEFT_FOR_OTHERS
        opened, release, all_open = list[int](), asyncio.Event(), asyncio.Event()

        async def query(number: int) -> None:
            async with database.read_snapshot() as snapshot, snapshot.read() as session:
                await session.connection()
                opened.append(number)
                if len(opened) == most:
                    all_open.set()
                await release.wait()

        queries = [asyncio.create_task(query(number)) for number in range(most + 3)]
        await all_open.wait()
        async with database.write() as session:
            await accounts.get_or_create(session, "ada")
        assert (len(opened), database.connections[0]) == (most, most)
        release.set()
        await asyncio.gather(*queries)
        assert len(opened) == most + 3
        await database.close()

    async def bounded() -> None:
        async with asyncio.timeout(WAIT):
            await work()

    asyncio.run(bounded())
