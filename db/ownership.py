"""Ownership, as a condition that statements carry."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, bindparam, exists
from sqlmodel import col

from tertulia.db.tables import Conversation


def owned(conversation_id: UUID) -> ColumnElement[bool]:
    """Give the condition that a row, by its column `conversation_id`, stands in a conversation of the `owner`'s.

    The statement is given the parameter `owner` when it is executed. Not a join: from a join SQLite may start with all
    that the owner has, and from this with the rows that are asked for.
    """
    mine = bindparam("owner", type_=Uuid)
    return exists().where(col(Conversation.id) == col(conversation_id), col(Conversation.owner_id) == mine)


def some_of(column: Any) -> ColumnElement[bool]:
    """Give the condition that a column is one of the parameter `ids`."""
    return col(column).in_(bindparam("ids", expanding=True))
