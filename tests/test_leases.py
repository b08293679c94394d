"""Leases in the database: which process may write a generation, and which generations a sweep claims."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from client import Json
from conftest import EMBEDDED
from rows import NOON, rolled_back, seconds
from running import prepare_database
from sqlmodel import select

from tertulia.db import accounts, answer_tails, leases, messages, progress
from tertulia.db.database import AsyncSession
from tertulia.db.inserting import insert
from tertulia.db.tables import Conversation, Generation, Message, Role, Status, new_id
from tertulia.db.tool_calls import CallStatus, ToolCall
from tertulia.json import dumps

pytestmark = pytest.mark.both

ME, OTHER = uuid4(), uuid4()
UNTIL = NOON + timedelta(hours=1)
ENDED = (Status.COMPLETED, Status.STOPPED, Status.FAILED)


@pytest.fixture(scope="module")
def url(setup: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    if setup == EMBEDDED:
        database_url = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('leases') / 'tertulia.db'}"
        prepare_database(database_url)
        return database_url
    settings: Json = request.getfixturevalue("servers").settings()
    return str(settings["database_url"]).replace("postgresql://", "postgresql+asyncpg://")


class Store:
    """The rows of one test."""

    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def add(self, **columns: Any) -> UUID:
        """Insert a running generation in a new conversation; `columns` override its values."""
        user = await accounts.get_or_create(self.session, "ada")
        conversation = Conversation(owner_id=user.id, model="claude-opus-5-5")
        message = Message(conversation_id=conversation.id, role=Role.ASSISTANT, depth=1, content=[])
        values: Json = {"status": Status.RUNNING, "model": "claude-opus-5-5", "created_at": seconds(-3_600)}
        generation = Generation(
            id=new_id(), conversation_id=conversation.id, message_id=message.id, **(values | columns)
        )
        for row in (conversation, message, generation):
            await insert(self.session, [row])
        return generation.id

    async def call(self, generation_id: UUID, status: CallStatus) -> None:
        """Insert a tool call."""
        user = await accounts.get_or_create(self.session, "ada")
        more: Json = {"conversation_id": uuid4(), "tool_use_id": f"toolu_{uuid4().hex}", "name": "ask"}
        await insert(self.session, [ToolCall(owner_id=user.id, generation_id=generation_id, status=status, **more)])

    async def row(self, generation_id: UUID) -> Generation:
        generation = await self.session.get(Generation, generation_id, populate_existing=True)
        assert generation is not None
        return generation


Use = Callable[[Callable[[Store], Awaitable[None]]], None]


@pytest.fixture
def use(url: str, monkeypatch: pytest.MonkeyPatch) -> Use:
    """Run a test in one transaction and roll it back, so that no test sees another's rows."""
    monkeypatch.setattr(leases, "now", lambda: NOON)

    return lambda test: rolled_back(lambda rows: test(Store(rows.session)), url)


def test_only_the_holder_renews_a_lease_and_only_until_the_generation_ends(use: Use) -> None:
    async def test(store: Store) -> None:
        mine, others = [await store.add(holder=holder, lease_until=seconds(-1)) for holder in (ME, OTHER)]
        ended = [await store.add(status=status, holder=ME, lease_until=seconds(1)) for status in ENDED]
        for id in (others, *ended):
            assert await leases.renew(store.session, id, ME, {"sequence": 9}) is None
            assert (await store.row(id)).sequence == 0
        renewed = leases.RenewedLease(stop_requested=False, sequence=9)
        assert await leases.renew(store.session, mine, ME, {"sequence": 9}) == renewed
        assert await leases.renew_all(store.session, [mine, others, *ended], ME, UNTIL) == {mine: renewed}
        assert (await store.row(mine)).lease_until == UNTIL
        assert (await store.row(others)).lease_until == seconds(-1)

    use(test)


def test_a_renewal_reports_a_requested_stop_and_an_ended_generation_cannot_be_stopped(use: Use) -> None:
    async def test(store: Store) -> None:
        mine = await store.add(holder=ME, lease_until=seconds(1))
        ended = await store.add(status=Status.COMPLETED, holder=ME)
        for id in (mine, ended):
            await leases.request_stop(store.session, id)
        assert await leases.renew_all(store.session, [mine], ME, UNTIL) == {
            mine: leases.RenewedLease(stop_requested=True, sequence=0)
        }
        assert not (await store.row(ended)).stop_requested

    use(test)


def test_the_status_of_a_generation_is_its_own_and_that_of_a_deleted_one_is_none(use: Use) -> None:
    async def test(store: Store) -> None:
        for status in (Status.RUNNING, Status.STOPPED):
            assert await leases.status_of(store.session, await store.add(status=status)) is status
        assert await leases.status_of(store.session, uuid4()) is None

    use(test)


def test_only_the_holder_ends_a_generation_as_failed_and_only_once(use: Use) -> None:
    async def test(store: Store) -> None:
        mine, others = [await store.add(holder=holder, lease_until=seconds(1), sequence=4) for holder in (ME, OTHER)]
        error = {"code": "API_ERROR", "message": "It failed."}
        assert await leases.end_as_failed(store.session, others, ME, error, None) is None
        assert (await store.row(others)).status is Status.RUNNING
        # The terminal event's number follows the last saved number.
        assert await leases.end_as_failed(store.session, mine, ME, error, None) == 5
        assert await leases.end_as_failed(store.session, mine, ME, error, 9) is None
        row = await store.row(mine)
        assert (row.status, row.sequence, row.error, row.reserved) == (Status.FAILED, 5, error, None)

    use(test)


def test_a_generation_without_a_valid_lease_can_be_claimed(use: Use) -> None:
    async def test(store: Store) -> None:
        free, lapsed = await store.add(), await store.add(holder=OTHER, lease_until=seconds(-0.001))
        held = await store.add(holder=OTHER, lease_until=seconds(0))
        ended = [await store.add(status=status) for status in ENDED]
        for id in (free, lapsed):
            assert await leases.claim(store.session, id, ME, UNTIL)
            row = await store.row(id)
            assert (row.holder, row.lease_until) == (ME, UNTIL)
        for id in (held, *ended):
            assert not await leases.claim(store.session, id, ME, UNTIL)
            assert (await store.row(id)).holder != ME

    use(test)


async def swept(store: Store, own: tuple[UUID, ...] = (), *, everything: bool = False) -> set[UUID]:
    return set(await leases.claim_lapsed(store.session, ME, UNTIL, own, everything=everything))


def test_a_sweep_claims_lapsed_leases_but_not_valid_ones_or_its_own(use: Use) -> None:
    async def test(store: Store) -> None:
        lapsed = await store.add(holder=OTHER, lease_until=seconds(-0.001))
        own = await store.add(holder=ME, lease_until=seconds(-60))
        await store.add(holder=OTHER, lease_until=seconds(0.001))
        await store.add(status=Status.FAILED, holder=OTHER, lease_until=seconds(-60))
        assert await swept(store, (own,)) == {lapsed}
        row = await store.row(lapsed)
        assert (row.holder, row.lease_until) == (ME, UNTIL)
        assert await swept(store, (own,)) == set()

    use(test)


def test_a_single_server_claims_all_generations_at_its_start(use: Use) -> None:
    async def test(store: Store) -> None:
        held = await store.add(holder=OTHER, lease_until=UNTIL)
        queued = await store.add(status=Status.QUEUED, created_at=NOON)
        mine = await store.add(holder=ME, lease_until=UNTIL)
        assert await swept(store) == set()
        assert await swept(store, everything=True) == {held, queued}
        assert (await store.row(mine)).holder == ME

    use(test)


def test_a_sweep_claims_the_head_of_a_queue_after_5_seconds_but_no_waiting_message(use: Use) -> None:
    async def test(store: Store) -> None:
        new = await store.add(status=Status.QUEUED, created_at=seconds(-5))
        running = await store.add(holder=OTHER, lease_until=UNTIL)
        await store.add(status=Status.QUEUED, waits_for=running)
        await store.add(status=Status.QUEUED, waits_for=new)
        heads = {await store.add(status=Status.QUEUED, created_at=seconds(-5.001))}
        for status in ENDED:
            ended = await store.add(status=status)
            heads.add(await store.add(status=Status.QUEUED, waits_for=ended))
        assert await swept(store) == heads

    use(test)


def test_a_sweep_claims_an_answer_whose_tool_results_are_complete_or_expired(use: Use) -> None:
    async def test(store: Store) -> None:
        waiting = {"status": Status.AWAITING_TOOL_RESULTS, "tools_expire_at": seconds(0.001)}
        unanswered = await store.add(**waiting)
        expired, answered = await store.add(**waiting | {"tools_expire_at": NOON}), await store.add(**waiting)
        partly_answered = await store.add(**waiting)
        for id, statuses in (
            (unanswered, [CallStatus.WAITING]),
            (expired, [CallStatus.WAITING]),
            (answered, [CallStatus.ANSWERED]),
            (partly_answered, [CallStatus.ANSWERED, CallStatus.WAITING]),
        ):
            for status in statuses:
                await store.call(id, status)
        assert await swept(store) == {expired, answered}

    use(test)


def test_messages_queued_after_an_ended_answer_are_claimed_in_order(use: Use) -> None:
    async def test(store: Store) -> None:
        ended = await store.add(status=Status.COMPLETED)
        waiting = [await store.add(status=Status.QUEUED, waits_for=ended) for _ in range(2)]
        assert await leases.claim_following(store.session, ended, ME, UNTIL) == waiting
        # After a queued message was stopped, the next one waits for the message before it.
        running = await store.add(holder=OTHER, lease_until=UNTIL)
        stopped = await store.add(status=Status.STOPPED, waits_for=running)
        last = await store.add(status=Status.QUEUED, waits_for=stopped)
        assert await leases.claim_following(store.session, stopped, ME, UNTIL) == []
        row = await store.row(last)
        assert (row.waits_for, row.holder) == (running, None)

    use(test)


def test_progress_saves_the_sequence_and_the_text_of_each_message(use: Use) -> None:
    async def test(store: Store) -> None:
        first, second = [await store.add(holder=ME, lease_until=UNTIL) for _ in range(2)]
        rows = [await store.row(id) for id in (first, second)]
        content = [[{"type": "text", "text": text}] for text in ("one", "two")]
        await progress.save_progress(store.session, [])
        assert [await store.row(row.id) for row in rows] == rows
        await progress.save_progress(
            store.session,
            [
                progress.Progress(
                    row.id, row.message_id, 7 + index, NOON, dumps(content[index]), {"output_tokens": index}
                )
                for index, row in enumerate(rows)
            ],
        )
        for index, id in enumerate((first, second)):
            row = await store.row(id)
            message = await store.session.get(Message, row.message_id)
            assert message is not None
            saved = (row.sequence, row.first_token_at, row.output_tokens, message.content)
            assert saved == (7 + index, NOON, index, content[index])

    use(test)


LONG: list[Json] = [{"type": "thinking", "thinking": "Why?"}, {"type": "text", "text": "It is lo", "partial": True}]
LONGER: list[Json] = [LONG[0], {"type": "text", "text": "It is long"}, {"type": "text", "text": "N"}]


async def with_tail(store: Store, **columns: Any) -> Generation:
    """Return an answer that was saved up to the event 7, with a tail up to the event 9."""
    row = await store.row(await store.add(holder=ME, lease_until=UNTIL, **columns))
    for tail in (LONG, LONGER):
        saved: list[progress.Progress | progress.TailProgress] = [
            progress.Progress(row.id, row.message_id, 7, NOON, dumps(LONG), {}),
            progress.TailProgress(row.id, row.message_id, 7, 9, answer_tails.tail_of(LONG, tail)),
        ]
        for item in saved:
            await progress.save_progress(store.session, [item])
    return row


async def tails(store: Store) -> list[UUID]:
    return list((await store.session.exec(select(answer_tails.AnswerTail.message_id))).all())


def test_a_tail_completes_only_the_content_after_which_it_was_saved(use: Use) -> None:
    async def test(store: Store) -> None:
        first, second = [await with_tail(store) for _ in range(2)]
        for row in (first, second):
            found = await answer_tails.find(store.session, row.id)
            assert found == answer_tails.SavedAnswer(row.message_id, 9, LONGER)
        # A replica of the previous release has saved a later content. It does not know of tails.
        await leases.renew(store.session, first.id, ME, {"sequence": 8})
        assert await answer_tails.find(store.session, first.id) is None
        await leases.renew(store.session, second.id, ME, {"status": Status.COMPLETED})
        assert await answer_tails.find(store.session, second.id) is None

    use(test)


def test_a_tail_that_cannot_be_read_is_ignored(use: Use) -> None:
    async def test(store: Store) -> None:
        row = await with_tail(store)
        for tail in ("{", "{}", '{"kept":3,"grown":null,"blocks":[]}', '{"kept":1,"grown":"text","blocks":null}'):
            item = progress.TailProgress(row.id, row.message_id, 7, 9, tail)
            await progress.save_progress(store.session, [item])
            assert await answer_tails.find(store.session, row.id) is None

    use(test)


def test_a_tail_is_removed_with_each_save_of_the_whole_content_and_with_its_message(use: Use) -> None:
    async def test(store: Store) -> None:
        rows = [await with_tail(store) for _ in range(4)]
        ids = [row.message_id for row in rows]
        assert sorted(await tails(store)) == sorted(ids)
        content = dumps(LONGER)
        await progress.save_progress(
            store.session, [progress.Progress(row.id, row.message_id, 10, NOON, content, {}) for row in rows[:2]]
        )
        assert sorted(await tails(store)) == sorted(ids[2:])
        await leases.write_answer(store.session, ids[2], LONGER)
        assert await tails(store) == ids[3:]
        await messages.remove(store.session, ids[3:])
        assert await tails(store) == []

    use(test)


def test_an_answer_that_is_given_up_keeps_its_tail(use: Use) -> None:
    async def test(store: Store) -> None:
        row, lost = await with_tail(store), await with_tail(store)
        assert await leases.end_as_failed(store.session, lost.id, OTHER, {}, None) is None
        assert await leases.end_as_failed(store.session, row.id, ME, {}, None) == 10
        assert await tails(store) == [lost.message_id]
        contents = []
        for message_id in (row.message_id, lost.message_id):
            store.session.expire_all()
            message = await store.session.get(Message, message_id)
            assert message is not None
            contents.append(message.content)
        assert contents == [LONGER, LONG]

    use(test)
