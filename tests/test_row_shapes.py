"""Rows for viewers and rows of compiled statements have the values that sessions would return."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest
from rows import Rows, rolled_back
from sqlalchemy import JSON, Boolean, Integer, Uuid, bindparam, column, literal, select, table, true
from sqlalchemy.exc import DBAPIError

from tertulia.db import statements
from tertulia.db.rows import MESSAGES, MessageRow, Result, id_text
from tertulia.db.statements import fetch
from tertulia.db.tables import METADATA, Role, UtcDateTime

ID = UUID(int=7)
TABLE = METADATA.tables["messages"]
ROLE: Any = TABLE.c.role.type


def values(type_: Any, stored: Sequence[Any], dialect: str = "sqlite") -> list[Any]:
    return Result([[value] for value in stored], dialect).values(type_)


@pytest.mark.parametrize(
    ("type_", "stored", "read"),
    [
        (Uuid(), [str(ID), None], [ID, None]),
        (UtcDateTime(), ["2026-01-15 12:00:00", None], [datetime(2026, 1, 15, 12, tzinfo=UTC), None]),
        (
            UtcDateTime(),
            ["2026-01-15 12:00:00+02:00"],
            [datetime(2026, 1, 15, 12, tzinfo=timezone(timedelta(hours=2)))],
        ),
        (JSON(), ["{}", "null", '{"a": [1]}', None], [{}, None, {"a": [1]}, None]),
        (Boolean(), [0, 1, None], [False, True, None]),
        (ROLE, ["user", "assistant"], [Role.USER, Role.ASSISTANT]),
        (Integer(), [3, None], [3, None]),
    ],
)
def test_values_of_sqlite_are_converted_by_their_type(type_: Any, stored: list[Any], read: list[Any]) -> None:
    converted = values(type_, stored)
    assert converted == read
    assert [type(value) for value in converted] == [type(value) for value in read]
    # A column with one value in all rows is converted once.
    for value, expected in zip(stored, read, strict=True):
        assert values(type_, [value] * 3) == [expected] * 3


def test_the_driver_of_postgresql_converts_all_values_but_those_of_enums() -> None:
    assert values(ROLE, ["user", "assistant"], "postgresql") == [Role.USER, Role.ASSISTANT]
    times = [datetime(2026, 1, 15, 12, tzinfo=UTC), None]
    assert values(UtcDateTime(), times, "postgresql") == times


@pytest.mark.parametrize("stored", ['{"a": 1}', "[1]", "{}"])
def test_rows_with_the_same_json_do_not_share_it(stored: str) -> None:
    first, second = values(JSON(), [stored, stored])
    assert first == second
    assert first is not second


def test_columns_are_consumed_in_the_order_in_which_they_are_selected() -> None:
    stored = [str(ID), str(ID), None, "user", 0, "[]", None, "{}", None, "2026-01-15 12:00:00"]
    row = MessageRow(ID, ID, None, Role.USER, 0, [], None, {}, None, datetime(2026, 1, 15, 12, tzinfo=UTC))
    result = Result([[*stored, 1, *stored], [*stored, 0, *stored]], "sqlite")
    assert result.rows(MESSAGES) == [row, row]
    assert result.values(Boolean()) == [True, False]
    assert result.rows(MESSAGES) == [row, row]
    nothing = Result([], "sqlite")
    assert (nothing.rows(MESSAGES), nothing.values(Integer()), nothing.values(Uuid())) == ([], [], [])


def test_the_text_of_an_id_is_canonical() -> None:
    id = uuid4()
    assert [id_text(id), id_text(id)] == [str(id)] * 2


def test_rows_of_a_compiled_statement_have_the_types_of_their_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(statements, "AT_ONCE", 2)
    monkeypatch.setattr(statements, "asyncio", SimpleNamespace(sleep=sleep))
    query = (
        select(TABLE.c.id, TABLE.c.role, TABLE.c.content, TABLE.c.context, literal(5).label("five"))
        .where(TABLE.c.conversation_id == bindparam("conversation"), TABLE.c.depth > 1, true())
        .order_by(TABLE.c.depth)
    )

    async def test(rows: Rows) -> None:
        conversation = await rows.conversation()
        ids = [await rows.message(conversation, depth=depth, content=[{"depth": depth}]) for depth in range(7)]
        expected = [(ids[depth], Role.USER, [{"depth": depth}], None, 5) for depth in range(2, 7)]
        for _ in range(2):
            assert await fetch(rows.session, query, {"conversation": conversation}) == expected
        # Other tasks run after every two rows.
        assert pauses == [0] * 4
        assert await fetch(rows.session, query, {"conversation": uuid4()}) == []

    rolled_back(test)


def test_a_statement_with_a_list_of_values_is_refused() -> None:
    query = select(TABLE.c.id).where(TABLE.c.depth.in_([1, 2]))

    async def test(rows: Rows) -> None:
        with pytest.raises(ValueError, match="a list of values"):
            await fetch(rows.session, query, {})

    rolled_back(test)


def test_the_error_of_a_compiled_statement_does_not_contain_its_parameters() -> None:
    query = select(table("nowhere", column("word"))).where(column("word") == bindparam("word"))

    async def test(rows: Rows) -> None:
        with pytest.raises(DBAPIError, match="nowhere") as raised:
            await fetch(rows.session, query, {"word": "hunter2"})
        assert "hunter2" not in str(raised.value)

    rolled_back(test)
