"""The search index: what is indexed of a message, how the index is rebuilt, and how results are ordered and paged."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from client import Json
from rows import Rows, rolled_back, with_database
from sqlalchemy import text
from sqlmodel import select

from tertulia import failpoints
from tertulia.db import search
from tertulia.db.database import Database
from tertulia.db.paging import MAX_PAGE, Page, PageError, connect, decode_cursor, encode_cursor
from tertulia.db.search import SearchRebuild, cursor, find, insertion, rebuild
from tertulia.db.tables import Role, Status
from tertulia.db.words import VERSION, Term

OWNER, ID = UUID(int=10), UUID(int=20)


def texts(*texts: str) -> list[Json]:
    return [{"type": "text", "text": text} for text in texts]


def words(dialect: str, *blocks: Json) -> str:
    """Return what is stored of one message's words."""
    _, rows = insertion(dialect, [(OWNER, ID, blocks)])
    return str(rows[0]["words"]) if rows else ""


def test_the_words_of_all_texts_are_indexed_and_those_of_other_blocks_are_not() -> None:
    blocks: list[Json] = [
        *texts("One two"),
        {"type": "thinking", "thinking": "no", "text": "no"},
        *texts("three"),
        {"type": "text"},
    ]
    assert words("sqlite", *blocks) == "one two three"
    assert insertion("sqlite", [(OWNER, ID, texts("..."))])[1] == []
    (row,) = insertion("sqlite", [(OWNER, ID, texts("Hi"))])[1]
    assert row == {"id": ID.hex, "owner": OWNER.hex, "words": "hi"}
    (row,) = insertion("postgresql", [(OWNER, ID, texts("Hi"))])[1]
    assert row["id"] == str(ID)


def test_a_vector_has_the_position_of_each_word_and_the_owner_without_one() -> None:
    assert words("postgresql", *texts("a b a")) == f"'@{OWNER.hex}' 'a':1,3 'b':2"


def test_a_vector_has_as_many_positions_and_bytes_as_postgresql_accepts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "MAX_POSITIONS", 2)
    assert words("postgresql", *texts("a a a b")) == f"'@{OWNER.hex}' 'a':1,2 'b':4"
    # A new word takes its bytes and 8 more, a further position takes 2.
    for size, expected in (
        (8, ""),
        (9, " 'a':1"),
        (11, " 'a':1,2"),
        (19, " 'a':1,2"),
        (20, " 'a':1,2"),
        (21, " 'a':1,2 'ж':3"),
    ):
        monkeypatch.setattr(search, "MAX_BYTES", size)
        assert words("postgresql", *texts("a a ж")) == f"'@{OWNER.hex}'{expected}"
    monkeypatch.undo()
    assert search.MAX_BYTES < 2**20
    assert words("postgresql", *texts("a " * 20_000 + "b")).endswith(",250 'b':16383")


def test_a_million_characters_of_a_message_are_indexed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert search.MAX_CHARACTERS == 1_000_000
    monkeypatch.setattr(search, "MAX_CHARACTERS", 6)
    assert words("sqlite", *texts("one", "two", "three")) == "one two"
    assert words("sqlite", *texts("one", "twotwo", "three")) == "one two"
    assert words("sqlite", *texts("sevenxx")) == "sevenx"


async def found(rows: Rows, owner: UUID, *terms: Term, page: Page | None = None) -> list[UUID]:
    return [message.id for message, _ in await find(rows.session, owner, terms, page or Page())]


async def indexed(rows: Rows, conversation_id: UUID, owner: UUID, content: str) -> UUID:
    id = await rows.message(conversation_id, content=texts(content))
    await search.add(rows.session, (owner, id, texts(content)))
    return id


def test_words_phrases_and_beginnings_of_words_of_the_owner_are_found() -> None:
    async def test(rows: Rows) -> None:
        ada, bob = await rows.user("ada"), await rows.user("bob")
        conversation_id = await rows.conversation(ada)
        first = await indexed(rows, conversation_id, ada, "The red house")
        await indexed(rows, await rows.conversation(bob), bob, "The red house")
        long = await indexed(rows, conversation_id, ada, "red " + "word " * 2_000)
        assert await found(rows, ada, Term(("house",))) == [first]
        assert set(await found(rows, ada, Term(("red",)))) == {first, long}
        assert await found(rows, ada, Term(("red", "house"))) == [first]
        assert await found(rows, ada, Term(("house", "red"))) == []
        assert await found(rows, ada, Term(("hou",))) == []
        assert await found(rows, ada, Term(("hou",), prefix=True)) == [first]
        assert await found(rows, ada, Term(("red",)), Term(("house",))) == [first]

    rolled_back(test)


def test_pages_of_results_begin_with_the_best_and_follow_their_cursors() -> None:
    async def test(rows: Rows) -> None:
        owner = await rows.user()
        conversation_id = await rows.conversation(owner)
        for filler in range(5):
            await indexed(rows, conversation_id, owner, "red " + "word " * (3 * filler))
        results = await find(rows.session, owner, [Term(("red",))], Page())
        assert [score for _, score in results] == sorted((score for _, score in results), reverse=True)
        order = [message.id for message, _ in results]
        second = cursor(*results[1])

        async def page(page: Page) -> list[UUID]:
            return await found(rows, owner, Term(("red",)), page=page)

        assert await page(Page(first=2)) == order[:3]
        assert await page(Page(after=second)) == order[2:]
        assert await page(Page(first=1, after=second)) == order[2:4]
        assert await page(Page(before=second)) == order[:1]
        assert await page(Page(last=2)) == order[:1:-1]
        assert await page(Page(last=9, after=second)) == order[:1:-1]

    rolled_back(test)


def test_only_the_newest_1000_matches_are_ranked() -> None:
    async def test(rows: Rows) -> None:
        owner = await rows.user()
        best = await indexed(rows, await rows.conversation(owner), owner, "red")
        # The index has no foreign keys on SQLite, so the other messages need no rows. They are not returned.
        await search.add(rows.session, *[(owner, uuid4(), texts("red word")) for _ in range(999)])
        assert await found(rows, owner, Term(("red",))) == [best]
        await search.add(rows.session, (owner, uuid4(), texts("red word")))
        assert await found(rows, owner, Term(("red",))) == []

    rolled_back(test)


@pytest.mark.parametrize("parts", [("x", str(ID)), ("1.0", "x"), ("1.0",), ("1.0", str(ID), "x")])
def test_a_cursor_of_another_list_is_refused(parts: tuple[str, ...]) -> None:
    async def test(rows: Rows) -> None:
        for argument in ("after", "before"):
            page = Page(after=encode_cursor(*parts)) if argument == "after" else Page(before=encode_cursor(*parts))
            with pytest.raises(PageError) as raised:
                await found(rows, OWNER, Term(("red",)), page=page)
            assert raised.value.argument == argument

    rolled_back(test)


def run(folder: Path, test: Callable[[Database], Awaitable[None]]) -> None:
    with_database(folder, test)


async def entries(database: Database) -> dict[str, str]:
    """Return the indexed words by the message's id."""
    async with database.read() as session:
        connection = await session.connection()
        return {row[0]: row[1] for row in await connection.execute(text("SELECT id, words FROM message_words"))}


async def progress(database: Database) -> tuple[UUID | None, bool] | None:
    async with database.read() as session:
        row = (await session.exec(select(SearchRebuild).where(SearchRebuild.version == VERSION))).one_or_none()
    return None if row is None else (row.after, row.finished)


def test_a_new_database_has_nothing_to_index(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        assert await search._rebuild_some(database) is False
        assert await progress(database) is None

    run(tmp_path, test)


def test_finished_messages_are_indexed_again_a_few_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(search, "asyncio", SimpleNamespace(sleep=sleep))
    monkeypatch.setattr(search, "_FINISHED", search._FINISHED.limit(2))

    async def test(database: Database) -> None:
        async with database.write() as session:
            rows = Rows(session)
            owner = await rows.user()
            conversation_id = await rows.conversation(owner)
            ids = [await rows.message(conversation_id, content=texts(f"text {number}")) for number in range(3)]
            silent = await rows.message(conversation_id, content=texts("..."))
            running, answer = [
                await rows.message(conversation_id, role=Role.ASSISTANT, content=texts(name))
                for name in ("running", "done")
            ]
            await rows.generation(conversation_id, running)
            await rows.generation(conversation_id, answer, status=Status.COMPLETED)
            await rows.message(await rows.conversation(owner, temporary=True))
            connection = await session.connection()
            for id in (ids[0], silent):
                stale = text("INSERT INTO message_words (id, owner, words) VALUES (:id, :owner, 'stale')")
                await connection.execute(stale, {"id": id.hex, "owner": owner.hex})
        assert await search._rebuild_some(database) is True
        assert await progress(database) == (ids[1], False)
        await rebuild(database)
        indexed = await entries(database)
        assert indexed == {
            **{id.hex: f"text {number}" for number, id in enumerate(ids)}, answer.hex: "done",
        }  # fmt: skip
        assert await progress(database) == (answer, True)
        assert pauses == [0.1] * 4
        assert await search._rebuild_some(database) is False

    run(tmp_path, test)


def test_a_message_that_cannot_be_indexed_costs_only_itself(tmp_path: Path) -> None:
    async def test(database: Database) -> None:
        async with database.write() as session:
            rows = Rows(session)
            ids = [await rows.message(await rows.conversation(), content=texts("text")) for _ in range(2)]

        def fail(item: object) -> None:
            if item == ids[0]:
                raise RuntimeError

        with failpoints.armed("search.rebuild", fail):
            assert await search._rebuild_some(database) is True
        assert set(await entries(database)) == {ids[1].hex}
        assert await progress(database) == (ids[1], False)
        assert await search._rebuild_some(database) is True
        assert await progress(database) == (ids[1], True)

    run(tmp_path, test)


def test_a_message_that_the_database_does_not_index_keeps_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(database: Database) -> None:
        async with database.write() as session:
            rows = Rows(session)
            owner = await rows.user()
            ids = [await indexed(rows, await rows.conversation(owner), owner, "old") for _ in range(2)]

        def values(_dialect: str, _rows: object) -> dict[UUID, list[Json]]:
            return {ids[0]: [{"id": "incomplete"}], ids[1]: []}

        monkeypatch.setattr(search, "_values", values)
        assert await search._rebuild_some(database) is True
        assert set(await entries(database)) == {ids[0].hex}
        assert await progress(database) == (ids[1], False)

    run(tmp_path, test)


def test_what_another_replica_has_indexed_meanwhile_is_not_indexed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(database: Database) -> None:
        async with database.write() as session:
            rows = Rows(session)
            id = await rows.message(await rows.conversation(), content=texts("text"))
        values = search._values
        for after, finished in ((id, False), (None, True)):

            def meanwhile(dialect: str, rows: Any, *, after: UUID | None, finished: bool) -> Any:
                async def other() -> None:
                    second = Database(str(database.engine.url))
                    async with second.write() as session:
                        row = await session.get(SearchRebuild, VERSION) or SearchRebuild(version=VERSION)
                        row.after, row.finished = after, finished
                        session.add(row)
                    await second.close()

                asyncio.run(other())
                return values(dialect, rows)

            with monkeypatch.context() as patch:
                patch.setattr(search, "_values", partial(meanwhile, after=after, finished=finished))
                assert await search._rebuild_some(database) is True
            assert await entries(database) == {}
            async with database.write() as session:
                connection = await session.connection()
                await connection.execute(text("DELETE FROM search_rebuilds"))

    run(tmp_path, test)


def test_a_page_has_its_size_and_knows_its_neighbors() -> None:
    def page(rows: str, page: Page) -> tuple[str, bool, bool, str | None, str | None]:
        connection = connect(list(rows), page, str.upper)
        info = connection.page_info
        nodes = "".join(edge.node for edge in connection.edges)
        assert [edge.cursor for edge in connection.edges] == list(nodes.upper())
        return nodes, info.has_next_page, info.has_previous_page, info.start_cursor, info.end_cursor

    assert page("abc", Page(first=2)) == ("ab", True, False, "A", "B")
    assert page("ab", Page(first=2)) == ("ab", False, False, "A", "B")
    assert page("ab", Page(first=2, after="x")) == ("ab", False, True, "A", "B")
    assert page("cba", Page(last=2)) == ("bc", False, True, "B", "C")
    assert page("cb", Page(last=2, before="x")) == ("bc", True, False, "B", "C")
    assert page("", Page(first=2)) == ("", False, False, None, None)
    assert page("a", Page(first=0)) == ("", True, False, None, None)


def test_sizes_of_pages_are_0_to_100_and_50_if_not_named() -> None:
    assert (Page().size, Page(first=7).size, Page(last=8).size) == (50, 7, 8)
    assert MAX_PAGE == 100
    for size in (0, 100):
        assert Page(first=size).size == Page(last=size).size == size
    for size in (-1, 101):
        with pytest.raises(PageError):
            Page(first=size)
        with pytest.raises(PageError):
            Page(last=size)
    with pytest.raises(PageError) as raised:
        Page(first=1, last=1)
    assert raised.value.argument == "last"


@pytest.mark.parametrize("parts", [("a",), ("ab",), ("abc", "é"), ("", "", "")])
def test_a_cursor_is_read_back_as_it_was_written(parts: tuple[str, ...]) -> None:
    encoded = encode_cursor(*parts)
    assert "=" not in encoded
    assert decode_cursor("after", encoded, len(parts)) == list(parts)
    with pytest.raises(PageError):
        decode_cursor("after", encoded, len(parts) + 1)


@pytest.mark.parametrize("invalid", ["*", "é", "_w"])
def test_an_invalid_cursor_is_refused(invalid: str) -> None:
    with pytest.raises(PageError):
        decode_cursor("after", invalid, 1)
