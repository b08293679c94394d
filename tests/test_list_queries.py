"""Queries of lists of conversations."""

import pytest
from rows import Rows, rolled_back
from test_branch_windows import Steps

from tertulia.db import conversations
from tertulia.db.conversations import Filter
from tertulia.db.paging import Page


@pytest.mark.parametrize(("flag", "filters"), [("pinned", Filter(pinned=True)), ("archived", Filter(archived=True))])
def test_a_list_of_few_conversations_reads_no_others(flag: str, filters: Filter) -> None:
    async def test(rows: Rows) -> None:
        owner, counts = await rows.user(), list[int]()
        chosen = [await rows.conversation(owner, **{flag: True}) for _ in range(3)]
        page = Page(first=50)
        for others in (1, 200):
            for _ in range(others):
                await rows.conversation(owner)
            # This executes the statements that the rows have deferred.
            await conversations.page(rows.session, owner, page, filters)
            with Steps(await rows.session.connection()) as steps:
                found = await conversations.page(rows.session, owner, page, filters)
            assert {edge.node.id for edge in found.edges} == {*chosen}
            counts.append(steps.count)
        assert counts[1] == counts[0]

    rolled_back(test)


def test_titles_with_and_without_other_letters_are_found_in_any_case() -> None:
    async def test(rows: Rows) -> None:
        owner = await rows.user()
        titles = ("Straße nach ÉVORA", "evora", "Évora 50%", None)
        ids = {title: await rows.conversation(owner, title=title) for title in titles}
        for part, expected in (("éVORA", {titles[0], titles[2]}), ("EVORA", {titles[1]}), ("0%", {titles[2]})):
            found = await conversations.page(rows.session, owner, Page(), Filter(title_contains=part))
            assert {edge.node.id for edge in found.edges} == {ids[title] for title in expected}, part

    rolled_back(test)
