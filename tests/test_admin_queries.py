"""The queries of operators on all users return the same rows on both databases."""

from datetime import timedelta
from typing import Any

import pytest
from conftest import EMBEDDED
from rows import NOON, Rows, rolled_back
from running import prepare_database

from tertulia.db import accounts
from tertulia.db.admin import audit, conversations, generations, users
from tertulia.db.admin.users import UserFilter
from tertulia.db.identities import Action
from tertulia.db.inserting import insert
from tertulia.db.ledger import Period
from tertulia.db.paging import Page
from tertulia.db.tables import Status, User, now
from tertulia.db.usage_reports import usage_report


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


def test_the_usage_of_a_period_reads_the_index_of_days() -> None:
    async def test(rows: Rows) -> None:
        connection = await rows.session.connection()
        statement = "SELECT day, sum(amount) FROM calls WHERE day >= '2026-01-01' GROUP BY day"
        assert "calls_by_day" in str((await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}")).all())

    rolled_back(test)
