"""Deletion of conversations and users: in how many transactions, what goes with them, and what retention deletes."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from rows import NOON, Rows, rolled_back, seconds, with_database
from sqlmodel import col, select

from tertulia import failpoints
from tertulia.db import attachments, conversations, leases
from tertulia.db.attachments import BEING_STORED, UNSENT
from tertulia.db.conversations import NEVER, Filter
from tertulia.db.database import Database
from tertulia.db.identities import Action, AuditEntry, SignIn
from tertulia.db.inserting import insert
from tertulia.db.limit_hits import NOBODY, LimitHits
from tertulia.db.tables import (
    Attachment,
    Blob,
    Conversation,
    ConversationChange,
    Generation,
    IdempotencyKey,
    Message,
    Role,
    Status,
    User,
)
from tertulia.generation import retention
from tertulia.generation.retention import ResourceDeleter, Retention, expire_guests, trim_audit, trim_keys


@dataclass
class Deletion:
    """A deleter whose logs and files only record what is deleted."""

    database: Database
    discarded: list[UUID] = field(default_factory=list[UUID])
    blobs: list[UUID] = field(default_factory=list[UUID])
    stopped: list[UUID] = field(default_factory=list[UUID])
    locked: list[UUID] = field(default_factory=list[UUID])
    sweeps: int = 0

    def deleter(self, *, stops: bool = True) -> ResourceDeleter:
        log, files = _Log(self), _Files(self)
        return ResourceDeleter(self.database, cast("Any", log), cast("Any", files), self._stop if stops else None)

    async def _stop(self, generation_id: UUID) -> None:
        self.stopped.append(generation_id)


@dataclass
class _Log:
    deletion: Deletion

    async def discard(self, generation_id: UUID) -> None:
        self.deletion.discarded.append(generation_id)


@dataclass
class _Files:
    deletion: Deletion

    async def discard(self, blob_ids: Sequence[UUID]) -> None:
        self.deletion.blobs += blob_ids

    async def sweep(self) -> None:
        self.deletion.sweeps += 1


def run(folder: Path, test: Callable[[Deletion], Awaitable[None]]) -> None:
    async def use(database: Database) -> None:
        await test(Deletion(database))

    with_database(folder, use)


async def ids(database: Database, model: Any) -> list[Any]:
    async with database.read() as session:
        return list((await session.exec(select(model.id))).all())


async def conversation_of(
    database: Database, length: int, name: str = "ada", **columns: Any
) -> tuple[UUID, UUID, list[UUID]]:
    """Insert a conversation with one branch; return its owner, its id and the generations of its answers."""
    async with database.write() as session:
        rows = Rows(session)
        owner = await rows.user(name)
        conversation_id = await rows.conversation(owner, **columns)
        parent: UUID | None = None
        generation_ids: list[UUID] = []
        for depth in range(length):
            role = Role.ASSISTANT if depth % 2 else Role.USER
            parent = await rows.message(conversation_id, parent, role=role, depth=depth)
            if depth % 2:
                status = Status.COMPLETED
                generation_ids.append(await rows.generation(conversation_id, parent, status=status))
    return owner, conversation_id, generation_ids


async def attach(database: Database, owner: UUID, conversation_id: UUID | None, **columns: Any) -> tuple[UUID, UUID]:
    """Insert an attachment; return its id and that of its blob."""
    blob = Blob()
    attachment = Attachment(
        owner_id=owner, conversation_id=conversation_id, blob_id=blob.id, filename="a", media_type="b", **columns
    )
    async with database.write() as session:
        await insert(session, [blob])
        await insert(session, [attachment])
    return attachment.id, blob.id


@pytest.mark.parametrize(("length", "transactions"), [(0, 1), (3, 1), (4, 2), (5, 2), (8, 3)])
def test_a_conversation_is_deleted_in_transactions_of_a_few_messages_and_announced_once(
    length: int, transactions: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MESSAGES_AT_ONCE", 4)

    async def test(deletion: Deletion) -> None:
        owner, conversation_id, generation_ids = await conversation_of(deletion.database, length)
        _, blob_id = await attach(deletion.database, owner, conversation_id)
        _, other, _ = await conversation_of(deletion.database, 2)
        locked: list[UUID] = []

        async def lock(_session: object, locked_owner: UUID) -> None:
            locked.append(locked_owner)

        monkeypatch.setattr(leases, "lock_owner", lock)
        assert await deletion.deleter().remove(owner, conversation_id) is True
        assert locked == [owner] * transactions
        assert sorted(deletion.discarded) == sorted(generation_ids)
        assert deletion.blobs == [blob_id]
        assert await ids(deletion.database, Conversation) == [other]
        assert len(await ids(deletion.database, Message)) == 2
        async with deletion.database.read() as session:
            (change,) = (await session.exec(select(ConversationChange))).all()
        assert (change.kind.value, change.conversation_id, change.generation_id) == ("deleted", conversation_id, None)

    run(tmp_path, test)


@pytest.mark.parametrize(("length", "is_finished"), [(199, True), (200, False)])
def test_a_transaction_deletes_at_most_200_messages(length: int, tmp_path: Path, *, is_finished: bool) -> None:
    async def test(deletion: Deletion) -> None:
        owner, conversation_id, _ = await conversation_of(deletion.database, length)
        async with deletion.database.write() as session:
            part = await retention.remove_part(session, owner, conversation_id)
        assert part is not None
        assert part.finished is is_finished

    run(tmp_path, test)


def test_a_conversation_of_somebody_else_is_not_deleted(tmp_path: Path) -> None:
    async def test(deletion: Deletion) -> None:
        _, conversation_id, _ = await conversation_of(deletion.database, 2)
        assert await deletion.deleter().remove(uuid4(), conversation_id) is False
        assert len(await ids(deletion.database, Message)) == 2
        assert deletion.discarded == []

    run(tmp_path, test)


def test_an_interrupted_deletion_is_hidden_and_finished_by_retention(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MESSAGES_AT_ONCE", 2)

    async def test(deletion: Deletion) -> None:
        owner, conversation_id, _ = await conversation_of(deletion.database, 3)
        async with deletion.database.write() as session:
            part = await retention.remove_part(session, owner, conversation_id)
            row = await session.get(Conversation, conversation_id, populate_existing=True)
        assert part is not None
        assert row is not None
        assert (part.finished, len(part.generation_ids), part.blob_ids) == (False, 1, [])
        assert (row.temporary, row.updated_at, row.active_leaf_id) == (True, NEVER, None)
        changed: list[UUID] = []

        def fail(item: object) -> None:
            if item == conversation_id:
                raise RuntimeError

        sweep = partial(Retention(deletion.deleter(), days=None, temporary_hours=24).sweep, changed.append)
        with failpoints.armed("retention", fail):
            assert not await sweep()
        assert await ids(deletion.database, Conversation) == [conversation_id]
        retention.CONVERSATIONS.attempt_now(conversation_id, lambda: None)
        assert await sweep()
        assert await ids(deletion.database, Conversation) == []
        assert (changed, deletion.sweeps) == ([owner], 2)
        async with deletion.database.read() as session:
            assert len((await session.exec(select(ConversationChange))).all()) == 1

    run(tmp_path, test)


@pytest.mark.parametrize("days", [None, 30.0])
def test_retention_deletes_what_was_not_used_for_its_time(
    days: float | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "now", lambda: NOON)
    month, day = timedelta(days=30), timedelta(hours=24)

    async def test(deletion: Deletion) -> None:
        kept: list[UUID] = []
        for temporary, used in (
            (False, NOON - month), (True, NOON - day), (False, NOON),
        ):  # fmt: skip
            kept.append((await conversation_of(deletion.database, 0, temporary=temporary, updated_at=used))[1])
        moment = timedelta(microseconds=1)
        old = (await conversation_of(deletion.database, 0, updated_at=NOON - month - moment))[1]
        gone = await conversation_of(deletion.database, 0, "bob", temporary=True, updated_at=NOON - day - moment)
        running = (await conversation_of(deletion.database, 0, updated_at=NOON - 2 * month))[1]
        async with deletion.database.write() as session:
            await Rows(session).generation(running)
        changed: list[UUID] = []
        await Retention(deletion.deleter(), days=days, temporary_hours=24).sweep(changed.append)
        expected = {*kept, running} if days else {*kept, running, old}
        assert set(await ids(deletion.database, Conversation)) == expected
        assert len(changed) == (2 if days else 1)
        assert gone[0] in changed

    run(tmp_path, test)


@pytest.mark.parametrize("stops", [False, True])
def test_a_user_is_signed_out_first_and_deleted_last_with_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, stops: bool
) -> None:
    async def test(deletion: Deletion) -> None:
        owner, conversation_id, generation_ids = await conversation_of(deletion.database, 2)
        async with deletion.database.write() as session:
            rows = Rows(session)
            running = [await rows.generation(conversation_id) for _ in range(2)]
            session.add(SignIn(owner_id=owner, expires_at=seconds(10**9)))
        _, unsent = await attach(deletion.database, owner, None)
        _, sent = await attach(deletion.database, owner, conversation_id)
        locked: list[UUID] = []

        async def lock(_session: object, locked_owner: UUID) -> None:
            locked.append(locked_owner)

        monkeypatch.setattr(leases, "lock_owner", lock)
        counts = await deletion.deleter(stops=stops).remove_user(owner)
        assert counts == {"conversations": 1, "messages": 4, "attachments": 2, "calls": 0}
        assert deletion.stopped == (running[::-1] if stops else [])
        assert set(deletion.discarded) == {*generation_ids, *running}
        assert deletion.blobs == [sent, unsent]
        assert locked == [owner] * 3
        for model in (User, Conversation, Message, Generation, SignIn, Attachment):
            assert await ids(deletion.database, model) == []
        async with deletion.database.read() as session:
            (entry,) = (await session.exec(select(AuditEntry))).all()
        assert (entry.action, entry.user_id) == (Action.USER_DELETED.value, owner)
        assert await deletion.deleter().remove_user(owner) is None

    run(tmp_path, test)


def test_old_entries_and_keys_are_deleted_in_transactions_of_some_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "now", lambda: NOON)
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 2)

    async def test(deletion: Deletion) -> None:
        _, _, (generation_id,) = await conversation_of(deletion.database, 2)
        day = timedelta(days=1)
        async with deletion.database.write() as session:
            owner = await Rows(session).user()
            for number in range(5):
                old = NOON - timedelta(days=7, seconds=number - 1)
                entry_id = UUID(int=int(old.timestamp() * 1000) << 80 | number)
                session.add(AuditEntry(id=entry_id, action="signed_in", created_at=old))
                session.add(
                    IdempotencyKey(
                        owner_id=owner,
                        key=str(number),
                        fingerprint="",
                        generation_id=generation_id,
                        created_at=NOON - 99 * day,
                    )
                )
            for number in range(3):
                hits = NOON.date() - (6 + number) * day
                session.add(LimitHits(day=hits, limit_name="sends", subject=NOBODY, hits=1))
        await trim_audit(deletion.database, None)
        assert len(await ids(deletion.database, AuditEntry)) == 5
        await trim_audit(deletion.database, 7)
        assert len(await ids(deletion.database, AuditEntry)) == 2
        async with deletion.database.read() as session:
            assert set((await session.exec(select(col(LimitHits.day)))).all()) == {
                NOON.date() - number * day for number in (6, 7)
            }
        await trim_keys(deletion.database)
        async with deletion.database.read() as session:
            assert (await session.exec(select(IdempotencyKey.key))).all() == []

    run(tmp_path, test)


def test_a_message_is_moved_out_of_its_conversation_while_its_unfinished_answers_are_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked: list[UUID] = []

    async def lock(_session: object, conversation_id: UUID) -> None:
        locked.append(conversation_id)

    monkeypatch.setattr(leases, "lock_unfinished", lock)

    async def test(deletion: Deletion) -> None:
        _, conversation_id, _ = await conversation_of(deletion.database, 4)
        async with deletion.database.write() as session:
            conversation = await session.get(Conversation, conversation_id)
            found = await session.exec(select(Message).where(Message.depth == 2))
            message = found.one()
            assert conversation is not None
            hidden_id = await retention.detach(session, conversation, message)
            hidden = await session.get(Conversation, hidden_id)
            depths = await session.exec(select(Message.depth).where(Message.conversation_id == hidden_id))
            assert sorted(depths.all()) == [2, 3]
        assert hidden is not None
        assert (hidden.temporary, hidden.updated_at, locked) == (True, NEVER, [conversation_id])

    run(tmp_path, test)


def test_guests_who_have_not_been_here_for_some_days_are_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "now", lambda: NOON)

    async def test(deletion: Deletion) -> None:
        async with deletion.database.write() as session:
            for name, days in (("new", 6), ("old", 8), ("older", 9)):
                session.add(User(name=name, issuer="guest", subject=name, created_at=NOON - timedelta(days=days)))
        monkeypatch.setattr(retention, "GUESTS_AT_ONCE", 1)
        assert await expire_guests(deletion.deleter(), 7)
        assert len(await ids(deletion.database, User)) == 2
        assert await expire_guests(deletion.deleter(), 7)
        async with deletion.database.read() as session:
            assert (await session.exec(select(User.name))).all() == ["new"]

    run(tmp_path, test)


def test_uploads_that_no_message_refers_to_are_forgotten_after_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attachments, "now", lambda: NOON)
    assert (timedelta(hours=24), timedelta(hours=1)) == (UNSENT, BEING_STORED)

    async def test(deletion: Deletion) -> None:
        owner, conversation_id, _ = await conversation_of(deletion.database, 1)
        moment = timedelta(microseconds=1)
        kept = [
            (await attach(deletion.database, owner, conversation_id, created_at=NOON - UNSENT - moment))[0],
            (await attach(deletion.database, owner, None, created_at=NOON - UNSENT))[0],
        ]
        await attach(deletion.database, owner, None, created_at=NOON - UNSENT - moment)
        async with deletion.database.write() as session:
            await attachments.forget_unsent(session)
        assert set(await ids(deletion.database, Attachment)) == set(kept)

    run(tmp_path, test)


def test_blobs_are_unused_if_no_attachment_refers_to_them_and_no_upload_may_be_in_progress(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(attachments, "now", lambda: NOON)

    async def test(rows: Rows) -> None:
        owner = await rows.user()
        blobs = [Blob(created_at=NOON - BEING_STORED - timedelta(seconds=number)) for number in range(3)]
        for blob in blobs:
            await insert(rows.session, [blob])
        used = Attachment(owner_id=owner, blob_id=blobs[2].id, filename="a", media_type="b")
        await insert(rows.session, [used])
        assert [blob.id for blob in await attachments.unused(rows.session)] == [blobs[1].id]
        asked = [blobs[0].id, blobs[2].id]
        assert [blob.id for blob in await attachments.unused(rows.session, asked)] == [blobs[0].id]
        await attachments.remove_blobs(rows.session, [blobs[0].id])
        remaining = set((await rows.session.exec(select(Blob.id))).all())
        assert remaining == {blobs[1].id, blobs[2].id}

    rolled_back(test)


def test_attachments_belong_to_one_owner_and_one_conversation() -> None:
    async def test(rows: Rows) -> None:
        ada, bob = await rows.user("ada"), await rows.user("bob")
        conversation_id = await rows.conversation(ada)
        blob = Blob()
        await insert(rows.session, [blob])
        found = [
            Attachment(
                owner_id=owner, blob_id=blob.id, filename=f"{name}.png", media_type="image/png", size_bytes=7, width=2
            )
            for name, owner in (("a", ada), ("b", ada), ("c", bob))
        ]
        for attachment in found:
            await insert(rows.session, [attachment])
        asked = [attachment.id for attachment in found]
        assert set(await attachments.get_many(rows.session, ada, asked)) == set(asked[:2])
        await attachments.claim(rows.session, [], conversation_id)
        await attachments.claim(rows.session, [asked[0], asked[2]], conversation_id)
        assert [row.id for row in await attachments.of_conversation(rows.session, ada, conversation_id)] == [asked[0]]
        copy = attachments.copy_for(found[0], conversation_id)
        assert copy.id != found[0].id
        assert (copy.owner_id, copy.blob_id, copy.filename, copy.size_bytes, copy.width, copy.height) == (
            ada, blob.id, "a.png", 7, 2, None,
        )  # fmt: skip
        await attachments.remember_file(rows.session, blob.id, "file_1")
        rows.session.expire_all()
        sources = await attachments.sources(rows.session, asked[:1])
        assert [(blob.file_id, filename) for blob, filename in sources.values()] == [("file_1", "a.png")]
        await attachments.remember_file(rows.session, uuid4(), None)

    rolled_back(test)


def test_a_conversation_is_named_once_changed_by_its_owner_and_filtered() -> None:
    async def test(rows: Rows) -> None:
        ada = await rows.user()
        first, second = (
            await rows.conversation(ada),
            await rows.conversation(ada, archived=True, pinned=True, title="Ärger"),
        )
        assert await conversations.name(rows.session, first, "Named")
        assert not await conversations.name(rows.session, first, "Again")
        assert not await conversations.change(rows.session, uuid4(), first, {"title": "Stolen"})
        assert await conversations.change(rows.session, ada, first, {"pinned": False})
        assert not await conversations.remove(rows.session, uuid4(), first)
        from tertulia.db.paging import Page

        async def listed(**narrowed: Any) -> list[UUID]:
            page = await conversations.page(rows.session, ada, Page(), Filter(**narrowed), conversations.Order.OLDEST)
            return [edge.node.id for edge in page.edges]

        assert await listed() == [first, second]
        assert await listed(archived=True) == await listed(pinned=True) == await listed(title_contains="äR") == [second]
        assert (
            await listed(archived=False) == await listed(pinned=False) == await listed(title_contains="NAM") == [first]
        )
        assert await listed(temporary=True) == []
        await conversations.add_usage(rows.session, first, {"input_tokens": 5}, 7)
        await conversations.add_usage(rows.session, first, {"input_tokens": 1, "output_tokens": 2}, 1)
        await conversations.add_usage(rows.session, second, {}, 9)
        rows.session.expire_all()
        found = await conversations.get_many(rows.session, ada, [first, second])
        assert (found[first].input_tokens, found[first].output_tokens, found[first].amount) == (6, 2, 8)
        assert found[second].amount == 0
        await conversations.add_usage(rows.session, second, {"input_tokens": 1}, None)
        rows.session.expire_all()
        assert (await conversations.get_many(rows.session, ada, [second]))[second].amount is None
        assert await conversations.get(rows.session, uuid4(), first) is None

    rolled_back(test)
