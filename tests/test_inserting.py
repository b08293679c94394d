"""Rows that are created for insertion."""

from typing import Any
from uuid import uuid4

import pytest
from sqlmodel import SQLModel

from tertulia.db.inserting import new_row
from tertulia.db.tables import ApiCall, Conversation, Generation, Message, Role, Status, now

ID, TIME = uuid4(), now()
OF_CONVERSATION = {"id": ID, "created_at": TIME, "conversation_id": ID}
CALL = {**OF_CONVERSATION, "owner_id": ID, "generation_id": ID, "model": "m"}
ROWS: list[tuple[type[SQLModel], dict[str, Any]]] = [
    (Conversation, {"id": ID, "created_at": TIME, "updated_at": TIME, "owner_id": ID, "model": "m"}),
    (Message, {**OF_CONVERSATION, "role": Role.USER, "depth": 1}),
    (Generation, {**OF_CONVERSATION, "message_id": ID, "model": "m", "options": {"effort": "low"}}),
    (ApiCall, {**CALL, "outcome": Status.COMPLETED, "day": TIME.date(), "prices": None, "purpose": "answer"}),
]


@pytest.mark.parametrize(("model", "values"), ROWS)
def test_a_new_row_has_the_same_columns_as_one_of_its_class(model: type[SQLModel], values: dict[str, Any]) -> None:
    row, other = new_row(model, **values), model(**values)
    assert [getattr(row, name) for name in model.model_fields] == [getattr(other, name) for name in model.model_fields]
    setattr(row, "id", changed := uuid4())  # noqa: B010 - the classes of the rows differ
    assert getattr(row, "id") == changed  # noqa: B009


def test_new_rows_share_no_value_that_can_change() -> None:
    first, second = (new_row(Message, **OF_CONVERSATION, role=Role.USER, depth=1) for _ in range(2))
    first.content.append({"type": "text"})
    first.app_metadata["key"] = 1
    assert (second.content, second.app_metadata) == ([], {})


def test_a_new_row_needs_the_columns_of_its_table() -> None:
    with pytest.raises(TypeError, match=r"Message has other columns: \['depth', 'text'\]"):
        new_row(Message, **OF_CONVERSATION, role=Role.USER, text="Hi")
