"""Parts of branches: the same messages as in the whole branch, and the same work however long the branch is."""

import random
import sqlite3
from collections.abc import Sequence
from typing import Any, Self
from uuid import UUID

import pytest
from rows import Rows, rolled_back
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from tertulia.db import branches, messages
from tertulia.db.paging import Page, encode_cursor
from tertulia.db.prompt_branches import BranchReader
from tertulia.db.tables import METADATA, Message, Role, new_id
from tertulia.json import Json

SIZES = (0, 1, 3, 100)


async def tree(rows: Rows, parents: Sequence[int | None], conversation: UUID | None = None) -> list[UUID]:
    """Insert messages whose parents are earlier ones by their number; return their ids in order."""
    conversation = conversation or await rows.conversation()
    ids: list[UUID] = []
    depths: list[int] = []
    values: list[Json] = []
    for parent in parents:
        depths.append(0 if parent is None else depths[parent] + 1)
        ids.append(new_id())
        message = Message(
            id=ids[-1],
            conversation_id=conversation,
            parent_id=None if parent is None else ids[parent],
            role=Role.USER,
            depth=depths[-1],
            content=[{"type": "text", "text": f"{len(ids)}"}],
        )
        values.append(message.model_dump())
    connection = await rows.session.connection()
    await connection.execute(insert(METADATA.tables["messages"]), values)
    return ids


def chain(length: int) -> list[int | None]:
    return [None, *range(length - 1)]


def random_tree(seed: int) -> list[int | None]:
    """Return a tree with parts in which each message has versions, and parts in which none has."""
    chosen = random.Random(seed)
    parents: list[int | None] = [None]
    while len(parents) < 40:
        parents.append(chosen.choice([len(parents) - 1, len(parents) - 1, None, chosen.randrange(len(parents))]))
    return parents


def pages(length: int) -> list[Page]:
    """Return pages in both directions, from the ends of a list and from cursors in it and beyond it."""
    depths = (None, 0, length // 2, length - 1, length + 5)
    cursors = [None if depth is None else encode_cursor(str(depth)) for depth in depths]
    sizes: list[Json] = [{"first": size} for size in SIZES] + [{"last": size} for size in SIZES]
    return [Page(after=after, before=before, **size) for after in cursors for before in cursors for size in sizes]


def expected(path: list[UUID], page: Page) -> tuple[list[UUID], bool]:
    """Return the ids of a page of a whole branch, and whether there are more in its direction."""
    depths = {encode_cursor(str(depth)): depth for depth in range(len(path) + 10)}
    low = 0 if page.after is None else depths[page.after] + 1
    high = len(path) if page.before is None else depths[page.before]
    between = path[low:high]
    shown = between[len(between) - min(page.size, len(between)) :] if page.backward else between[: page.size]
    return shown, len(between) > page.size


@pytest.fixture(scope="module")
def url(setup: str, request: pytest.FixtureRequest) -> str | None:
    """The address of a migrated database; None for the SQLite file of the process."""
    if not setup.startswith("postgresql"):
        return None
    settings: Json = request.getfixturevalue("servers").settings()
    return str(settings["database_url"]).replace("postgresql:", "postgresql+asyncpg:", 1)


@pytest.mark.both
@pytest.mark.parametrize("seed", range(6))
def test_a_page_is_the_part_of_the_whole_branch_in_any_tree(url: str | None, seed: int) -> None:
    async def test(rows: Rows) -> None:
        owner = await rows.user()
        ids = await tree(rows, random_tree(seed))
        for leaf in (ids[-1], ids[20]):
            path = [message.id for message in await messages.branch(rows.session, leaf)]
            for page in pages(len(path)):
                connection = await branches.page(rows.session, owner, leaf, page)
                info = connection.page_info
                has_more = info.has_previous_page if page.backward else info.has_next_page
                assert ([edge.node.id for edge in connection.edges], has_more) == expected(path, page), (leaf, page)
            on_branch = [id for id in ids if await branches.on_branch(rows.session, leaf, id)]
            assert sorted(on_branch) == sorted(path)

    rolled_back(test, url)


@pytest.mark.both
@pytest.mark.parametrize("seed", range(6))
def test_versions_and_prompts_of_any_tree_follow_its_parents(url: str | None, seed: int) -> None:
    async def test(rows: Rows) -> None:
        owner, other = await rows.user(), await rows.user("eve")
        parents = random_tree(seed)
        ids = await tree(rows, parents)
        # Another conversation with the same depths.
        foreign = await tree(rows, parents, await rows.conversation(other))
        versions = await messages.versions(rows.session, owner, [*ids, *foreign])
        assert {id: [row.id for row in rows] for id, rows in versions.items()} == {
            id: [ids[other] for other, parent in enumerate(parents) if parent == parents[number]]
            for number, id in enumerate(ids)
            if parents.count(parents[number]) > 1
        }
        prompt = await BranchReader().read(rows.session, ids[-1])
        assert [entry.message.id for entry in prompt] == [
            row.id for row in await messages.branch(rows.session, ids[-1])
        ]
        assert (await branches.page(rows.session, owner, foreign[-1], Page(last=100))).edges == []

    rolled_back(test, url)


class Steps:
    """Counts the instructions of SQLite's virtual machine."""

    def __init__(self, connection: AsyncConnection) -> None:
        raw: Any = connection.sync_connection
        self._driver: sqlite3.Connection = raw.connection.driver_connection._conn
        self.count = 0

    def __enter__(self) -> Self:
        self._driver.set_progress_handler(self._step, 1)
        return self

    def __exit__(self, *_error: object) -> None:
        self._driver.set_progress_handler(None, 1)

    def _step(self) -> int:
        self.count += 1
        return 0


@pytest.mark.parametrize(
    "page",
    [
        Page(last=20),
        Page(first=20),
        Page(last=20, before=encode_cursor("60")),
        Page(first=20, after=encode_cursor("10")),
    ],
    ids=["last", "first", "before", "after"],
)
def test_a_page_costs_the_same_in_a_long_branch(page: Page) -> None:
    async def test(rows: Rows) -> None:
        owner, counts = await rows.user(), list[int]()
        for length in (100, 3000):
            ids = await tree(rows, chain(length))
            await branches.page(rows.session, owner, ids[-1], page)
            with Steps(await rows.session.connection()) as steps:
                assert len((await branches.page(rows.session, owner, ids[-1], page)).edges) == 20
            counts.append(steps.count)
        assert counts[1] == counts[0]

    rolled_back(test)
