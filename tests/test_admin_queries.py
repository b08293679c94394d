"""The queries of operators on all users return the same rows on both databases."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import date, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

import pytest
from conftest import EMBEDDED
from rows import NOON, Rows, rolled_back
from running import prepare_database

from tertulia.db import accounts, limit_hits
from tertulia.db.admin import audit, conversations, generations, users
from tertulia.db.admin.users import UserFilter
from tertulia.db.identities import Action
from tertulia.db.inserting import insert
from tertulia.db.ledger import Period
from tertulia.db.limit_hits import LimitKey
from tertulia.db.paging import Page
from tertulia.db.tables import Status, User, now
from tertulia.db.usage_reports import usage_report
from tertulia.resolvers.limit_hits import LimitHitCounter


@pytest.fixture
def url(place: dict[str, Any], setup: str) -> str:
    if setup == EMBEDDED:
        prepare_database(place["database_url"])
    return str(place["database_url"]).replace("postgresql://", "postgresql+asyncpg://")


ALL = Page()


def names(found: Any) -> list[str]:
    return [edge.node.name for edge in found.edges]


@pytest.mark.both
def test_operators_find_users_answers_and_entries_of_the_audit_log(url: str) -> None:
    async def test(rows: Rows) -> None:
        session = rows.session
        ada, bob = await rows.user("Ada 100%"), await rows.user("bob")
        eve = User(name="eve", issuer="https://id", subject="s-1")
        guest = User(name="guest-1", issuer="guest", subject="1")
        await insert(session, [eve])
        await insert(session, [guest])
        await accounts.set_plan(session, bob, "pro")
        await accounts.set_role(session, bob, "operator")
        await accounts.set_disabled(session, eve.id, disabled=True)

        async def found(page: Page = ALL, **filter: Any) -> list[str]:
            return names(await users.page(session, page, UserFilter(**filter)))

        assert await found() == ["guest-1", "eve", "bob", "Ada 100%"]
        first = await users.page(session, Page(first=3), UserFilter())
        assert first.page_info.has_next_page
        assert await found(Page(after=first.page_info.end_cursor)) == ["Ada 100%"]
        assert await found(Page(last=2, before=first.page_info.end_cursor)) == ["guest-1", "eve"]
        assert await found(search="ADA 100%") == ["Ada 100%"]
        assert await found(search="0_") == []
        assert await found(search=str(bob)) == await found(plan="pro") == await found(role="operator") == ["bob"]
        assert await found(search="s-1") == await found(disabled=True) == ["eve"]
        assert await found(guests=True) == ["guest-1"]
        assert await found(guests=False, disabled=False) == ["bob", "Ada 100%"]
        assert await users.count(session) == users.UserCounts(4, 1, 1)

        talk = await rows.conversation(ada, assistant="sales", updated_at=NOON)
        running = await rows.generation(talk)
        failed = await rows.generation(talk, status=Status.FAILED)
        queued = await rows.generation(await rows.conversation(bob), status=Status.QUEUED)
        assert (await users.activity(session, [ada, eve.id])) == {ada: users.Activity(1, NOON)}
        listed = (await generations.unfinished(session, Page(), None)).edges
        assert [(edge.node.row.id, edge.node.user.id, edge.node.assistant) for edge in listed] == [
            (queued, bob, None),
            (running, ada, "sales"),
        ]
        assert [edge.node.row.id for edge in (await generations.unfinished(session, Page(), ada)).edges] == [running]
        assert [edge.node.row.id for edge in (await generations.failed(session, Page(), None)).edges] == [failed]
        assert (await generations.failed(session, Page(), bob)).edges == []
        assert await generations.count_unfinished(session) == {Status.RUNNING: 1, Status.QUEUED: 1}
        assert await generations.count_failed(session, now() - timedelta(minutes=5)) == 1
        assert await generations.count_failed(session, now() + timedelta(minutes=5)) == 0

        await rows.call(ada, amount=1)
        await rows.call(bob, amount=2)
        today = Period(NOON - timedelta(hours=1), NOON + timedelta(hours=1))
        assert [row.keys["user"] for row in await usage_report(session, ["user"], today)] == ["bob", "Ada 100%"]
        assert [row.keys["user"] for row in await usage_report(session, ["user"], today, owner=ada)] == ["Ada 100%"]
        assert len(await usage_report(session, ["user"], today, most=1)) == 1

        await accounts.audit(session, Action.SIGNED_IN, ada, "127.0.0.1")
        await accounts.audit(session, Action.USER_DISABLED, bob, operator=str(ada))
        log = [edge.node.action for edge in (await audit.page(session, Page(), None, None)).edges]
        assert log == ["user_disabled", "signed_in"]
        assert [edge.node.user_id for edge in (await audit.page(session, Page(), ada, None)).edges] == [ada]
        assert [edge.node.user_id for edge in (await audit.page(session, Page(), None, "user_disabled")).edges] == [bob]

    rolled_back(test, url)


@pytest.mark.both
def test_operators_find_a_conversation_that_is_not_temporary(url: str) -> None:
    async def test(rows: Rows) -> None:
        ada = await rows.user("ada")
        talk, temporary = await rows.conversation(ada), await rows.conversation(ada, temporary=True)
        row, owner = await conversations.find(rows.session, talk) or (None, None)
        assert (row and row.id, owner and owner.id) == (talk, ada)
        assert await conversations.find(rows.session, temporary) is None
        assert await conversations.find(rows.session, ada) is None

    rolled_back(test, url)


@pytest.mark.both
def test_the_audit_log_keeps_what_operators_did_to_a_deleted_user(url: str) -> None:
    async def test(rows: Rows) -> None:
        session, ada, bob = rows.session, await rows.user("ada"), await rows.user("bob")
        for user in (ada, bob):
            await accounts.audit(session, Action.SIGNED_IN, user, "127.0.0.1")
            await accounts.audit(session, Action.CONVERSATION_READ, user, conversation=str(uuid4()), operator=str(bob))
        assert await accounts.remove_user(session, ada)
        log = [(edge.node.action, edge.node.user_id) for edge in (await audit.page(session, Page(), None, None)).edges]
        assert log == [("conversation_read", bob), ("signed_in", bob), ("conversation_read", ada)]

    rolled_back(test, url)


@pytest.mark.both
def test_hits_of_limits_are_added_up_by_day_limit_and_user_and_end_with_the_user(url: str) -> None:
    async def test(rows: Rows) -> None:
        session, today = rows.session, NOON.date()
        ada, bob, yesterday = await rows.user(), await rows.user("bob"), today - timedelta(days=1)
        for day, limit, user_id, more in (
            *((yesterday, "sends", ada, 9), (today, "sends", ada, 1), (today, "sends", ada, 2), (today, "sends", bob, 1)),
            *((today, "sockets", ada, 4), (today, "shares", None, 2), (today, "shares", None, 3), (today, "sends", uuid4(), 7)),
        ):  # fmt: skip
            await limit_hits.add(session, LimitKey(day, limit, user_id), more)

        async def found(since: date = yesterday, owner: UUID | None = None, most: int = 9) -> list[tuple[Any, ...]]:
            hits = await limit_hits.report(session, since, today, owner, most)
            return [(hit.day, hit.limit_name, hit.user_id, hit.user_name, hit.count) for hit in hits]

        of_ada = [(today, "sockets", ada, "ada", 4), (today, "sends", ada, "ada", 3)]
        of_bob = [(today, "sends", bob, "bob", 1)]
        without_user = [(today, "shares", None, None, 5)]
        assert await found() == [*without_user, *of_ada, *of_bob, (yesterday, "sends", ada, "ada", 9)]
        assert await found(today, ada) == of_ada
        assert await found(most=1) == without_user
        assert await limit_hits.report(session, yesterday, yesterday, bob, 9) == []
        assert await limit_hits.trim(session, today, 9) == 1
        assert await found() == [*without_user, *of_ada, *of_bob]
        await accounts.remove_user(session, ada)
        assert await found() == [*without_user, *of_bob]

    rolled_back(test, url)


def test_hits_of_limits_are_kept_until_stored_and_beyond_some_users_counted_without_the_user(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tertulia.resolvers.limit_hits.MOST_KEYS", 2)

    async def test(rows: Rows) -> None:
        class OneTransaction:
            @asynccontextmanager
            async def write(self) -> AsyncGenerator[Any]:
                if unavailable:
                    raise ConnectionRefusedError
                yield rows.session

        unavailable, store = True, cast("Any", OneTransaction())
        hits, ada, bob = LimitHitCounter(store), await rows.user(), await rows.user("bob")
        for user_id in (ada, bob, ada, await rows.user("eve"), await rows.user("zoe")):
            hits.count("sends", user_id)
        with pytest.raises(ConnectionRefusedError):
            await hits.store()
        unavailable = False
        # The second time, nothing is left to store.
        await hits.store()
        await hits.store()
        today = now().date()
        found = await limit_hits.report(rows.session, today - timedelta(days=1), today, None, 9)
        assert sorted((hit.user_name or "", hit.count) for hit in found) == [("", 2), ("ada", 2), ("bob", 1)]

    rolled_back(test)


def test_the_usage_of_a_period_reads_the_index_of_days() -> None:
    async def test(rows: Rows) -> None:
        connection = await rows.session.connection()
        statement = "SELECT day, sum(amount) FROM calls WHERE day >= '2026-01-01' GROUP BY day"
        assert "calls_by_day" in str((await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")).all())

    rolled_back(test)
