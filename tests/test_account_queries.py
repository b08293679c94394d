"""Queries on users and their credentials: what is valid, what is ended, and what is deleted."""

from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from rows import NOON, Rows, rolled_back, seconds
from sqlmodel import col, select

from tertulia.db import accounts, changes, spending, tool_calls
from tertulia.db.identities import Action, AuditEntry, PersonalToken, SignIn
from tertulia.db.inserting import insert
from tertulia.db.tables import Attachment, Blob, ChangeKind, Status, User
from tertulia.db.tool_calls import CallStatus, ToolCall, ToolUsage

GRACE = timedelta(seconds=60)


class Clock:
    """The present of all queries."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = NOON
        for module in (accounts, changes, tool_calls):
            patch.setattr(module, "now", lambda: self.now)

    def set(self, second: float) -> None:
        self.now = seconds(second)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def sign_in(rows: Rows, owner: UUID, expires_in: float = 3600) -> UUID:
    return (await accounts.begin_sign_in(rows.session, owner, seconds(expires_in))).id


async def stored(rows: Rows, model: Any, key: Any) -> Any:
    return await rows.session.get(model, key, populate_existing=True)


async def rotate(rows: Rows, sign_in_id: UUID, rotation: int) -> bool:
    return await accounts.rotate(rows.session, sign_in_id, rotation, seconds(9_999), GRACE)


def test_a_name_and_a_subject_have_one_user(clock: Clock) -> None:
    async def test(rows: Rows) -> None:
        ada = User(name="ada", issuer="https://id", subject="1")
        assert await accounts.add(rows.session, ada)
        assert not await accounts.add(rows.session, User(name="ada"))
        assert not await accounts.add(rows.session, User(name="other", issuer="https://id", subject="1"))
        assert (await accounts.get_or_create(rows.session, "ada")).id == ada.id
        assert (await accounts.get_or_create(rows.session, "bob")).id != ada.id
        assert [user.name for user in await accounts.all_users(rows.session)] == ["ada", "bob"]
        found = await accounts.by_subject(rows.session, "https://id", "1")
        assert found is not None
        assert found.id == ada.id
        for issuer, subject in (("https://other", "1"), ("https://id", "2")):
            assert await accounts.by_subject(rows.session, issuer, subject) is None
        assert (await accounts.existing(rows.session, ada.id)).subject == "1"
        by_name = await accounts.by_written_name(rows.session, "Ada")
        assert by_name is not None
        assert by_name.id == ada.id
        assert await accounts.by_written_name(rows.session, "eve") is None
        assert await accounts.by_id(rows.session, uuid4()) is None

    rolled_back(test)


def test_a_user_is_found_by_the_spelling_that_is_stored_before_any_other(clock: Clock) -> None:
    async def test(rows: Rows) -> None:
        first, second = await rows.user("ada"), await rows.user("Ada")
        for spelling, id in (("ada", first), ("Ada", second)):
            user = await accounts.by_written_name(rows.session, spelling)
            assert user is not None
            assert user.id == id

    rolled_back(test)


def test_a_password_is_set_for_one_user(clock: Clock) -> None:
    async def test(rows: Rows) -> None:
        ada, bob = await rows.user("ada"), await rows.user("bob")
        await accounts.set_password(rows.session, ada, "hash")
        assert (await stored(rows, User, ada)).password_hash == "hash"
        assert (await stored(rows, User, bob)).password_hash is None

    rolled_back(test)


def test_a_refresh_token_is_exchanged_once_and_again_for_a_minute_if_its_successor_was_not_used(clock: Clock) -> None:
    async def test(rows: Rows) -> None:
        id = await sign_in(rows, await rows.user())
        assert not await rotate(rows, id, 1)
        assert await rotate(rows, id, 0)
        row = await stored(rows, SignIn, id)
        assert (row.rotation, row.rotated_at, row.expires_at) == (1, NOON, seconds(9_999))
        clock.set(59)
        assert await rotate(rows, id, 0)
        assert (await stored(rows, SignIn, id)).rotation == 1
        clock.set(60)
        assert not await rotate(rows, id, 0)
        clock.set(59)
        assert await rotate(rows, id, 1)
        assert not await rotate(rows, id, 0)
        assert not await rotate(rows, uuid4(), 2)

    rolled_back(test)


def test_a_sign_in_ends_when_it_expires_or_is_revoked(clock: Clock) -> None:
    async def test(rows: Rows) -> None:
        ada, bob = await rows.user("ada"), await rows.user("bob")
        first, second, third, of_bob = [
            await sign_in(rows, owner, expires) for owner, expires in ((ada, 10), (ada, 20), (ada, 20), (bob, 20))
        ]
        user = await accounts.signed_in(rows.session, first)
        assert user is not None
        assert user.id == ada
        clock.set(10)
        assert await accounts.signed_in(rows.session, first) is None
        assert not await rotate(rows, first, 0)
        assert not await accounts.revoke(rows.session, sign_in_id=first)
        assert await accounts.revoke(rows.session, sign_in_id=second)
        assert await accounts.signed_in(rows.session, second) is None
        assert not await rotate(rows, second, 0)
        assert not await accounts.revoke(rows.session, sign_in_id=second)
        assert await accounts.revoke(rows.session, owner=ada)
        assert (await stored(rows, SignIn, third)).revoked_at == seconds(10)
        assert await accounts.signed_in(rows.session, of_bob) is not None
        assert not await accounts.revoke(rows.session, owner=ada)

    rolled_back(test)


def token(owner: UUID, digest: str, expires_in: float | None = None) -> PersonalToken:
    expires_at = None if expires_in is None else seconds(expires_in)
    return PersonalToken(owner_id=owner, label=digest, digest=digest, expires_at=expires_at)


def test_all_sign_ins_and_tokens_of_one_user_or_of_everybody_are_ended(clock: Clock) -> None:
    async def test(rows: Rows) -> None:
        ada, bob = await rows.user("ada"), await rows.user("bob")
        for owner in (ada, ada, bob):
            await sign_in(rows, owner)
        for owner, digest in ((ada, "a"), (bob, "b"), (bob, "c")):
            await accounts.add_token(rows.session, token(owner, digest))
        assert await accounts.revoke_everything(rows.session, ada) == accounts.RevokedCounts(2, 1)
        assert await accounts.revoke_everything(rows.session, None) == accounts.RevokedCounts(1, 2)
        assert await accounts.revoke_everything(rows.session, None) == accounts.RevokedCounts(0, 0)

    rolled_back(test)


def test_sign_ins_are_forgotten_some_time_after_they_have_ended(clock: Clock) -> None:
    async def test(rows: Rows) -> None:
        owner = await rows.user()
        old, kept, running, revoked, revoked_later = [
            await sign_in(rows, owner, expires) for expires in (-1, 0, 99, 99, 99)
        ]
        for second, id in ((-1, revoked), (0, revoked_later)):
            clock.set(second)
            await accounts.revoke(rows.session, sign_in_id=id)
        await accounts.forget_ended(rows.session, NOON)
        assert set((await rows.session.exec(select(SignIn.id))).all()) == {kept, running, revoked_later}
        assert {old, revoked}.isdisjoint({kept, running, revoked_later})

    rolled_back(test)


def test_a_token_is_removed_by_its_owner_or_by_its_digest(clock: Clock) -> None:
    async def test(rows: Rows) -> None:
        ada, bob = await rows.user("ada"), await rows.user("bob")
        tokens = [token(ada, "a"), token(ada, "b"), token(bob, "c")]
        for each in tokens:
            await accounts.add_token(rows.session, each)
        assert [row.digest for row in await accounts.tokens_of(rows.session, ada)] == ["a", "b"]
        assert not await accounts.remove_token(rows.session, bob, tokens[0].id)
        assert not await accounts.remove_token(rows.session, ada, uuid4())
        assert await accounts.remove_token(rows.session, ada, tokens[0].id)
        assert [row.digest for row in await accounts.tokens_of(rows.session, ada)] == ["b"]
        assert await accounts.remove_digest(rows.session, "z") is None
        owner = await accounts.remove_digest(rows.session, "b")
        assert owner is not None
        assert owner.id == ada
        assert list(await accounts.tokens_of(rows.session, ada)) == []
        assert len(await accounts.tokens_of(rows.session, bob)) == 1

    rolled_back(test)


async def add_attachment(rows: Rows, owner: UUID) -> UUID:
    blob = Blob()
    await insert(rows.session, [blob])
    await insert(rows.session, [Attachment(owner_id=owner, blob_id=blob.id, filename="a.png", media_type="image/png")])
    return blob.id


def test_a_user_is_deleted_with_everything_that_was_counted(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(rows: Rows) -> None:
        ada, bob = await rows.user("ada"), await rows.user("bob")
        for owner, times in ((ada, 2), (bob, 1)):
            for _ in range(times):
                conversation = await rows.conversation(owner)
                await rows.message(conversation)
                await rows.call(owner)
        await rows.message(await rows.conversation(bob))
        await rows.generation(await rows.conversation(ada), reserved=7)
        blobs = {await add_attachment(rows, ada), await add_attachment(rows, ada)}
        await add_attachment(rows, bob)
        for who in (ada, bob, None):
            await accounts.audit(rows.session, Action.SIGNED_IN, who, "::1", how="test")
        assert await accounts.count(rows.session, ada) == {
            "conversations": 3, "messages": 3, "attachments": 2, "calls": 2,
        }  # fmt: skip
        assert len(await accounts.conversations_of(rows.session, ada)) == 3
        assert set(await accounts.blobs_of(rows.session, ada)) == blobs
        settled: list[UUID] = []

        async def settle_all(_session: object, owner: UUID) -> None:
            settled.append(owner)

        monkeypatch.setattr(spending, "settle_all", settle_all)
        assert await accounts.remove_user(rows.session, ada)
        assert settled == [ada]
        assert not await accounts.remove_user(rows.session, uuid4())
        assert set(await accounts.count(rows.session, ada)) == {"conversations", "messages", "attachments", "calls"}
        assert set((await accounts.count(rows.session, ada)).values()) == {0}
        assert (await accounts.count(rows.session, bob)) == {
            "conversations": 2, "messages": 2, "attachments": 1, "calls": 1,
        }  # fmt: skip
        entries = (await rows.session.exec(select(AuditEntry))).all()
        assert {entry.user_id for entry in entries} == {bob, None}
        assert (entries[0].action, entries[0].address, entries[0].detail) == ("signed_in", "::1", {"how": "test"})

    rolled_back(test)


def test_old_entries_of_the_audit_log_are_deleted_the_oldest_first(clock: Clock) -> None:
    async def test(rows: Rows) -> None:
        ids = [UUID(int=(int(seconds(second).timestamp() * 1000) << 80) + 5) for second in (-3, -2, 0, 1)]
        for id, second in zip(ids, (-3, -2, 0, 1), strict=True):
            await insert(rows.session, [AuditEntry(id=id, action="signed_in", created_at=seconds(second))])

        async def kept() -> list[UUID]:
            return list((await rows.session.exec(select(AuditEntry.id).order_by(col(AuditEntry.id)))).all())

        assert await accounts.trim_audit(rows.session, NOON, 1) == 1
        assert await kept() == ids[1:]
        assert await accounts.trim_audit(rows.session, NOON, 9) == 1
        assert await kept() == ids[2:]
        assert await accounts.trim_audit(rows.session, NOON, 9) == 0

    rolled_back(test)


def test_an_entry_of_the_millisecond_before_which_entries_are_deleted_is_deleted_too(clock: Clock) -> None:
    async def test(rows: Rows) -> None:
        # The id has the millisecond in which the entry was made; its time is a little later.
        id = UUID(int=(int(NOON.timestamp() * 1000) << 80) + 5)
        await insert(rows.session, [AuditEntry(id=id, action="signed_in", created_at=NOON)])
        assert await accounts.trim_audit(rows.session, NOON + timedelta(microseconds=500), 9) == 1

    rolled_back(test)


def test_changes_are_numbered_for_each_owner_and_kept_for_a_day(clock: Clock) -> None:
    async def test(rows: Rows) -> None:
        ada, bob = await rows.user("ada"), await rows.user("bob")
        conversation, generation_id = uuid4(), uuid4()
        assert await changes.newest(rows.session, ada) == 0
        assert await changes.oldest_kept(rows.session, ada) is None
        await changes.record(rows.session, bob, (ChangeKind.DELETED, uuid4(), None))
        kinds = (ChangeKind.CREATED, ChangeKind.GENERATION_STARTED)
        await changes.record(rows.session, ada, *((kind, conversation, generation_id) for kind in kinds))
        clock.set(1)
        await changes.record(rows.session, ada, (ChangeKind.UPDATED, conversation, None))
        found = await changes.changes_after(rows.session, ada, 0)
        assert [(row.sequence, row.kind, row.generation_id) for row in found] == [
            (1, kinds[0], generation_id), (2, kinds[1], generation_id), (3, ChangeKind.UPDATED, None),
        ]  # fmt: skip
        assert [row.sequence for row in await changes.changes_after(rows.session, ada, 2)] == [3]
        assert await changes.newest(rows.session, ada) == 3
        clock.set(86_400)
        await changes.trim(rows.session)
        assert await changes.oldest_kept(rows.session, ada) == 1
        clock.set(86_400.5)
        await changes.trim(rows.session)
        assert await changes.oldest_kept(rows.session, ada) == 3
        assert await changes.newest(rows.session, ada) == 3

    rolled_back(test)


def test_at_most_100_changes_are_read_at_once(clock: Clock) -> None:
    async def test(rows: Rows) -> None:
        owner = await rows.user()
        await changes.record(rows.session, owner, *((ChangeKind.UPDATED, uuid4(), None) for _ in range(101)))
        found = await changes.changes_after(rows.session, owner, 0)
        assert [row.sequence for row in found] == list(range(1, 101))

    rolled_back(test)


async def add_call(
    rows: Rows, owner: UUID, generation_id: UUID, tool_use_id: str, status: CallStatus, **more: Any
) -> UUID:
    values: dict[str, Any] = {"name": "add", "answer": {"output": "3"}, "created_at": NOON} | more
    ids: dict[str, Any] = {"owner_id": owner, "conversation_id": uuid4(), "generation_id": generation_id}
    call = ToolCall(tool_use_id=tool_use_id, status=status, **(ids | values))
    await insert(rows.session, [call])
    return call.id


def test_calls_of_a_generation_begin_and_end_by_their_ids(clock: Clock) -> None:
    async def test(rows: Rows) -> None:
        owner, generation_id, other = await rows.user(), uuid4(), uuid4()
        for of, id in ((generation_id, "a"), (generation_id, "b"), (generation_id, "c"), (other, "a")):
            await add_call(rows, owner, of, id, CallStatus.ANSWERED)

        async def states(of: UUID) -> dict[str, tuple[Any, ...]]:
            rows.session.expire_all()
            calls = await tool_calls.of_generation(rows.session, of)
            return {id: (call.status, call.started_at, call.finished_at, call.answer) for id, call in calls.items()}

        before = (CallStatus.ANSWERED, None, None, {"output": "3"})
        clock.set(1)
        await tool_calls.begin(rows.session, generation_id, ["a", "b"])
        running = (CallStatus.RUNNING, seconds(1), None, {"output": "3"})
        assert await states(generation_id) == {"a": running, "b": running, "c": before}
        clock.set(2)
        ended = {"a": CallStatus.SUCCEEDED, "b": CallStatus.FAILED}
        await tool_calls.settle(rows.session, generation_id, ended)
        assert await states(generation_id) == {
            **{id: (status, seconds(1), seconds(2), None) for id, status in ended.items()}, "c": before,
        }  # fmt: skip
        assert await states(other) == {"a": before}

    rolled_back(test)


def test_open_calls_of_a_generation_that_ends_have_failed_or_are_unknown(clock: Clock) -> None:
    async def test(rows: Rows) -> None:
        owner, generation_id, other = await rows.user(), uuid4(), uuid4()
        for status in CallStatus:
            await add_call(rows, owner, generation_id, status.value, status)
        await add_call(rows, owner, other, "a", CallStatus.WAITING)
        await tool_calls.close(rows.session, generation_id)
        rows.session.expire_all()
        calls = await tool_calls.of_generation(rows.session, generation_id)
        assert {id: call.status.value for id, call in calls.items()} == {
            "waiting": "failed", "answered": "failed", "running": "unknown",
            "succeeded": "succeeded", "failed": "failed", "unknown": "unknown",
        }  # fmt: skip
        assert {id for id, call in calls.items() if call.answer is None} == {"waiting", "answered", "running"}
        assert {id for id, call in calls.items() if call.finished_at == NOON} == {"waiting", "answered", "running"}
        assert (await tool_calls.of_generation(rows.session, other))["a"].status is CallStatus.WAITING

    rolled_back(test)


def test_a_submitted_result_is_stored_for_its_call(clock: Clock) -> None:
    async def test(rows: Rows) -> None:
        owner, generation_id = await rows.user(), uuid4()
        for id in ("a", "b"):
            await add_call(rows, owner, generation_id, id, CallStatus.WAITING, answer=None)
        call = (await tool_calls.of_generation(rows.session, generation_id))["a"]
        await tool_calls.submit(rows.session, call, {"output": "7"}, "f")
        rows.session.expire_all()
        calls = await tool_calls.of_generation(rows.session, generation_id)
        assert [(row.status, row.answer, row.fingerprint) for row in calls.values()] == [
            (CallStatus.ANSWERED, {"output": "7"}, "f"), (CallStatus.WAITING, None, None),
        ]  # fmt: skip

    rolled_back(test)


def test_only_a_generation_that_waits_and_has_no_holder_is_resumed(clock: Clock) -> None:
    async def test(rows: Rows) -> None:
        me, waiting = uuid4(), Status.AWAITING_TOOL_RESULTS
        for status, holder in ((Status.RUNNING, None), (waiting, uuid4())):
            generation_id = await rows.generation(status=status, holder=holder)
            assert not await tool_calls.resume(rows.session, generation_id, me, seconds(9))
        first, second = [await rows.generation(status=waiting, tools_expire_at=NOON) for _ in range(2)]
        assert await tool_calls.resume(rows.session, first, me, seconds(9))
        found = await tool_calls.owned_generation(rows.session, await rows.user(), first)
        assert found is not None
        assert (found.status, found.holder, found.lease_until) == (Status.RUNNING, me, seconds(9))
        assert found.tools_expire_at == NOON  # until the answer continues
        other = await tool_calls.owned_generation(rows.session, await rows.user(), second)
        assert other is not None
        assert other.status is waiting
        assert await tool_calls.owned_generation(rows.session, await rows.user("bob"), first) is None

    rolled_back(test)


def test_the_calls_of_each_tool_are_counted_with_those_that_failed(clock: Clock) -> None:
    async def test(rows: Rows) -> None:
        owner = await rows.user()
        for number, (name, status, second) in enumerate((
            ("b", CallStatus.SUCCEEDED, 0), ("b", CallStatus.FAILED, 0), ("b", CallStatus.UNKNOWN, -1),
            ("a", CallStatus.RUNNING, 0),
        )):  # fmt: skip
            await add_call(rows, owner, uuid4(), f"toolu_{number}", status, name=name, created_at=seconds(second))
        await add_call(rows, await rows.user("bob"), uuid4(), "toolu_1", CallStatus.FAILED)
        assert await tool_calls.usage(rows.session, owner, None) == [ToolUsage("a", 1, 0), ToolUsage("b", 3, 2)]
        assert await tool_calls.usage(rows.session, owner, NOON) == [ToolUsage("a", 1, 0), ToolUsage("b", 2, 1)]

    rolled_back(test)
