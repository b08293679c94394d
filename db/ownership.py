"""Ownership as a condition of statements."""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Uuid, bindparam, exists
from sqlmodel import col

from tertulia.db.tables import Conversation


def owned(conversation_id: UUID) -> ColumnElement[bool]:
    """Return the condition that a row, by its column `conversation_id`, is in a conversation of `owner`.

    The statement is executed with the parameter `owner`. This is not a join, because SQLite might start a join with all
    of the owner's conversations instead of the requested rows.
    """
    mine = bindparam("owner", type_=Uuid)
    return exists().where(col(Conversation.id) == col(conversation_id), col(Conversation.owner_id) == mine)


def some_of(column: Any) -> ColumnElement[bool]:
    """Return the condition that a column is in the parameter `ids`."""
    return col(column).in_(bindparam("ids", expanding=True))
