"""Queries on messages and generations: branches, their ends, versions, contexts, deletion, and who waits for whom."""

from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from rows import NOON, Rows, rolled_back, seconds, with_database
from sqlmodel import select

from tertulia.db import branches, generations, messages, prompt_branches, read_limit, spending
from tertulia.db.branches import MAX_DEPTH_DIGITS
from tertulia.db.database import Database
from tertulia.db.generations import KEY_LIFETIME
from tertulia.db.inserting import insert
from tertulia.db.messages import PromptMessage
from tertulia.db.paging import Page, PageError, encode_cursor
from tertulia.db.prompt_branches import BranchReader, with_branches
from tertulia.db.spending import Spending
from tertulia.db.tables import Generation, IdempotencyKey, Message, Role, Status

RUNNING = (Status.QUEUED, Status.RUNNING, Status.AWAITING_TOOL_RESULTS)
ENDED = (Status.COMPLETED, Status.STOPPED, Status.FAILED)


async def chain(
    rows: Rows, conversation_id: UUID, length: int, parent: UUID | None = None, depth: int = 0
) -> list[UUID]:
    """Insert a branch of messages, users' and answers in turn; return their ids, the oldest first."""
    ids: list[UUID] = []
    for number in range(depth, depth + length):
        role = Role.ASSISTANT if number % 2 else Role.USER
        parent = await rows.message(conversation_id, parent, role=role, depth=number)
        ids.append(parent)
    return ids


def test_a_branch_is_the_path_to_its_leaf_oldest_first() -> None:
    async def test(rows: Rows) -> None:
        conversation = await rows.conversation()
        ids = await chain(rows, conversation, 4)
        other = await rows.message(conversation, ids[1], depth=2)
        assert [message.id for message in await messages.branch(rows.session, ids[3])] == ids
        assert [message.id for message in await messages.branch(rows.session, other)] == [*ids[:2], other]
        assert await messages.branch(rows.session, None) == []

    rolled_back(test)


def test_the_branch_of_a_prompt_has_the_columns_of_its_messages_and_generations() -> None:
    async def test(rows: Rows) -> None:
        ids = await chain(rows, await rows.conversation(), 4)
        repairs = {"blocks": {"1.0": "attachment_refused"}, "tools": []}
        await rows.generation(
            await rows.conversation(), ids[1], prefix="p", context_tokens=7, stop_reason="refusal", repairs=repairs
        )
        branch, stored = (
            await BranchReader().read(rows.session, ids[3]),
            await messages.branch(rows.session, ids[3]),
        )
        assert [item.message for item in branch] == [
            tuple(getattr(message, name) for name in PromptMessage._fields) for message in stored
        ]
        assert branch[1][1:] == ("p", 7, "refusal", "claude-opus-5-5", None, repairs, None)
        assert branch[2][1:] == (None,) * 7
        assert await BranchReader().read(rows.session, None) == []

    rolled_back(test)


@pytest.mark.parametrize(("at_once", "new"), [(2, 0), (2, 1), (4, 0), (4, 1), (6, 0), (7, 0)])
def test_the_beginning_of_a_long_branch_is_read_before_the_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at_once: int, new: int
) -> None:
    monkeypatch.setattr(prompt_branches, "AT_ONCE", at_once)

    async def test(store: Database) -> None:
        async with store.write() as session:
            rows = Rows(session)
            ids = await chain(rows, await rows.conversation(), 6)
        attempts: list[UUID] = []

        async def read(reader: BranchReader) -> list[UUID]:
            # Messages may be sent between two attempts.
            attempts.append(ids[-1 - new] if not attempts else ids[-1])
            async with store.write() as session:
                return [item.message.id for item in await reader.read(session, attempts[-1])]

        assert await with_branches(store, read) == ids
        assert len(attempts) == (1 if at_once >= 6 else 2)

    with_database(tmp_path, test)


def test_a_beginning_that_was_read_for_another_branch_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt_branches, "AT_ONCE", 2)

    async def test(store: Database) -> None:
        async with store.write() as session:
            rows = Rows(session)
            conversation = await rows.conversation()
            former, newer = await chain(rows, conversation, 3), await chain(rows, conversation, 2)
        reader = BranchReader()
        await reader.read_before(store, former[-1])
        async with store.write() as session:
            assert [item.message.id for item in await reader.read(session, newer[-1])] == newer
            for leaf, whole in ((newer[0], newer[:1]), (None, [])):
                assert [item.message.id for item in await reader.read(session, leaf)] == whole

    with_database(tmp_path, test)


@pytest.mark.parametrize("rows_at_once", [1, 2, 3, 4, 5])
def test_a_branch_is_whole_however_many_queries_it_takes(rows_at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "BRANCH_ROWS", rows_at_once)
    end = messages._branch_end()
    query = select(Message).join(end, end.c.id == Message.id).order_by(end.c.step)
    monkeypatch.setattr(messages, "_BRANCH_END", query)

    async def test(rows: Rows) -> None:
        ids = await chain(rows, await rows.conversation(), 4)
        result = await rows.session.exec(query, params={"leaf": ids[3]})
        assert len(result.all()) == min(rows_at_once, 4)
        assert [message.id for message in await messages.branch(rows.session, ids[3])] == ids

    rolled_back(test)


def test_at_most_500_messages_are_read_in_one_query() -> None:
    async def test(rows: Rows) -> None:
        ids = await chain(rows, await rows.conversation(), 501)
        result = await rows.session.exec(messages._BRANCH_END, params={"leaf": ids[-1]})
        assert len(result.all()) == 500
        assert [message.id for message in await messages.branch(rows.session, ids[-1])] == ids

    rolled_back(test)


def test_a_branch_for_claude_is_not_limited_like_a_response(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_limit, "MAX_CHARACTERS", 10)

    async def test(rows: Rows) -> None:
        ids = await chain(rows, await rows.conversation(), 2)
        with read_limit.read_limit():
            assert len(await messages.branch(rows.session, ids[1])) == 2
            assert len(await BranchReader().read(rows.session, ids[1])) == 2

    rolled_back(test)


def test_each_stored_text_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counts: list[int] = []
    monkeypatch.setattr("tertulia.db.rows.count_stored", counts.append)

    async def test(rows: Rows) -> None:
        owner = await rows.user()
        ids = await chain(rows, await rows.conversation(), 2)
        for asked in (ids, ids[:1]):
            counts.clear()
            found = await messages.read_many(rows.session, owner, asked)
            assert (len(counts), list(found)) == (len(asked), asked)

    rolled_back(test)


def test_a_page_of_a_branch_begins_after_or_ends_before_its_cursor() -> None:
    async def test(rows: Rows) -> None:
        owner = await rows.user()
        ids = await chain(rows, await rows.conversation(), 5)

        async def page(page: Page, owner: UUID = owner) -> list[int]:
            connection = await branches.page(rows.session, owner, ids[4], page)
            return [ids.index(edge.node.id) for edge in connection.edges]

        middle = encode_cursor("2")
        assert await page(Page()) == [0, 1, 2, 3, 4]
        assert await page(Page(first=2)) == [0, 1]
        assert await page(Page(last=2)) == [3, 4]
        assert await page(Page(after=middle)) == [3, 4]
        assert await page(Page(before=middle)) == [0, 1]
        assert await page(Page(last=1, before=middle)) == [1]
        assert await page(Page(), owner=uuid4()) == []
        first = await branches.page(rows.session, owner, ids[4], Page(first=4))
        assert (first.page_info.has_next_page, first.page_info.end_cursor) == (True, encode_cursor("3"))
        assert not (await branches.page(rows.session, owner, ids[4], Page(first=5))).page_info.has_next_page

    rolled_back(test)


@pytest.mark.parametrize(
    ("depth", "accepted"), [("9" * MAX_DEPTH_DIGITS, True), ("9" * 10, False), ("x", False), ("", False)]
)
def test_the_cursor_of_a_message_is_a_depth_of_up_to_nine_digits(depth: str, *, accepted: bool) -> None:
    async def test(rows: Rows) -> None:
        ids = await chain(rows, await rows.conversation(), 1)
        for argument in ("after", "before"):
            cursor = encode_cursor(depth)
            page = Page(after=cursor) if argument == "after" else Page(before=cursor)
            if accepted:
                await branches.page(rows.session, await rows.user(), ids[0], page)
            else:
                with pytest.raises(PageError) as raised:
                    await branches.page(rows.session, await rows.user(), ids[0], page)
                assert raised.value.argument == argument

    rolled_back(test)


def test_versions_have_one_parent_one_role_and_one_conversation() -> None:
    async def test(rows: Rows) -> None:
        owner = await rows.user()
        conversation = await rows.conversation()
        first, second = [await rows.message(conversation) for _ in range(2)]
        await rows.message(await rows.conversation())
        await rows.message(conversation, role=Role.ASSISTANT)
        answers = [await rows.message(conversation, first, role=Role.ASSISTANT, depth=1) for _ in range(2)]
        only = await rows.message(conversation, answers[0], depth=2)
        await rows.message(conversation, second, role=Role.ASSISTANT, depth=1)
        versions = await messages.versions(rows.session, owner, [first, answers[1], only])
        assert {id: [message.id for message in found] for id, found in versions.items()} == {
            first: [first, second], answers[1]: answers,
        }  # fmt: skip
        assert await messages.versions(rows.session, uuid4(), [first]) == {}
        for read in (messages.get_many, messages.read_many):
            assert list(await read(rows.session, owner, [first, uuid4()])) == [first]
            assert await read(rows.session, uuid4(), [first]) == {}

    rolled_back(test)


def test_the_newest_leaf_below_a_message_is_that_of_its_newest_branch() -> None:
    async def test(rows: Rows) -> None:
        conversation = await rows.conversation()
        ids = await chain(rows, conversation, 3)
        newer = await chain(rows, conversation, 2, ids[0], 1)
        assert await messages.newest_leaf(rows.session, ids[0]) == newer[1]
        assert await messages.newest_leaf(rows.session, ids[1]) == ids[2]
        assert await messages.newest_leaf(rows.session, ids[2]) == ids[2]
        for leaf, message, found in ((ids[2], ids[0], True), (ids[2], ids[2], True), (ids[2], newer[0], False)):
            assert await branches.on_branch(rows.session, leaf, message) is found
        assert not await branches.on_branch(rows.session, None, ids[0])

    rolled_back(test)


def test_the_context_of_an_answer_is_its_own_or_that_of_the_answer_before_while_it_is_written() -> None:
    async def test(rows: Rows) -> None:
        owner, conversation = await rows.user(), await rows.conversation()
        ids = await chain(rows, conversation, 6)
        for message_id, count in ((ids[1], 10), (ids[3], 200), (ids[5], None)):
            await rows.generation(conversation, message_id, context_tokens=count)
        assert await messages.context_tokens(rows.session, owner, ids) == {ids[1]: 10, ids[3]: 200, ids[5]: 200}
        assert await messages.context_tokens(rows.session, uuid4(), ids) == {}

    rolled_back(test)


def test_the_deepest_messages_are_deleted_first_and_their_reservations_count_as_spent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(messages, "now", lambda: NOON)

    async def test(rows: Rows) -> None:
        conversation = await rows.conversation()
        ids = await chain(rows, conversation, 4)
        generation_ids = [
            await rows.generation(conversation, message_id, reserved=reserved)
            for message_id, reserved in ((ids[1], 1), (ids[2], None), (ids[3], 20))
        ]
        deepest = await messages.deepest(rows.session, conversation, 2)
        assert list(deepest) == [ids[3], ids[2]]
        assert set(await messages.remove(rows.session, deepest)) == set(generation_ids[1:])
        remaining = await rows.session.exec(select(Message.id).where(Message.conversation_id == conversation))
        assert set(remaining.all()) == set(ids[:2])
        assert list((await rows.session.exec(select(Generation.id))).all()) == generation_ids[:1]
        spent = (await rows.session.exec(select(Spending))).one()
        assert (spent.day, spent.amount, spent.shard) == (NOON.date(), 20, ids[3].int % spending.SHARDS)

    rolled_back(test)


def test_generations_are_found_in_the_owners_conversations_alone() -> None:
    async def test(rows: Rows) -> None:
        owner, conversation = await rows.user(), await rows.conversation()
        answer = await rows.message(conversation, role=Role.ASSISTANT, depth=1)
        id = await rows.generation(conversation, answer)
        others = await rows.generation(await rows.conversation(await rows.user("bob")))
        asked = [id, others]
        for read in (generations.get_many, generations.read_many):
            assert list(await read(rows.session, owner, asked)) == [id]
        found = await generations.with_answers(rows.session, owner, asked)
        assert {key: (row.id, message.id) for key, (row, message) in found.items()} == {id: (id, answer)}
        for read in (generations.of_messages, generations.read_of_messages):
            by_message = await read(rows.session, owner, [answer])
            assert [(key, row.id) for key, row in by_message.items()] == [(answer, id)]
        whole = await generations.unscoped(rows.session, others)
        assert whole is not None
        assert (whole[0].id, whole[1].id, whole[2].id) == (others, whole[0].message_id, whole[0].conversation_id)
        assert await generations.unscoped(rows.session, uuid4()) is None

    rolled_back(test)


def test_running_answers_are_counted_and_unfinished_ones_are_listed_oldest_first() -> None:
    async def test(rows: Rows) -> None:
        owner, conversation = await rows.user(), await rows.conversation()
        ids = [await rows.generation(conversation, status=status) for status in (*RUNNING, *ENDED)]
        await rows.generation(await rows.conversation(await rows.user("bob")))
        assert await generations.count_running(rows.session, owner) == 1
        assert await generations.count_running(rows.session, uuid4()) == 0
        assert list(await generations.unfinished_of_owner(rows.session, owner)) == ids[:3]
        unfinished = await generations.unfinished(rows.session, owner, [conversation])
        assert {key: [row.id for row in found] for key, found in unfinished.items()} == {conversation: ids[:3]}
        assert await generations.unfinished(rows.session, uuid4(), [conversation]) == {}

    rolled_back(test)


def test_the_active_generation_is_the_first_of_the_queue_of_the_active_branch() -> None:
    async def test(rows: Rows) -> None:
        owner, conversation = await rows.user(), await rows.conversation()
        other = await rows.generation(conversation)
        ended = await rows.generation(conversation, status=Status.COMPLETED)
        first = await rows.generation(conversation, waits_for=ended)
        second = await rows.generation(conversation, waits_for=first)
        leaf = await rows.message(conversation, role=Role.ASSISTANT, depth=5)
        third = await rows.generation(conversation, leaf, waits_for=second)
        active = await generations.active(rows.session, owner, [conversation])
        assert [row.id for row in active.values()] == [other]
        from tertulia.db import conversations

        assert await conversations.change(rows.session, owner, conversation, {"active_leaf_id": leaf})
        active = await generations.active(rows.session, owner, [conversation])
        assert {key: row.id for key, row in active.items()} == {conversation: first}
        assert third not in {row.id for row in active.values()}
        assert await generations.active(rows.session, uuid4(), [conversation]) == {}

    rolled_back(test)


def test_an_idempotency_key_is_valid_for_24_hours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert timedelta(hours=24) == KEY_LIFETIME

    async def test(rows: Rows) -> None:
        owner, generation_id = await rows.user(), await rows.generation()
        for key in ("a", "b", "c"):
            rows.session.add(
                IdempotencyKey(owner_id=owner, key=key, fingerprint="f", generation_id=generation_id, created_at=NOON)
            )
        await rows.session.flush()
        monkeypatch.setattr(generations, "now", lambda: NOON + KEY_LIFETIME)
        assert await generations.by_key(rows.session, owner, "a", writes=True) is not None
        assert await generations.by_key(rows.session, owner, "z", writes=True) is None
        assert await generations.trim_keys(rows.session, 5) == 0
        monkeypatch.setattr(generations, "now", lambda: seconds(1) + KEY_LIFETIME)
        assert await generations.by_key(rows.session, owner, "b", writes=False) is None
        assert await generations.by_key(rows.session, owner, "a", writes=True) is None
        # The key can be used again in the same transaction.
        await insert(
            rows.session, [IdempotencyKey(owner_id=owner, key="a", fingerprint="f", generation_id=generation_id)]
        )
        assert [await generations.trim_keys(rows.session, 1) for _ in range(3)] == [1, 1, 0]

    rolled_back(test)
